//! What stands in the place of Kafka in a build without it: nothing of it can be made.

use super::answer::Answer;
use super::config::{DestinationConfig, KafkaConfig};
use super::queue::Batch;
use crate::kafka::{Files, KafkaError};

/// There is none.
pub(super) enum Producer {}

/// Nothing is ever left.
#[derive(Debug)]
pub(super) enum Unsent {}

impl Unsent {
    pub fn done_with(&self) -> (u64, u64) {
        match *self {}
    }
}

impl Producer {
    pub fn start(_: &DestinationConfig, _: &KafkaConfig, _: &Files) -> Result<Self, KafkaError> {
        Err(KafkaError::NotBuilt)
    }

    #[expect(clippy::unused_async, reason = "as the one that there is elsewhere")]
    pub async fn send(&self, _: &Batch, _: &mut Option<Unsent>) -> (Answer, u64) {
        match *self {}
    }
}
