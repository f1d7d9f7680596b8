//! Versions that are tried: judged by their rule, promoted, withdrawn, rolled back; and noted, so that a restart keeps to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use pipeline::chain::trial::Mode;

use super::Worker;
use super::command::{Ask, Command, Refused};
use crate::plugins::plan::Recipe;
use crate::plugins::shelf::{Key, Record};
use crate::plugins::slot::{Replaced, Slot, Tried};
use crate::plugins::status::{self, Failure, Step};
use crate::plugins::trying::Verdict;
use crate::plugins::version::Phase;

impl Worker {
    /// Whether anything is tried that is judged by itself.
    pub(super) fn is_trying(&self) -> bool {
        self.slots.iter().any(|(_, slot)| slot.trial.is_some())
    }

    /// Promotes by rule, and withdraws canaries whose breaker has opened.
    pub(super) fn judge(&mut self) {
        for stage in self.order.clone() {
            let Some(slot) = self.slots.get_mut(&stage) else { continue };
            let Some(tried) = slot.trial.as_mut().filter(|tried| tried.is_published) else { continue };
            if matches!(tried.trial.mode(), Mode::Canary(_)) && tried.trial.stage().is_open() {
                self.broken(&stage);
                continue;
            }
            let Some(rule) = tried.rule().filter(|_| tried.not_promoted.is_none()) else { continue };
            match rule.judge(&tried.trial.seen()) {
                Verdict::Wait => {}
                Verdict::Promote => {
                    if let Err(error) = self.promote(&stage, "by its rule") {
                        tracing::error!(plugin = %stage, %error, "a version that its rule promotes cannot count");
                    }
                }
                Verdict::Never(why) => {
                    tracing::warn!(plugin = %stage, why, "the version that is tried is not promoted by its rule");
                    self.state.remember(format!("{stage}: the version that is tried is not promoted: {why}"));
                    tried.not_promoted = Some(why);
                }
            }
        }
    }

    /// A canary that keeps failing is withdrawn: its traces meet the version that counts again.
    fn broken(&mut self, stage: &Arc<str>) {
        let Some(slot) = self.slots.get_mut(stage) else { return };
        let Some(tried) = slot.withdraw() else { return };
        let why = "its breaker opened after repeated faults, so it was withdrawn".to_owned();
        let failure = Failure {
            file: slot.file.clone(),
            version: Some(tried.trial.stage().spec().version.to_string()),
            step: Step::Trial,
            why: why.clone(),
            passing: false,
            at: status::now(),
        };
        slot.known.failed = Some(tried.recipe.clone());
        self.report(stage, &failure);
        if let Some(slot) = self.slots.get_mut(stage) {
            slot.error = Some(failure);
        }
        self.withdrawn(Some(tried), &why);
    }

    pub(super) fn obey(&mut self, command: Command) {
        let Command { ask, stage, answer } = command;
        let done = match self.order.iter().find(|known| ***known == *stage).cloned() {
            None => Err(Refused::Unknown(format!(
                "there is no plugin {stage}; there are: {}",
                self.order.iter().map(|stage| &**stage).collect::<Vec<_>>().join(", ")
            ))),
            Some(stage) => match ask {
                Ask::Promote => self.promote(&stage, "by command"),
                Ask::Rollback => self.roll_back(&stage),
            },
        };
        self.publish();
        self.note();
        self.snapshot();
        let done = done.map(|what| format!("{what} (generation {})", self.state.generation));
        // Who has gone away sees it in the status.
        let _gone = answer.send(done);
    }

    /// The version that is tried counts; or the one that was rolled back, again.
    fn promote(&mut self, stage: &Arc<str>, how: &str) -> Result<String, Refused> {
        let keys = &self.settings.keys;
        let Some(slot) = self.slots.get_mut(stage) else { return Err(nothing(stage)) };
        let Some(tried) = slot.trial.take_if(|tried| keys.trust(tried.signed.as_ref())) else {
            return if slot.trial.is_some() { Err(distrusted(stage)) } else { self.unhold(stage) };
        };
        let made = match &tried.as_live {
            Some(as_live) => as_live(),
            None => Ok(Arc::clone(tried.trial.stage())),
        };
        let made = match made {
            Ok(made) => made,
            Err(failure) => {
                slot.trial = Some(tried);
                self.report(stage, &failure);
                return Err(Refused::Failed(failure.to_string()));
            }
        };
        let version = made.spec().version.clone();
        let replaced = slot.promote(tried, made);
        let instead = replaced.old.as_ref().map(|(_, old)| format!(" instead of {}", old.spec().version));
        self.follow(replaced, "it counts");
        let what = format!("{stage} {version} counts{}", instead.unwrap_or_default());
        tracing::info!(plugin = %stage, %version, how, "plugin promoted");
        self.state.remember(format!("{what}: promoted {how}"));
        Ok(format!("{what}{}", self.until_restart()))
    }

