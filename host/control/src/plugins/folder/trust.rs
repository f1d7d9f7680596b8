//! Keys that are trusted no longer take along what only they have signed.

use super::Worker;

impl Worker {
    pub(super) fn is_required(&self, stage: &str) -> bool {
        self.settings.required.iter().any(|required| required == stage)
    }

    /// What nobody has signed who is trusted now goes, as files do that are removed.
    pub(super) fn distrust(&mut self) {
        for stage in self.slots.distrusted(&self.settings.keys) {
            let required = self.is_required(&stage);
            let Some(slot) = self.slots.get_mut(&stage) else { continue };
            let why = "it is not signed by a trusted key";
            let runs_on = required && slot.stage.is_some() && !self.settings.keys.trust(slot.signed.as_ref());
            if runs_on {
                let trial = slot.withdraw();
                let is_new = slot.distrust();
                self.withdrawn(trial, why);
                if is_new {
                    tracing::error!(plugin = %stage, "what runs of a required plugin is not signed by a trusted key, traffic is refused");
                    self.state
                        .remember(format!("{stage}: what runs is not signed by a trusted key, and it is required"));
                }
            } else if self.settings.keys.trust(slot.signed.as_ref()) {
                let trial = slot.withdraw();
                self.withdrawn(trial, why);
                tracing::error!(plugin = %stage, "what is tried of a plugin is not signed by a trusted key, it is withdrawn");
                self.state.remember(format!("{stage}: what was tried is not signed by a trusted key"));
            } else {
                let replaced = slot.take_out();
                self.follow(replaced, why);
                tracing::error!(plugin = %stage, "what runs of a plugin is not signed by a trusted key, it is taken out");
                self.state.remember(format!("{stage} was taken out: what ran is not signed by a trusted key"));
            }
        }
    }
}
