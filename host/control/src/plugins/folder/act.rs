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
use crate::plugins::shelf::{Key, Paths, Record};
use crate::plugins::slot::{Replaced, Slot, Tried};
use crate::plugins::status::{self, Failure, Step};
use crate::plugins::version::Phase;

impl Worker {
    pub(super) fn execute(&mut self, plan: Plan, found: Found) {
        for note in found.notes.iter().filter(|note| !self.notes.contains(note)) {
            tracing::warn!("{note}");
        }
        (self.notes, self.moving, self.due) = (found.notes, found.moving, found.due);
        for stage in &plan.retire {
            self.retire(stage);
        }
        for (stage, file) in &plan.order {
            self.slots.place(stage, file);
        }
        for stage in &plan.settle {
            self.settle(stage);
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
            self.report(stage, &failure);
            if let Some(slot) = self.slots.get_mut(stage) {
                slot.unreadable();
                slot.error = Some(failure);
            }
        }
        for (stage, file, recipe) in plan.load {
            self.load(&stage, &file, recipe);
        }
        self.order = self.slots.order();
    }

    /// The folder holds what runs.
    fn settle(&mut self, stage: &Arc<str>) {
        let Some(slot) = self.slots.get_mut(stage) else { return };
        let was_troubled = slot.error.is_some();
        let trial = slot.settle();
        let overtaken = slot.loading.take();
        if was_troubled {
            tracing::info!(plugin = %stage, "the folder holds again what runs");
            self.state.remember(format!("{stage}: the folder holds again what runs"));
        }
        self.overtaken(overtaken);
        self.withdrawn(trial, "the folder holds again what counts");
    }

    /// Has a stage made: what the folder holds, or what was noted that it counts.
    fn load(&mut self, stage: &Arc<str>, file: &str, recipe: Recipe) {
        let (settled, stem) = (Instant::now(), name::stem_of(file));
        let noticed = self.scan.take_noticed(stem).unwrap_or(settled);
        let is_fresh = self.slots.get(stage).is_some_and(Slot::is_fresh);
        let record = self.records.remove(&**stage).filter(|_| is_fresh);
        let shelved = record.as_ref().and_then(|record| self.shelved(stage, &recipe, record));
        let restoring = shelved.is_some();
        let counts = restoring || record.is_some_and(|record| record.current == (&recipe).into());
        let folder = self.scan.folder();
        let (Paths { plugin, sidecar, signature }, recipe) = shelved.unwrap_or_else(|| {
            let sidecar = recipe.sidecar.map(|_| {
                let sidecar = folder.join(format!("{stem}.yaml"));
                if sidecar.exists() { sidecar } else { folder.join(format!("{stem}.yml")) }
            });
            let signature = folder.join(name::signature_of(stem));
            (Paths { plugin: folder.join(file), sidecar, signature }, recipe)
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
        let overtaken = self.slots.get_mut(stage).and_then(|slot| {
            slot.known.restoring = restoring;
            slot.begin(recipe, number)
        });
        self.overtaken(overtaken.filter(|&overtaken| overtaken != number));
        self.makers.make(job);
    }

    /// The files of the version that counts, where a record says that it is not what the folder holds.
    fn shelved(&mut self, stage: &Arc<str>, wanted: &Recipe, record: &Record) -> Option<(Paths, Recipe)> {
        if record.current == wanted.into() {
            return None;
        }
        let Key { plugin, sidecar, signature } = record.current;
        // Kept before signatures were asked for, or without one, it is refused as the folder's would be.
        let signature = signature.filter(|_| self.settings.keys.are_asked_for());
        let recipe = Recipe { plugin, sidecar, signature, defaults: wanted.defaults };
        let paths = self.ground.shelf.find(&record.current)?;
        let is_held = record.held.as_ref().is_some_and(|held| *held == wanted.into());
        if is_held && let Some(slot) = self.slots.get_mut(stage) {
            slot.known.held = Some(wanted.clone());
        }
        tracing::info!(plugin = %stage, version = recipe.plugin.short(), folder_holds = wanted.plugin.short(), "the version that counted before the restart counts");
        Some((paths, recipe))
    }

    fn retire(&mut self, stage: &Arc<str>) {
        let required = self.is_required(stage);
        let Some(slot) = self.slots.get_mut(stage) else { return };
        if required && slot.stage.is_some() {
            if !slot.gone {
                let trial = slot.withdraw();
                let overtaken = slot.loading.take();
                slot.gone();
                self.overtaken(overtaken);
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
            return; // Overtaken by another change, or removed.
        };
        let number = slot.loading.take().unwrap_or_default();
        slot.known.restoring = false;
        let (outcome, counts) = match outcome {
            Ok(ready) if !counts && slot.is_alike(&recipe, &ready) => (counted(ready), true),
            outcome => (outcome, counts),
        };
        match outcome {
            Ok(ready) => {
                tracing::debug!(plugin = %name, version = %ready.stage.spec().version, "plugin is ready");
                self.history.change(number, |version| version.plugin_version.clone_from(&ready.plugin_version));
                if let Some(mode) = ready.sidecar.trying.mode.filter(|_| !counts) {
                    let ended = slot.tried(recipe, number, mode, ready, times);
                    self.withdrawn(ended, "another version is tried");
                    return;
                }
                let held = slot.known.held.take().filter(|_| counts);
                let replaced = slot.counts(recipe, number, ready, times);
                slot.known.held = held;
                self.follow(replaced, "another version counts");
            }
            Err(failure) => {
                let now = Instant::now();
                if counts {
                    // What was noted could not be made: the folder's word holds.
                    slot.known.held = None;
                }
                let why = failure.to_string();
                let is_silent = match failure.step {
                    // The look was overtaken by a change or by a new name, so the next one trusts nothing of it.
                    Step::Read => {
                        self.scan.forget(name::stem_of(&slot.file));
                        slot.once_more(&recipe, Again::at_once(now))
                    }
                    // Of a plugin and its signature one comes before the other; the second is another recipe, and made at once.
                    Step::Signature => slot.once_more(&recipe, Again::in_a_moment(now)),
                    _ => false,
                };
                self.history.change(number, |version| version.why = Some(why));
                self.history.enter(number, Phase::Failed);
                if !is_silent {
                    self.report(&name, &failure);
                    if let Some(slot) = self.slots.get_mut(&name) {
                        slot.not_made(recipe, failure, now);
                    }
                }
            }
        }
    }

    /// What no longer runs because another version does goes its way.
    pub(super) fn follow(&mut self, replaced: Replaced, why: &str) {
        let Replaced { old, unpublished, trial } = replaced;
        if let Some((number, stage)) = old {
            self.replaced(true, number, &stage);
        }
        if let Some(number) = unpublished {
            self.history.enter(number, Phase::Retired);
        }
        self.withdrawn(trial, why);
    }

    /// A version is no longer what counts.
    fn replaced(&mut self, was_published: bool, number: u64, stage: &Arc<Stage>) {
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
    fn overtaken(&mut self, number: Option<u64>) {
        let Some(number) = number else { return };
        self.history.change(number, |version| version.why = Some("overtaken by a newer change".to_owned()));
        self.history.enter(number, Phase::Retired);
    }

    /// Says what failed, unless that was said already.
    pub(super) fn report(&mut self, stage: &str, failure: &Failure) {
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
