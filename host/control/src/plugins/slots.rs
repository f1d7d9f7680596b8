//! All stages of the folder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::plan::Known;
use super::slot::Slot;

/// All stages by name.
#[derive(Default)]
pub struct Slots(BTreeMap<Arc<str>, Slot>);

impl Slots {
    /// What the plan needs to know.
    #[must_use]
    pub fn known(&self, now: Instant) -> BTreeMap<Arc<str>, Known> {
        let known = |slot: &Slot| {
            let mut known = Known { troubled: slot.error.is_some(), ..slot.known.clone() };
            if slot.again.is_some_and(|again| again.due() <= now) {
                known.failed = None;
            }
            known
        };
        self.0.iter().map(|(stage, slot)| (stage.clone(), known(slot))).collect()
    }

    /// When the next attempt is due at what has failed.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let waiting = self.0.values().filter(|slot| slot.known.loading.is_none());
        waiting.filter_map(|slot| Some(slot.again?.due())).min()
    }

    /// One stage.
    #[must_use]
    pub fn get(&self, stage: &str) -> Option<&Slot> {
        self.0.get(stage)
    }

    /// One stage, to be changed.
    pub fn get_mut(&mut self, stage: &str) -> Option<&mut Slot> {
        self.0.get_mut(stage)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Slot)> {
        self.0.iter()
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut Slot)> {
        self.0.iter_mut()
    }

    /// The stages in the folder's order.
    #[must_use]
    pub fn order(&self) -> Vec<Arc<str>> {
        let mut order: Vec<_> = self.0.iter().map(|(stage, slot)| (&slot.file, stage.clone())).collect();
        // As `ls` shows them.
        order.sort();
        order.into_iter().map(|(_, stage)| stage).collect()
    }

    /// The stage's file is this one.
    pub fn place(&mut self, stage: &Arc<str>, file: &str) {
        let slot = self.0.entry(stage.clone()).or_default();
        if slot.file != file {
            file.clone_into(&mut slot.file);
        }
        slot.gone = false;
    }

    /// What is to be tried again is tried now: what it failed for may be another matter by now.
    pub fn hasten(&mut self, now: Instant) {
        for again in self.0.values_mut().filter_map(|slot| slot.again.as_mut()) {
            again.hasten(now);
        }
    }

    /// Forgets a stage.
    pub fn remove(&mut self, stage: &str) -> Option<Slot> {
        self.0.remove(stage)
    }
}
