//! Keys that are trusted no longer take along what only they have signed.

use std::sync::Arc;

use super::Worker;
use crate::plugins::slot::Slot;
use crate::plugins::status::{self, Failure, Step};

impl Worker {
    pub(super) fn is_required(&self, stage: &str) -> bool {
        self.settings.required.iter().any(|required| required == stage)
    }

    /// What nobody has signed who is trusted now goes, as files do that are removed.
    pub(super) fn distrust(&mut self) {
        for stage in self.order.clone() {
            let Some(slot) = self.slots.get(&stage) else { continue };
            let (keys, revision) = (&self.settings.keys, self.revision);
            if slot.trusts_trial(keys, revision) == Some(false) {
                self.withdraw_distrusted(&stage);
            }
            let Some(slot) = self.slots.get(&stage) else { continue };
            match slot.trusts_current(&self.settings.keys, revision) {
                // That is being found out.
                None => {}
                Some(false) if !self.is_required(&stage) => self.take_out(&stage),
                Some(trusted) => self.mark(&stage, !trusted),
            }
        }
    }

    fn withdraw_distrusted(&mut self, stage: &Arc<str>) {
        let trial = self.slots.get_mut(stage).and_then(Slot::withdraw);
        self.withdrawn(trial, WHY);
        tracing::error!(plugin = %stage, "what is tried of a plugin is not signed by a trusted key, it is withdrawn");
        self.state.remember(format!("{stage}: what was tried is not signed by a trusted key"));
    }

    /// Nothing of it counts. What was rolled back for it stays so.
    fn take_out(&mut self, stage: &Arc<str>) {
        let Some(slot) = self.slots.get_mut(stage) else { return };
        let (file, why) = (slot.file.clone(), "what ran is not signed by a trusted key".to_owned());
        let replaced = slot.take_out();
        if slot.error.is_none() && slot.known.held.is_some() {
            let failure =
                Failure { file, version: None, step: Step::Signature, why, passing: false, at: status::now() };
            (slot.error, slot.known.failed) = (Some(failure), slot.known.held.clone());
        }
        self.follow(replaced, WHY);
        tracing::error!(plugin = %stage, "what runs of a plugin is not signed by a trusted key, it is taken out");
        self.state.remember(format!("{stage} was taken out: what ran is not signed by a trusted key"));
    }

    /// Whether it runs on behind a closed gate, because it is required.
    fn mark(&mut self, stage: &Arc<str>, distrusted: bool) {
        let Some(slot) = self.slots.get_mut(stage) else { return };
        let was_distrusted = std::mem::replace(&mut slot.distrusted, distrusted);
        if distrusted && !was_distrusted {
            tracing::error!(plugin = %stage, "what runs of a required plugin is not signed by a trusted key, traffic is refused");
            self.state.remember(format!("{stage}: what runs is not signed by a trusted key, and it is required"));
        }
    }
}

const WHY: &str = "it is not signed by a trusted key";
