//! Versions that no longer count and on which batches may still run: retired when nobody holds their stage any more.

use std::sync::{Arc, Weak};

use pipeline::chain::stage::Stage;

use super::Worker;
use crate::plugins::version::Phase;

/// The versions that drain, by their number in the history.
#[derive(Debug, Default)]
pub(super) struct Drain(Vec<(u64, Weak<Stage>)>);

impl Drain {
    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more.
    pub fn add(&mut self, number: u64, stage: &Arc<Stage>) {
        self.0.retain(|(known, _)| *known != number);
        self.0.push((number, Arc::downgrade(stage)));
    }

    /// It runs again.
    pub fn remove(&mut self, number: u64) {
        self.0.retain(|(known, _)| *known != number);
    }

    /// Those on which nothing runs any more. `kept`: whether the folder itself holds one, for a rollback.
    pub fn take_done(&mut self, kept: impl Fn(u64) -> bool) -> Vec<u64> {
        let is_done = |number: u64, stage: &Weak<Stage>| stage.strong_count() <= usize::from(kept(number));
        let done = self.0.iter().filter(|(number, stage)| is_done(*number, stage)).map(|(number, _)| *number).collect();
        self.0.retain(|(number, stage)| !is_done(*number, stage));
        done
    }
}

impl Worker {
    /// Versions on which nothing runs any more are retired.
    pub(super) fn retire_drained(&mut self) {
        let kept =
            |number| self.slots.iter().any(|(_, slot)| slot.previous.as_ref().is_some_and(|p| p.number == number));
        for number in self.drain.take_done(kept) {
            self.untidy = true;
            self.history.enter(number, Phase::Retired);
            let previous = self.slots.iter().filter_map(|(_, slot)| slot.previous.as_ref());
            previous.filter(|previous| previous.number == number).for_each(|previous| previous.stage.let_go());
        }
    }
}
