//! Whether what runs of a stage may run on by the keys that are trusted now.

use super::Slot;
use crate::plugins::again::Again;
use crate::plugins::plan::Recipe;
use crate::plugins::signature::{Keys, Signed};

impl Slot {
    /// Whether a trusted key has signed what counts; `None` while that is being found out. `revision` is the configuration's.
    #[must_use]
    pub fn trusts_current(&self, keys: &Keys, revision: u64) -> Option<bool> {
        self.known.live.as_ref().map_or(Some(true), |live| self.trusts(live, self.signed.as_ref(), keys, revision))
    }

    /// The same of what is tried.
    #[must_use]
    pub fn trusts_trial(&self, keys: &Keys, revision: u64) -> Option<bool> {
        let tried = self.trial.as_ref();
        tried.map_or(Some(true), |tried| self.trusts(&tried.recipe, tried.signed.as_ref(), keys, revision))
    }

    /// Whether the version that ran before, if there is one, is signed by a trusted key.
    #[must_use]
    pub fn can_roll_back(&self, keys: &Keys) -> bool {
        self.previous.as_ref().is_none_or(|previous| keys.trust(previous.signed.as_ref()))
    }

    fn trusts(&self, recipe: &Recipe, signed: Option<&Signed>, keys: &Keys, revision: u64) -> Option<bool> {
        if keys.trust(signed) {
            return Some(true);
        }
        // The same plugin is being made anew, or is about to be: it may have another signature by now.
        let failed = self.known.failed.as_ref().filter(|_| self.again.as_ref().is_some_and(Again::is_early));
        let is_made_anew = self.known.loading.as_ref().or(failed).is_some_and(|made| made.plugin == recipe.plugin);
        // Nobody had asked who has signed it, and its files were not looked at since somebody does.
        let is_unasked = signed.is_none() && self.wanted.as_ref().is_some_and(|wanted| wanted.defaults != revision);
        (!is_made_anew && !is_unasked).then_some(false)
    }
}
