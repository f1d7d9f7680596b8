//! What is known of each stage of the folder: what runs, what is tried, what is being made, what failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pipeline::chain::place::Place;
use pipeline::chain::stage::Stage;
use pipeline::chain::trial::{Mode, Trial};

use super::again::Again;
use super::make::{AsLive, Ready};
use super::name;
use super::plan::{Known, Recipe};
use super::sidecar::Sidecar;
use super::signature::{Keys, Signed};
use super::status::{self, Failure, State, Step};
use super::took::{Steps, Times, Took};
use super::trying::Rule;

/// One stage.
#[derive(Default)]
pub struct Slot {
    /// Its file.
    pub file: String,
    /// For the plan.
    pub known: Known,
    /// What runs.
    pub stage: Option<Arc<Stage>>,
    /// Its number in the history.
    pub number: u64,
    /// The generation with which it went live.
    pub since: Option<u64>,
    /// What its sidecar says.
    pub sidecar: Option<Sidecar>,
    /// Who has signed it, if that was asked for when it was made.
    pub signed: Option<Signed>,
    /// What ran before it, for who wants it back.
    pub previous: Option<Previous>,
    /// What is tried beside it.
    pub trial: Option<Tried>,
    /// The number in the history of what is being made.
    pub loading: Option<u64>,
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

/// A version that ran.
pub struct Previous {
    /// The stage, as it was.
    pub stage: Arc<Stage>,
    /// What it was made from.
    pub recipe: Recipe,
    /// Its number in the history.
    pub number: u64,
    /// What its sidecar says.
    pub sidecar: Sidecar,
    /// Who has signed it, if that was asked for when it was made.
    pub signed: Option<Signed>,
}

/// A version that is tried.
pub struct Tried {
    /// The trial.
    pub trial: Arc<Trial>,
    /// What it was made from.
    pub recipe: Recipe,
    /// Its number in the history.
    pub number: u64,
    /// What its sidecar says.
    pub sidecar: Sidecar,
    /// Who has signed it, if that was asked for when it was made.
    pub signed: Option<Signed>,
    /// Why its rule no longer does.
    pub not_promoted: Option<String>,
    /// Makes it count, if it was made for the shadow.
    pub as_live: Option<AsLive>,
    /// Whether a chain has it.
    pub is_published: bool,
}

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

    /// The stages of which something runs, or is tried, that nobody of `keys` has signed, once making them anew has failed for good.
    #[must_use]
    pub fn distrusted(&self, keys: &Keys) -> Vec<Arc<str>> {
        let failed = |slot: &Slot| slot.error.is_some() && slot.known.loading.is_none() && slot.again.is_none();
        let trusted = |slot: &Slot| {
            (slot.stage.is_none() || keys.trust(slot.signed.as_ref()))
                && slot.trial.as_ref().is_none_or(|tried| keys.trust(tried.signed.as_ref()))
        };
        self.0.iter().filter(|(_, slot)| failed(slot) && !trusted(slot)).map(|(stage, _)| stage.clone()).collect()
    }

    /// Forgets a stage.
    pub fn remove(&mut self, stage: &str) -> Option<Slot> {
        self.0.remove(stage)
    }
}

impl Slot {
    /// What runs is what is wanted: what was tried or held since no longer matters. Answers the trial that ends.
    pub fn settle(&mut self) -> Option<Tried> {
        (self.known.loading, self.known.failed, self.known.held) = (None, None, None);
        (self.error, self.again) = (None, None);
        self.withdraw()
    }

    /// Nothing is tried any more.
    pub fn withdraw(&mut self) -> Option<Tried> {
        self.known.tried = None;
        self.trial.take()
    }

    /// The stage is being made. Answers the number of what it overtakes.
    pub fn begin(&mut self, recipe: Recipe, number: u64) -> Option<u64> {
        self.known.loading = Some(recipe);
        self.loading.replace(number)
    }

    /// The stage was made and counts from the next chain on.
    pub fn counts(&mut self, recipe: Recipe, number: u64, ready: Ready, times: Times) -> Replaced {
        let Ready { stage, signed, steps, sidecar, .. } = ready;
        let replaced = self.replace(Previous { stage, recipe, number, sidecar, signed });
        self.made = Some((times, steps));
        replaced
    }

