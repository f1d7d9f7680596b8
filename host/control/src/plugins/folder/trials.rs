//! Versions that are tried: judged by their rule, promoted, withdrawn, rolled back.

use std::sync::Arc;

use pipeline::chain::trial::Mode;

use super::Worker;
use super::command::{Ask, Command, Refused};
use crate::plugins::plan::Recipe;
use crate::plugins::shelf::Record;
use crate::plugins::slot::{Replaced, Slot, Tried};
use crate::plugins::status::{self, Failure, Step};
use crate::plugins::trying::Verdict;

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
                        // Its rule has no second attempt: whoever asks for it has.
                        if let Some(tried) = self.slots.get_mut(&stage).and_then(|slot| slot.trial.as_mut()) {
                            tried.not_promoted = Some(error.to_string());
                        }
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

    /// A canary that keeps failing is withdrawn, and held: its traces meet the version that counts again.
    fn broken(&mut self, stage: &Arc<str>) {
        let why = "its breaker opened after repeated faults, so it was withdrawn";
        let failure = |slot: &Slot, tried: &Tried| Failure {
            file: slot.file.clone(),
            version: Some(tried.trial.stage().spec().version.to_string()),
            step: Step::Trial,
            why: why.to_owned(),
            passing: false,
            at: status::now(),
        };
        let Some((tried, failure)) = self.slots.get_mut(stage).and_then(|slot| slot.break_off(failure)) else { return };
        self.say_failed(stage, &failure);
        self.withdrawn(Some(tried), why);
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
                self.say_failed(stage, &failure);
                return Err(Refused::Failed(failure.to_string()));
            }
        };
        let version = made.spec().version.clone();
        let replaced = slot.promote(tried, made);
        self.forget_record(stage);
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
        if slot.previous.as_ref().map(|previous| &previous.recipe) != slot.known.held.as_ref() {
            // It was withdrawn, or rolled back before a restart: it is made anew, and tried or live as its sidecar says.
            slot.unhold();
            self.forget_record(stage);
            return Ok(format!("{stage}: the version in the folder is made again"));
        }
        if !slot.can_roll_back(&self.settings.keys) {
            return Err(distrusted(stage));
        }
        let Some(replaced) = slot.bring_back() else { return Err(nothing(stage)) };
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
        match slot.roll_back() {
            Some(replaced) => Ok(self.swapped(stage, replaced, "rolled back")),
            None => self.roll_back_to_kept(stage),
        }
    }

    /// The version that counted before the restart counts again once it is made from the files that were kept of it: as a restart would have it
    /// that finds it noted.
    fn roll_back_to_kept(&mut self, stage: &Arc<str>) -> Result<String, Refused> {
        let none = || Refused::Nothing(format!("no version of {stage} has counted before the one that does"));
        if self.records.contains_key(stage) {
            return Err(Refused::Nothing(format!("the version of {stage} that is to count is still being made")));
        }
        let slot = self.slots.get_mut(stage).ok_or_else(none)?;
        let before = slot.before.clone().ok_or_else(none)?;
        let is_same = slot.known.live.as_ref().is_some_and(|live| before.is_same_version(&live.into()));
        if is_same || self.ground.shelf.find(&before).is_none() {
            return Err(none());
        }
        let is_other = |wanted: &&Recipe| !before.is_same_version(&(*wanted).into());
        let held = slot.wanted.as_ref().filter(is_other).map(Into::into);
        let interrupted = slot.make_way();
        self.overtaken(interrupted);
        let what = format!("{stage}: version {} was kept, and counts as soon as it is made", before.plugin.short());
        self.records.insert(Arc::clone(stage), Record { current: Some(before), held, previous: None });
        self.state.remember(what.clone());
        Ok(what)
    }

    fn swapped(&mut self, stage: &Arc<str>, replaced: Replaced, how: &str) -> String {
        let version = |slot: &Slot| slot.stage.as_ref().map(|stage| stage.spec().version.to_string());
        let now = self.slots.get(stage).and_then(version).unwrap_or_default();
        let old = replaced.old.as_ref().map(|(_, old)| old.spec().version.to_string()).unwrap_or_default();
        if let Some((number, _)) = &replaced.old {
            self.history.change(*number, |version| version.why = Some(format!("{how} by command")));
        }
        self.follow(replaced, how);
        self.forget_record(stage);
        let what = format!("{stage} {now} counts instead of {old}");
        tracing::info!(plugin = %stage, version = now, instead_of = old, "plugin {how}");
        self.state.remember(format!("{what}: {how}"));
        format!("{what}{}", self.until_restart())
    }

    /// What is to be said where nothing can be noted.
    fn until_restart(&self) -> &'static str {
        if self.ground.shelf.is_kept() { "" } else { ", until a restart: there is no plugins.cache.folder" }
    }
}

fn distrusted(stage: &str) -> Refused {
    Refused::Failed(format!("that version of {stage} is not signed by a trusted key"))
}

fn nothing(stage: &str) -> Refused {
    Refused::Nothing(format!("no version of {stage} is tried, and none was rolled back"))
}
