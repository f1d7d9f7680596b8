//! What is known of each stage of the folder: what runs, what is being made, what failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pipeline::chain::stage::Stage;

use super::again::Again;
use super::make::Ready;
use super::name;
use super::plan::{Known, Recipe};
use super::signature::{Keys, Signed};
use super::status::{self, Failure, State, Step};
use super::took::{Steps, Times, Took};

/// One stage.
#[derive(Debug, Default)]
pub struct Slot {
    /// Its file.
    pub file: String,
    /// For the plan.
    pub known: Known,
    /// What runs.
    pub stage: Option<Arc<Stage>>,
    /// Who has signed it, if that was asked for when it was made.
    pub signed: Option<Signed>,
    /// The generation with which it went live.
    pub since: Option<u64>,
    /// How long making it took, while it is not live yet.
    pub made: Option<(Times, Steps)>,
    /// How long it took until it was live.
    pub took: Option<Took>,
    /// Why the newest version does not run.
    pub error: Option<Failure>,
    /// When what failed is tried again, if its failure may pass.
    pub again: Option<Again>,
    /// Whether its file is gone and it stays because it is required.
    pub gone: bool,
    /// Whether nobody who is trusted now has signed what runs, and it stays because it is required.
    pub distrusted: bool,
}

/// All stages by name.
#[derive(Debug, Default)]
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

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Slot)> {
        self.0.iter()
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

    /// What runs is what is wanted: what was tried since no longer matters.
    pub fn settle(&mut self, stage: &str) {
        if let Some(slot) = self.0.get_mut(stage) {
            (slot.known.loading, slot.known.failed, slot.error, slot.again) = (None, None, None, None);
        }
    }

    /// The stage is being made.
    pub fn loading(&mut self, stage: &str, recipe: Recipe) {
        if let Some(slot) = self.0.get_mut(stage) {
            slot.known.loading = Some(recipe);
        }
    }

    /// The stage was made.
    pub fn live(&mut self, stage: &str, recipe: Recipe, ready: Ready, times: Times) {
        if let Some(slot) = self.0.get_mut(stage) {
            slot.known = Known { live: Some(recipe), ..Known::default() };
            (slot.made, slot.took) = (Some((times, ready.steps)), None);
            (slot.signed, slot.distrusted) = (ready.signed, false);
            (slot.stage, slot.since, slot.error, slot.again) = (Some(ready.stage), None, None, None);
        }
    }

    /// The stage could not be made from this; if the failure may pass, it is tried again later.
    pub fn not_made(&mut self, stage: &str, recipe: Recipe, failure: Failure, now: Instant) {
        if let Some(slot) = self.0.get_mut(stage) {
            let before = slot.attempts(&recipe);
            slot.again = failure.passing.then(|| Again::after(before, now));
            (slot.known.loading, slot.known.failed, slot.error) = (None, Some(recipe), Some(failure));
        }
    }

    /// What failed says nothing yet: the files were no longer what was to be read, or one that belongs to them may be about to follow. Answers
    /// whether it is tried once more, as it is the first time.
    pub fn once_more(&mut self, stage: &str, recipe: &Recipe, again: Again) -> bool {
        let Some(slot) = self.0.get_mut(stage).filter(|slot| slot.attempts(recipe).is_none()) else { return false };
        slot.again = Some(again);
        (slot.known.loading, slot.known.failed) = (None, Some(recipe.clone()));
        true
    }

    /// What is to be tried again is tried now: what it failed for may be another matter by now.
    pub fn hasten(&mut self, now: Instant) {
        for again in self.0.values_mut().filter_map(|slot| slot.again.as_mut()) {
            again.hasten(now);
        }
    }

    /// The stages of which something runs that nobody of `keys` has signed, once making them anew has failed for good.
    #[must_use]
    pub fn distrusted(&self, keys: &Keys) -> Vec<Arc<str>> {
        let failed = |slot: &Slot| slot.error.is_some() && slot.known.loading.is_none() && slot.again.is_none();
        let is_one = |slot: &Slot| slot.stage.is_some() && failed(slot) && !keys.trust(slot.signed.as_ref());
        self.0.iter().filter(|(_, slot)| is_one(slot)).map(|(stage, _)| stage.clone()).collect()
    }

    /// What runs is not trusted, and stays because it is required. Answers whether that is new.
    pub fn distrust(&mut self, stage: &str) -> bool {
        self.0.get_mut(stage).is_some_and(|slot| !std::mem::replace(&mut slot.distrusted, true))
    }

    /// Nothing of the stage is to run.
    pub fn withdraw(&mut self, stage: &str) {
        if let Some(slot) = self.0.get_mut(stage) {
            (slot.stage, slot.known.live, slot.signed, slot.distrusted) = (None, None, None, false);
            (slot.made, slot.took, slot.since) = (None, None, None);
        }
    }

    /// Its files cannot be read: whatever they hold is made once they can be.
    pub fn unreadable(&mut self, stage: &str) {
        if let Some(slot) = self.0.get_mut(stage) {
            (slot.known.loading, slot.known.failed, slot.again) = (None, None, None);
        }
    }

    /// Why.
    pub fn failed(&mut self, stage: &str, failure: Failure) {
        if let Some(slot) = self.0.get_mut(stage) {
            slot.error = Some(failure);
        }
    }

    /// The stage stays although its file is gone.
    pub fn gone(&mut self, stage: &str) {
        if let Some(slot) = self.0.get_mut(stage) {
            (slot.gone, slot.known.loading, slot.again) = (true, None, None);
        }
    }

    /// Forgets a stage.
    pub fn remove(&mut self, stage: &str) {
        self.0.remove(stage);
    }

    /// All that were made are live under this generation. Answers those that were not before.
    pub fn published(&mut self, generation: u64, now: Instant) -> Vec<(Arc<Stage>, Took)> {
        let mut fresh = Vec::new();
        for slot in self.0.values_mut() {
            if let (Some(stage), Some((times, steps))) = (&slot.stage, slot.made.take()) {
                let took = times.took(&steps, now);
                (slot.since, slot.took) = (Some(generation), Some(took));
                fresh.push((stage.clone(), took));
            }
        }
        fresh
    }
}

