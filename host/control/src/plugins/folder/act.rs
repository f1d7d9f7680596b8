//! Does what is planned, and takes what was made.

use std::sync::Arc;
use std::time::Instant;

use pipeline::chain::stage::Stage;
use pipeline::chain::trial::Mode;

use super::Worker;
use crate::plugins::again::Again;
use crate::plugins::make::{Job, Made, Ready};
use crate::plugins::name;
use crate::plugins::plan::{Plan, Recipe};
use crate::plugins::scan::Found;
use crate::plugins::shelf::Paths;
use crate::plugins::slot::{Replaced, Slot, Tried};
use crate::plugins::status::{self, Failure, Step};
use crate::plugins::took::Times;
use crate::plugins::version::Phase;

impl Worker {
    pub(super) fn execute(&mut self, plan: Plan, found: Found) {
        for note in found.notes.iter().filter(|note| !self.notes.contains(note)) {
            tracing::warn!("{note}");
        }
        (self.notes, self.moving, self.due) = (found.notes, found.moving, found.due);
        // What another folder holds is known once it stands still: until then nothing goes.
        self.arriving &= self.moving;
        let gone: &[Arc<str>] = if self.arriving { &[] } else { &plan.retire };
        for stage in gone {
            self.retire(stage);
        }
        for stage in &plan.settle {
            self.settle(stage);
        }
        for stage in &plan.calm {
            self.calm(stage, "the folder holds again what is tried or held");
        }
        for (file, earlier) in &plan.twice {
            if !self.twice.iter().any(|(known, _)| known == file) {
                tracing::error!("{file} cannot be used: {earlier} is already this stage");
                self.state.remember(format!("{file} cannot be used: {earlier} is already this stage"));
            }
        }
        self.twice = plan.twice;
        for (stem, file, why) in found.unreadable {
            let failure = Failure { file, version: None, step: Step::Read, why, passing: false, at: status::now() };
            let stage = name::stage_of(&stem);
            self.say_failed(stage, &failure);
            let interrupted = self.slots.get_mut(stage).and_then(|slot| slot.unreadable(failure));
            self.overtaken(interrupted);
        }
        for (stage, file, recipe) in plan.load {
            self.load(&stage, &file, recipe);
        }
        self.order = self.slots.order();
    }

    /// The folder holds what runs.
    fn settle(&mut self, stage: &Arc<str>) {
        self.calm(stage, "the folder holds again what runs");
        let trial = self.slots.get_mut(stage).and_then(Slot::settle);
        self.withdrawn(trial, "the folder holds again what counts");
    }

    /// What failed, or is being made, no longer matters.
    fn calm(&mut self, stage: &Arc<str>, why: &str) {
        let Some(slot) = self.slots.get_mut(stage) else { return };
        if slot.error.is_some() {
            tracing::info!(plugin = %stage, "{why}");
            self.state.remember(format!("{stage}: {why}"));
        }
        let interrupted = slot.calm();
        self.overtaken(interrupted);
    }

    /// Has a stage made: what the folder holds, or what was noted that it counts.
    fn load(&mut self, stage: &Arc<str>, file: &str, recipe: Recipe) {
        let (settled, stem) = (Instant::now(), name::stem_of(file));
        let noticed = self.scan.take_noticed(stem).unwrap_or(settled);
        let counts = self.is_recorded(stage, &recipe);
        let folder = self.scan.folder();
        let Paths { plugin, sidecar, signature } = self.shelved(stage, &recipe).unwrap_or_else(|| {
            let sidecar = recipe.sidecar.map(|_| {
                let sidecar = folder.join(format!("{stem}.yaml"));
                if sidecar.exists() { sidecar } else { folder.join(format!("{stem}.yml")) }
            });
            Paths { plugin: folder.join(file), sidecar, signature: folder.join(name::signature_of(stem)) }
        });
        let number = self.history.noticed(stage, file.to_owned(), &recipe);
        let job = Job {
            stage: stage.clone(),
            plugin,
            sidecar,
            signature,
            recipe: recipe.clone(),
            defaults: self.settings.defaults,
            keys: self.settings.keys.clone(),
            oci: self.settings.oci.clone(),
            noticed,
            settled,
            number,
            counts,
        };
        let overtaken = self.slots.get_mut(stage).and_then(|slot| slot.begin(recipe, number));
        self.overtaken(overtaken.filter(|&overtaken| overtaken != number));
        self.makers.make(job);
    }