    fn unhold(&mut self, stage: &Arc<str>) -> Result<String, Refused> {
        let slot = self.slots.get_mut(stage).filter(|slot| slot.known.held.is_some());
        let Some(slot) = slot else { return Err(nothing(stage)) };
        let held = slot.known.held.take();
        if slot.previous.as_ref().map(|previous| &previous.recipe) != held.as_ref() {
            // It was withdrawn, or rolled back before a restart: it is made anew, and tried or live as its sidecar says.
            return Ok(format!("{stage}: the version in the folder is made again"));
        }
        if !slot.can_roll_back(&self.settings.keys) {
            slot.known.held = held;
            return Err(distrusted(stage));
        }
        let Some(replaced) = slot.roll_back() else { return Err(nothing(stage)) };
        slot.known.held = None;
        Ok(self.swapped(stage, replaced, "brought back"))
    }

    /// The version that is tried is withdrawn; or the one that counted before counts again.
    fn roll_back(&mut self, stage: &Arc<str>) -> Result<String, Refused> {
        let Some(slot) = self.slots.get_mut(stage) else { return Err(nothing(stage)) };
        if let Some(tried) = slot.withdraw() {
            let version = tried.trial.stage().spec().version.clone();
            slot.known.held = Some(tried.recipe.clone());
            self.withdrawn(Some(tried), "withdrawn by command");
            let what = format!("{stage} {version} is no longer tried");
            tracing::info!(plugin = %stage, %version, "plugin withdrawn");
            self.state.remember(what.clone());
            return Ok(what);
        }
        if !slot.can_roll_back(&self.settings.keys) {
            return Err(distrusted(stage));
        }
        let Some(replaced) = slot.roll_back() else {
            return Err(Refused::Nothing(format!("no version of {stage} has counted before the one that does")));
        };
        Ok(self.swapped(stage, replaced, "rolled back"))
    }

    fn swapped(&mut self, stage: &Arc<str>, replaced: Replaced, how: &str) -> String {
        let version = |slot: &Slot| slot.stage.as_ref().map(|stage| stage.spec().version.to_string());
        let now = self.slots.get(stage).and_then(version).unwrap_or_default();
        let old = replaced.old.as_ref().map(|(_, old)| old.spec().version.to_string()).unwrap_or_default();
        if let Some((number, _)) = &replaced.old {
            self.history.change(*number, |version| version.why = Some(format!("{how} by command")));
        }
        self.follow(replaced, how);
        let what = format!("{stage} {now} counts instead of {old}");
        tracing::info!(plugin = %stage, version = now, instead_of = old, "plugin {how}");
        self.state.remember(format!("{what}: {how}"));
        format!("{what}{}", self.until_restart())
    }

    /// What is to be said where nothing can be noted.
    fn until_restart(&self) -> &'static str {
        if self.ground.shelf.is_kept() { "" } else { ", until a restart: there is no plugins.cache.folder" }
    }

    /// Notes which versions count where the folder does not say it, and lets go of files that nobody needs.
    pub(super) fn note(&mut self) {
        if !self.state.settled {
            return; // What was noted before the start is being followed.
        }
        let mut noted = BTreeMap::new();
        for (stage, slot) in self.slots.iter() {
            let deviates = slot.is_promoted() || slot.known.held.is_some() || slot.trial.is_some();
            if let Some(live) = slot.known.live.as_ref().filter(|_| deviates) {
                let held = slot.known.held.as_ref().map(Into::into);
                noted.insert(Arc::clone(stage), Record { current: live.into(), held });
            }
        }
        if noted == self.noted {
            return;
        }
        for (stage, record) in &noted {
            if self.noted.get(stage) != Some(record) {
                self.ground.shelf.note(stage, Some(record));
            }
        }
        for stage in self.noted.keys().filter(|stage| !noted.contains_key(*stage)) {
            self.ground.shelf.note(stage, None);
        }
        self.noted = noted;
    }

    /// Versions on which nothing runs any more.
    pub(super) fn retire_drained(&mut self) {
        let kept =
            |number| self.slots.iter().any(|(_, slot)| slot.previous.as_ref().is_some_and(|p| p.number == number));
        let done = self.drain.take_done(kept);
        if done.is_empty() {
            return;
        }
        for number in done {
            self.history.enter(number, Phase::Retired);
            let previous = self.slots.iter().filter_map(|(_, slot)| slot.previous.as_ref());
            previous.filter(|previous| previous.number == number).for_each(|previous| previous.stage.let_go());
        }
        let keys: Vec<Key> = self.slots.iter().flat_map(|(_, slot)| needed(slot).map(Into::into)).collect();
        self.ground.shelf.keep_only(&keys);
    }
}

/// The versions of a slot that a restart might need.
fn needed(slot: &Slot) -> impl Iterator<Item = &Recipe> {
    let known = &slot.known;
    let previous = slot.previous.as_ref().map(|previous| &previous.recipe);
    let tried = slot.trial.as_ref().map(|Tried { recipe, .. }| recipe);
    [known.live.as_ref(), known.loading.as_ref(), previous, tried].into_iter().flatten()
}

fn distrusted(stage: &str) -> Refused {
    Refused::Failed(format!("that version of {stage} is not signed by a trusted key"))
}

fn nothing(stage: &str) -> Refused {
    Refused::Nothing(format!("no version of {stage} is tried, and none was rolled back"))
}
