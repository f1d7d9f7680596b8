//! What is known of a stage of the folder: what runs, what is tried, what is being made, what failed.

use std::sync::Arc;
use std::time::Instant;

use pipeline::chain::place::Place;
use pipeline::chain::stage::Stage;
use pipeline::chain::trial::{Mode, Trial};

use super::again::Again;
use super::make::{AsLive, Ready};
use super::plan::{Known, Recipe};
use super::shelf::{Key, Record};
use super::sidecar::Sidecar;
use super::signature::Signed;
use super::status::Failure;
use super::took::{Steps, Times, Took};
use super::trying::Rule;

mod shown;
mod trust;

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
    /// The same where only its files are kept: it ran before a restart.
    pub before: Option<Key>,
    /// What the folder holds; `None` while it cannot be read.
    pub wanted: Option<Recipe>,
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

impl Slot {
    /// What runs is what is wanted: what was tried or held since no longer matters. Answers the trial that ends.
    pub fn settle(&mut self) -> Option<Tried> {
        self.known.held = None;
        self.withdraw()
    }

    /// What failed last no longer matters, and neither does what is being made. Answers the number of that.
    #[must_use]
    pub fn calm(&mut self) -> Option<u64> {
        (self.known.failed, self.error, self.again) = (None, None, None);
        self.interrupt()
    }

    /// What is being made is no longer wanted. Answers its number.
    #[must_use]
    pub fn interrupt(&mut self) -> Option<u64> {
        self.known.loading = None;
        self.loading.take()
    }

    /// Whatever was held, has failed or is being made is no longer in the way of a version that is wanted back. Answers the number of what is no longer made.
    pub fn make_way(&mut self) -> Option<u64> {
        self.known.held = None;
        self.calm()
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
        (self.known.held, self.known.loading, self.loading) = (None, None, None);
        (self.known.failed, self.error, self.again) = (None, None, None);
        replaced
    }

