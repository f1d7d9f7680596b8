//! What people ask of the folder: another version of a plugin.

use std::sync::mpsc::{SyncSender, TrySendError};

use tokio::sync::oneshot;

use super::Event;
use crate::plugins::name;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The version that is tried counts from now on; or the one that was rolled back, again.
    Promote,
    /// The version that is tried is withdrawn; or, where none is, the one that counted before counts again.
    Rollback,
}

/// A question on its way. The answer says what has happened, or why nothing has.
pub struct Command {
    pub(super) ask: Ask,
    pub(super) stage: String,
    pub(super) answer: oneshot::Sender<Result<String, Refused>>,
}

/// Why nothing has happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such plugin.
    #[error("{0}")]
    Unknown(String),
    /// There is no such version.
    #[error("{0}")]
    Nothing(String),
    /// It could not be done.
    #[error("{0}")]
    Failed(String),
}

/// Where commands are taken. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Commands(SyncSender<Event>);

impl Commands {
    pub(super) fn new(events: SyncSender<Event>) -> Self {
        Self(events)
    }

    /// Asks for another version of a stage, named with or without its number, and waits until it is there.
    pub async fn ask(&self, ask: Ask, stage: &str) -> Result<String, Refused> {
        let (answer, answered) = oneshot::channel();
        let stage = name::stage_of(stage.strip_suffix(".wasm").unwrap_or(stage)).to_owned();
        self.0.try_send(Event::Command(Command { ask, stage, answer })).map_err(|error| match error {
            TrySendError::Full(_) => Refused::Failed("the plugin folder is busy, try again".to_owned()),
            TrySendError::Disconnected(_) => Refused::Failed("the proxy is shutting down".to_owned()),
        })?;
        answered.await.unwrap_or_else(|_| Err(Refused::Failed("the proxy is shutting down".to_owned())))
    }
}