    /// Another version counts from the next chain on.
    fn replace(&mut self, next: Previous) -> Replaced {
        let Previous { stage, recipe, number, sidecar, signed } = next;
        let old = self.take_current();
        let was_published = self.since.is_some();
        self.known = Known { live: Some(recipe), ..Known::default() };
        (self.stage, self.number, self.sidecar) = (Some(stage), number, Some(sidecar));
        (self.signed, self.distrusted) = (signed, false);
        (self.since, self.made, self.took) = (None, None, None);
        (self.error, self.again, self.loading) = (None, None, None);
        let trial = self.trial.take();
        let mut replaced = Replaced { old: None, unpublished: None, trial };
        match old {
            Some(old) if was_published => {
                replaced.old = Some((old.number, Arc::clone(&old.stage)));
                self.previous = Some(old);
            }
            // No batch has met it.
            Some(old) => replaced.unpublished = Some(old.number),
            None => {}
        }
        replaced
    }

    fn take_current(&mut self) -> Option<Previous> {
        let (stage, recipe, sidecar) = (self.stage.take()?, self.known.live.take()?, self.sidecar.take()?);
        Some(Previous { stage, recipe, number: self.number, sidecar, signed: self.signed.take() })
    }

    /// Whether the version that ran before, if there is one, is signed by a trusted key.
    #[must_use]
    pub fn can_roll_back(&self, keys: &Keys) -> bool {
        self.previous.as_ref().is_none_or(|previous| keys.trust(previous.signed.as_ref()))
    }

    /// The version that ran before runs again; what runs is held. `false` where there is none.
    pub fn roll_back(&mut self) -> Option<Replaced> {
        let previous = self.previous.take()?;
        let held = self.known.live.clone();
        let replaced = self.replace(previous);
        self.known.held = held;
        Some(replaced)
    }

    /// What was tried counts from the next chain on.
    pub fn promote(&mut self, tried: Tried, stage: Arc<Stage>) -> Replaced {
        let Tried { recipe, number, sidecar, signed, .. } = tried;
        self.replace(Previous { stage, recipe, number, sidecar, signed })
    }

    /// The stage was made and is tried from the next chain on. Answers the trial that it ends.
    pub fn tried(&mut self, recipe: Recipe, number: u64, mode: Mode, ready: Ready, times: Times) -> Option<Tried> {
        let Ready { stage, signed, steps, sidecar, as_live, .. } = ready;
        (self.known.tried, self.known.loading, self.known.failed) = (Some(recipe.clone()), None, None);
        (self.error, self.again, self.loading, self.known.held) = (None, None, None, None);
        if self.stage.is_none() {
            self.made = Some((times, steps));
        }
        let trial = Arc::new(Trial::new(stage, mode));
        let not_promoted = None;
        self.trial.replace(Tried { trial, recipe, number, sidecar, signed, not_promoted, as_live, is_published: false })
    }

    /// The stage could not be made from this; if the failure may pass, it is tried again later.
    pub fn not_made(&mut self, recipe: Recipe, failure: Failure, now: Instant) {
        let before = self.attempts(&recipe);
        self.again = failure.passing.then(|| Again::after(before, now));
        (self.known.loading, self.known.failed, self.error) = (None, Some(recipe), Some(failure));
        self.loading = None;
    }

    /// What failed says nothing yet: the files were no longer what was to be read, or one that belongs to them may be about to follow. Answers
    /// whether it is tried once more, as it is the first time.
    pub fn once_more(&mut self, recipe: &Recipe, again: Again) -> bool {
        if self.attempts(recipe).is_some() {
            return false;
        }
        self.again = Some(again);
        (self.known.loading, self.known.failed, self.loading) = (None, Some(recipe.clone()), None);
        true
    }

    /// What runs is not trusted, and stays because it is required. Answers whether that is new.
    pub fn distrust(&mut self) -> bool {
        !std::mem::replace(&mut self.distrusted, true)
    }

    /// Nothing of the stage is to run. Answers what did, and what was tried.
    pub fn take_out(&mut self) -> Replaced {
        let was_published = self.since.is_some();
        let old = self.take_current().map(|old| (old.number, old.stage));
        (self.made, self.took, self.since, self.distrusted) = (None, None, None, false);
        let (old, unpublished) = if was_published { (old, None) } else { (None, old.map(|(number, _)| number)) };
        Replaced { old, unpublished, trial: self.withdraw() }
    }

    /// Its files cannot be read: whatever they hold is made once they can be.
    pub fn unreadable(&mut self) {
        (self.known.loading, self.known.failed, self.again) = (None, None, None);
    }