    fn retire(&mut self, stage: &Arc<str>) {
        let required = self.is_required(stage);
        let Some(slot) = self.slots.get_mut(stage) else { return };
        if required && slot.stage.is_some() {
            if !slot.gone {
                let trial = slot.withdraw();
                let interrupted = slot.gone();
                self.overtaken(interrupted);
                self.withdrawn(trial, "its file is gone");
                self.state.remember(format!("{stage}: its file is gone, and it is required"));
                tracing::error!(plugin = %stage, "a required plugin is gone, traffic is refused until it is back");
            }
            return;
        }
        tracing::info!(plugin = %stage, "plugin removed");
        self.state.remember(format!("{stage} was removed"));
        if let Some(slot) = self.slots.remove(stage) {
            self.overtaken(slot.loading);
            self.withdrawn(slot.trial, "its file is gone");
            if let Some(old) = slot.stage {
                self.history.change(slot.number, |version| version.why = Some("its file is gone".to_owned()));
                self.replaced(slot.since.is_some(), slot.number, &old);
            }
        }
        self.makers.forget(stage);
        self.ground.maker.forget(stage);
    }

    pub(super) fn reached(&mut self, number: u64, phase: Phase) {
        let is_over = |over: Phase| matches!(over, Phase::Retired | Phase::Failed);
        if self.history.get(number).is_some_and(|version| !is_over(version.phase)) {
            self.history.enter(number, phase);
        }
    }

    pub(super) fn made(&mut self, made: Made) {
        self.makers.done(&made);
        let Made { stage: name, recipe, number: made, counts, times, outcome, .. } = made;
        let is_wanted = |slot: &&mut Slot| slot.known.loading.as_ref() == Some(&recipe) && slot.loading == Some(made);
        let Some(slot) = self.slots.get_mut(&name).filter(is_wanted) else {
            if self.slots.get(&name).is_none() {
                // What making it has left behind after it was removed.
                self.ground.maker.forget(&name);
            }
            self.untidy = true;
            return; // Overtaken by another change, or removed.
        };
        slot.loading = None;
        match outcome {
            Ok(ready) if !counts && slot.is_alike(&recipe, &ready) => match counted(ready) {
                Ok(ready) => self.succeeded(&name, (recipe, made), ready, times, true),
                Err(failure) => self.failed(&name, (recipe, made), failure, false),
            },
            Ok(ready) => self.succeeded(&name, (recipe, made), ready, times, counts),
            Err(failure) => self.failed(&name, (recipe, made), failure, counts),
        }
    }

    fn succeeded(&mut self, name: &Arc<str>, made: (Recipe, u64), ready: Ready, times: Times, counts: bool) {
        let (recipe, number) = made;
        let is_recorded = self.is_recorded(name, &recipe);
        let Some(slot) = self.slots.get_mut(name) else { return };
        tracing::debug!(plugin = %name, version = %ready.stage.spec().version, "plugin is ready");
        self.history.change(number, |version| version.plugin_version.clone_from(&ready.plugin_version));
        if let Some(mode) = ready.sidecar.trying.mode.filter(|_| !counts) {
            let ended = slot.tried(recipe, number, mode, ready, times);
            self.withdrawn(ended, "another version is tried");
            return;
        }
        let replaced = slot.counts(recipe, number, ready, times);
        if is_recorded && let Some(record) = self.records.remove(name) {
            slot.hold_as(record.held.as_ref());
        }
        self.follow(replaced, "another version counts");
    }