    /// Another version counts from the next chain on. What is being made, what is held and what has failed stays so.
    fn replace(&mut self, next: Previous) -> Replaced {
        let Previous { stage, recipe, number, sidecar, signed } = next;
        let old = self.take_current();
        let was_published = self.since.is_some();
        self.known.live = Some(recipe);
        (self.stage, self.number, self.sidecar) = (Some(stage), number, Some(sidecar));
        (self.signed, self.distrusted) = (signed, false);
        (self.since, self.made, self.took) = (None, None, None);
        let trial = self.withdraw();
        let mut replaced = Replaced { trial, ..Replaced::default() };
        match old {
            Some(old) if was_published => {
                replaced.old = Some((old.number, Arc::clone(&old.stage)));
                (self.previous, self.before) = (Some(old), None);
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

    /// The version that ran before runs again; what the folder holds is held, however far it is. `None` where there is no such version.
    pub fn roll_back(&mut self) -> Option<Replaced> {
        let previous = self.previous.take()?;
        let wanted = self.wanted.clone().or_else(|| self.known.live.clone());
        let replaced = self.replace(previous);
        let interrupted = self.calm();
        let live = self.known.live.as_ref();
        self.known.held = wanted.filter(|wanted| !live.is_some_and(|live| live.is_same_version(wanted)));
        Some(Replaced { interrupted, ..replaced })
    }

    /// What was rolled back, and is what the folder holds, runs again. `None` where it was not kept.
    pub fn bring_back(&mut self) -> Option<Replaced> {
        let previous = self.previous.take()?;
        let replaced = self.replace(previous);
        self.known.held = None;
        Some(replaced)
    }

    /// What the folder holds is made again.
    pub fn unhold(&mut self) {
        let held = self.known.held.take();
        let failed = self.known.failed.as_ref();
        if failed.zip(held.as_ref()).is_some_and(|(failed, held)| failed.is_same_version(held)) {
            (self.known.failed, self.error, self.again) = (None, None, None);
        }
    }

    /// What the folder holds is held, if it is what was noted to be.
    pub fn hold_as(&mut self, noted: Option<&Key>) {
        let is_noted = |wanted: &Recipe| noted.is_some_and(|noted| noted.is_same_version(&wanted.into()));
        self.known.held = self.wanted.clone().filter(is_noted);
    }

    /// What was to count instead of what the folder holds cannot, and that was held: nothing counts until somebody says so.
    pub fn stay_held(&mut self, noted: Option<&Key>) {
        self.hold_as(noted);
        if self.known.held.is_some() {
            (self.known.failed, self.again) = (self.known.held.clone(), None);
        }
    }

    /// What is tried is withdrawn because of this, and held. Answers it.
    pub fn break_off(&mut self, failure: impl FnOnce(&Self, &Tried) -> Failure) -> Option<(Tried, Failure)> {
        let tried = self.withdraw()?;
        let failure = failure(self, &tried);
        (self.known.held, self.known.failed) = (Some(tried.recipe.clone()), Some(tried.recipe.clone()));
        (self.error, self.again) = (Some(failure.clone()), None);
        Some((tried, failure))
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

    /// Nothing is to count. Answers what did.
    pub fn take_out(&mut self) -> Replaced {
        let was_published = self.since.is_some();
        let old = self.take_current().map(|old| (old.number, old.stage));
        (self.made, self.took, self.since, self.distrusted) = (None, None, None, false);
        let (old, unpublished) = if was_published { (old, None) } else { (None, old.map(|(number, _)| number)) };
        Replaced { old, unpublished, ..Replaced::default() }
    }

    /// Its files cannot be read: whatever they hold is made once they can be. Answers the number of what was being made.
    #[must_use]
    pub fn unreadable(&mut self, failure: Failure) -> Option<u64> {
        let interrupted = self.calm();
        (self.wanted, self.error) = (None, Some(failure));
        interrupted
    }

    /// The stage stays although its file is gone. Answers the number of what was being made.
    #[must_use]
    pub fn gone(&mut self) -> Option<u64> {
        (self.gone, self.again) = (true, None);
        self.interrupt()
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

    /// Whether what counts is what was made, but for how it is to be tried: then there is nothing to try.
    #[must_use]
    pub fn is_alike(&self, recipe: &Recipe, ready: &Ready) -> bool {
        self.known.live.as_ref().is_some_and(|live| live.plugin == recipe.plugin)
            && self.sidecar.as_ref().is_some_and(|sidecar| sidecar.is_same_otherwise(&ready.sidecar))
    }

    /// What a restart has to know, if anything.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        let Known { live, failed, held, .. } = &self.known;
        let is_promoted = self.sidecar.as_ref().is_some_and(|sidecar| sidecar.trying.mode.is_some());
        // Otherwise the folder says it.
        let deviates = is_promoted || held.is_some() || failed.is_some() || self.trial.is_some();
        let record = Record {
            current: live.as_ref().filter(|_| deviates).map(Into::into),
            held: held.as_ref().map(Into::into),
            previous: self.before(),
        };
        (record != Record::default()).then_some(record)
    }

    /// The version to which a rollback returns.
    #[must_use]
    pub fn before(&self) -> Option<Key> {
        self.previous.as_ref().map(|previous| (&previous.recipe).into()).or_else(|| self.before.clone())
    }

    /// The versions whose files a rollback or a restart might need.
    pub fn needed(&self) -> impl Iterator<Item = Key> {
        let tried = self.trial.as_ref().map(|tried| &tried.recipe);
        let recipes = [self.known.live.as_ref(), self.known.loading.as_ref(), tried];
        recipes.into_iter().flatten().map(Into::into).chain(self.before())
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
}

/// What no longer runs because another version does.
#[derive(Default)]
pub struct Replaced {
    /// What counted: its number in the history, and the stage.
    pub old: Option<(u64, Arc<Stage>)>,
    /// What would have counted with the next chain.
    pub unpublished: Option<u64>,
    /// What was tried.
    pub trial: Option<Tried>,
    /// What was being made.
    pub interrupted: Option<u64>,
}

impl Tried {
    /// By which it is promoted without being asked.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        self.sidecar.trying.rule
    }
}