impl Slot {
    fn attempts(&self, recipe: &Recipe) -> Option<Again> {
        self.again.filter(|_| self.known.failed.as_ref() == Some(recipe))
    }

    /// Whether it is live or has failed, as far as can be told soon.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.known.loading.is_none() && (self.stage.is_some() || !self.again.is_some_and(|again| again.is_early()))
    }

    /// For people.
    #[must_use]
    pub fn status(&self, stage: &str) -> status::Stage {
        let state = match (&self.stage, &self.error) {
            _ if self.gone => State::Gone,
            (Some(_), _) => State::Live,
            (None, Some(_)) => State::Failed,
            (None, None) => State::Loading,
        };
        let spec = self.stage.as_ref().map(|stage| stage.spec());
        status::Stage {
            stage: stage.to_owned(),
            file: self.file.clone(),
            state,
            version: spec.map(|spec| spec.version.to_string()),
            signature: self.signed.as_ref().map(Signed::shown),
            generation: self.since,
            took: self.took,
            on_error: spec.map(|spec| spec.on_error.name().to_owned()),
            breaker: None,
            faults: 0,
            error: self.error.clone(),
        }
    }

    /// A file whose stage is already another one's.
    #[must_use]
    pub fn twice(file: &str, earlier: &str) -> status::Stage {
        let stage = name::stage_of(name::stem_of(file)).to_owned();
        let why = format!("{earlier} is already stage {stage}; give it another name");
        let file = file.to_owned();
        let error =
            Failure { file: file.clone(), version: None, step: Step::Name, why, passing: false, at: status::now() };
        status::Stage {
            stage,
            file,
            state: State::Failed,
            version: None,
            signature: None,
            generation: None,
            took: None,
            on_error: None,
            breaker: None,
            faults: 0,
            error: Some(error),
        }
    }
}