    fn failed(&mut self, name: &Arc<str>, made: (Recipe, u64), failure: Failure, counts: bool) {
        let Some(slot) = self.slots.get_mut(name) else { return };
        let ((recipe, number), now) = (made, Instant::now());
        let is_shelved = slot.wanted.as_ref().is_some_and(|wanted| !wanted.is_same_version(&recipe));
        let is_silent = match failure.step {
            // The look was overtaken by a change or by a new name, so the next one trusts nothing of it.
            Step::Read => {
                self.scan.forget(name::stem_of(&slot.file));
                slot.once_more(&recipe, Again::at_once(now))
            }
            // Of a plugin and its signature one comes before the other; the second is another recipe, and made at once.
            Step::Signature if !is_shelved => slot.once_more(&recipe, Again::in_a_moment(now)),
            _ => false,
        };
        self.history.change(number, |version| version.why = Some(failure.to_string()));
        self.history.enter(number, Phase::Failed);
        if is_silent {
            return;
        }
        // Nobody changes what is on the shelf, so that it becomes readable by itself.
        let passing = failure.passing && !(is_shelved && failure.step == Step::Read);
        let failure = Failure { passing, ..failure };
        self.say_failed(name, &failure);
        let Some(slot) = self.slots.get_mut(name) else { return };
        let is_distrusted = failure.step == Step::Signature;
        slot.not_made(recipe, failure, now);
        if counts && !passing {
            // The folder's word holds; but what was rolled back stays so where the other version only lost its key.
            let held = self.records.remove(name).and_then(|record| record.held).filter(|_| is_distrusted);
            if slot.stage.is_none() {
                slot.stay_held(held.as_ref());
            }
        }
    }

    /// What no longer runs because another version does goes its way.
    pub(super) fn follow(&mut self, replaced: Replaced, why: &str) {
        let Replaced { old, unpublished, trial, interrupted } = replaced;
        self.untidy = true;
        if let Some((number, stage)) = old {
            self.replaced(true, number, &stage);
        }
        if let Some(number) = unpublished {
            self.history.enter(number, Phase::Retired);
        }
        self.withdrawn(trial, why);
        self.overtaken(interrupted);
    }

    /// A version is no longer what counts.
    fn replaced(&mut self, was_published: bool, number: u64, stage: &Arc<Stage>) {
        self.untidy = true;
        if was_published {
            self.history.enter(number, Phase::Draining);
            self.drain.add(number, stage);
        } else {
            self.history.enter(number, Phase::Retired);
        }
    }

    /// A version is no longer tried.
    pub(super) fn withdrawn(&mut self, trial: Option<Tried>, why: &str) {
        let Some(Tried { trial, number, is_published, .. }) = trial else { return };
        self.history.change(number, |version| version.why = Some(why.to_owned()));
        let is_canary = matches!(trial.mode(), Mode::Canary(_));
        self.replaced(is_published && is_canary, number, trial.stage());
    }

    /// A version is no longer made, because something newer is.
    pub(super) fn overtaken(&mut self, number: Option<u64>) {
        let Some(number) = number else { return };
        self.history.change(number, |version| version.why = Some("overtaken by a newer change".to_owned()));
        self.history.enter(number, Phase::Retired);
    }

    /// Says what failed, unless that was said already.
    pub(super) fn say_failed(&mut self, stage: &str, failure: &Failure) {
        if self.slots.get(stage).and_then(|slot| slot.error.as_ref()).is_some_and(|known| known.is_same(failure)) {
            return;
        }
        let last_good =
            self.slots.get(stage).and_then(|slot| slot.stage.as_ref()).map(|stage| stage.spec().version.clone());
        let Failure { file, step, why, passing, .. } = failure;
        let again = if *passing { "; it is tried again" } else { "" };
        let stays = last_good.map_or_else(String::new, |version| format!("; version {version} stays"));
        tracing::error!(plugin = stage, %file, %step, why, "plugin cannot be used{stays}{again}");
        self.state.remember(format!("{file} failed at step {step}: {why}{stays}{again}"));
    }
}

/// What was made to be tried, to count at once.
fn counted(ready: Ready) -> Result<Ready, Failure> {
    match &ready.as_live {
        Some(as_live) => Ok(Ready { stage: as_live()?, as_live: None, ..ready }),
        None => Ok(ready),
    }
}
