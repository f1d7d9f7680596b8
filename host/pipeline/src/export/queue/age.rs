//! How long parcels may wait.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::config::OnFull;
use super::super::metrics::DropReason;
use super::{Queue, State};
use crate::request::Refusal;

impl Queue {
    /// Whether what waits longest has waited too long.
    pub(super) fn is_stale(&self, state: &State) -> bool {
        let Some(most) = self.config.max_age else { return false };
        state.waiting.front().is_some_and(|first| first.since.elapsed() > most)
    }

    /// Drops what has waited too long, where the oldest are to be dropped.
    pub(super) fn expire(&self, state: &mut State) {
        while self.config.on_full == OnFull::DropOldest && self.is_stale(state) {
            let oldest = state.pop().expect("there is a stale one");
            self.drop_waiting(oldest, DropReason::TooOld);
        }
    }

    pub(super) fn stale(&self) -> Refusal {
        let delay = Duration::from_millis(self.hint.load(Ordering::Relaxed));
        let message = format!(
            "the queue of destination `{}` is full: what waits there has waited longer than its max_age; try again in {} s",
            self.name,
            delay.as_secs_f32().ceil()
        );
        Refusal::unavailable(delay, message)
    }
}
