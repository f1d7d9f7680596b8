//! What stands in the place of the consumer in a build without Kafka: nothing of it can be made.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::Shared;
use super::{Config, Status};
use crate::kafka::KafkaError;

/// There is none.
#[derive(Debug)]
pub(in super::super) enum Consumer {}

impl Consumer {
    pub fn new(_: Config, _: &Arc<Shared>) -> Result<Self, KafkaError> {
        Err(KafkaError::NotBuilt)
    }

    pub fn status(&self) -> Box<dyn Fn() -> Status + Send + Sync> {
        match *self {}
    }

    #[expect(clippy::unused_async, reason = "as the one that there is elsewhere")]
    pub async fn run(self, _: Duration, _: CancellationToken) {
        match self {}
    }
}
