//! How long parcels may wait.
//!
//! What is on disk alone comes behind what waits in memory, and is looked at all the same: where memory holds nothing, the oldest is there.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::config::OnFull;
use super::super::metrics::DropReason;
use super::disk::now;
use super::{Queue, State};
use crate::request::Refusal;

impl Queue {
    /// Whether what waits longest has waited too long.
    pub(super) fn is_stale(&self, state: &State) -> bool {
        self.is_front_stale(state) || self.is_disk_stale()
    }

    fn is_front_stale(&self, state: &State) -> bool {
        let Some(most) = self.config.max_age else { return false };
        state.waiting.front().is_some_and(|first| first.since.elapsed() > most)
    }

    /// The same of what is on disk alone.
    pub(super) fn is_disk_stale(&self) -> bool {
        let (Some(most), Some(disk)) = (self.config.max_age, &self.disk) else { return false };
        disk.spool.oldest().is_some_and(|time| Duration::from_millis(now().saturating_sub(time)) > most)
    }

    /// Drops what has waited too long in memory, where the oldest are to be dropped.
    pub(super) fn expire(&self, state: &mut State) {
        while self.config.on_full == OnFull::DropOldest && self.is_front_stale(state) {
            let oldest = state.pop().expect("there is a stale one");
            self.drop_waiting(oldest, DropReason::TooOld);
        }
    }

    pub(super) fn stale(&self) -> Refusal {
        let delay = Duration::from_millis(self.hint.load(Ordering::Relaxed));
        let message = format!(
            "the queue of {} is full: what waits there has waited longer than its max_age; try again in {} s",
            self.shown,
            delay.as_secs_f32().ceil()
        );
        Refusal::unavailable(delay, message)
    }
}