    /// The stage stays although its file is gone.
    pub fn gone(&mut self) {
        (self.gone, self.known.loading, self.again) = (true, None, None);
    }

    /// What counts is live under this generation. Answers whether it was not before; how long it took, [`Slot::took`] says then.
    pub fn published(&mut self, generation: u64, now: Instant) -> bool {
        if self.stage.is_none() || self.since.is_some() {
            return false;
        }
        self.took = self.made.take().map(|(times, steps)| times.took(&steps, now));
        self.since = Some(generation);
        true
    }

    /// Whether nothing was made for it yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.stage.is_none() && self.trial.is_none() && self.known.loading.is_none()
    }

    /// Whether what counts is what was made, but for how it is to be tried: then there is nothing to try.
    #[must_use]
    pub fn is_alike(&self, recipe: &Recipe, ready: &Ready) -> bool {
        self.known.live.as_ref().is_some_and(|live| live.plugin == recipe.plugin)
            && self.sidecar.as_ref().is_some_and(|sidecar| sidecar.is_same_otherwise(&ready.sidecar))
    }

    /// Whether what counts does so because it was promoted, though its sidecar wants it tried.
    #[must_use]
    pub fn is_promoted(&self) -> bool {
        self.sidecar.as_ref().is_some_and(|sidecar| sidecar.trying.mode.is_some())
    }

    /// What stands at its place in the chain.
    #[must_use]
    pub fn in_chain(&self) -> Option<Place> {
        let trial = self.trial.as_ref().map(|tried| Arc::clone(&tried.trial));
        (self.stage.is_some() || trial.is_some()).then(|| Place { stage: self.stage.clone(), trial })
    }

    fn attempts(&self, recipe: &Recipe) -> Option<Again> {
        self.again.filter(|_| self.known.failed.as_ref() == Some(recipe))
    }

    /// Whether it is live or has failed, as far as can be told soon.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let runs = self.stage.is_some() || self.trial.is_some();
        self.known.loading.is_none() && (runs || !self.again.is_some_and(|again| again.is_early()))
    }

    /// For people.
    #[must_use]
    pub fn status(&self, stage: &str) -> status::Stage {
        let state = match (&self.stage, &self.error) {
            _ if self.gone => State::Gone,
            (Some(_), _) => State::Live,
            (None, _) if self.trial.is_some() => State::Tried,
            (None, Some(_)) => State::Failed,
            (None, None) => State::Loading,
        };
        let spec = self.stage.as_ref().map(|stage| stage.spec());
        status::Stage {
            version: spec.map(|spec| spec.version.to_string()),
            signature: self.signed.as_ref().map(Signed::shown),
            generation: self.since,
            took: self.took,
            on_error: spec.map(|spec| spec.on_error.name().to_owned()),
            error: self.error.clone(),
            trial: self.trial.as_ref().map(Tried::status),
            previous: self.previous.as_ref().map(|previous| previous.stage.spec().version.to_string()),
            held: self.known.held.as_ref().map(|held| held.plugin.short()),
            ..status::Stage::new(stage.to_owned(), self.file.clone(), state)
        }
    }

    /// A file whose stage is already another one's.
    #[must_use]
    pub fn twice(file: &str, earlier: &str) -> status::Stage {
        let stage = name::stage_of(name::stem_of(file));
        let why = format!("{earlier} is already stage {stage}; give it another name");
        let file = file.to_owned();
        let error =
            Failure { file: file.clone(), version: None, step: Step::Name, why, passing: false, at: status::now() };
        status::Stage { error: Some(error), ..status::Stage::new(stage.to_owned(), file, State::Failed) }
    }
}

/// What no longer runs because another version does.
pub struct Replaced {
    /// What counted: its number in the history, and the stage.
    pub old: Option<(u64, Arc<Stage>)>,
    /// What would have counted with the next chain.
    pub unpublished: Option<u64>,
    /// What was tried.
    pub trial: Option<Tried>,
}

impl Tried {
    /// By which it is promoted without being asked.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        self.sidecar.trying.rule
    }

    fn status(&self) -> status::Trial {
        let (mode, share) = match self.trial.mode() {
            Mode::Shadow => ("shadow", None),
            Mode::Canary(share) => ("canary", Some(share)),
        };
        status::Trial {
            version: self.trial.stage().spec().version.to_string(),
            mode: mode.to_owned(),
            share,
            promote: self.rule(),
            not_promoted: self.not_promoted.clone(),
            ..status::Trial::default()
        }
    }
}
