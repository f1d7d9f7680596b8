//! Versions that are tried, promoted, rolled back, and found again after a restart.

use tokio::runtime::Builder;

use super::*;
use crate::plugins::folder::command::{Ask, Refused};
use crate::plugins::status::Stage;

pub(super) const SHADOW: &str = "mode: shadow";

impl Setup {
    pub(super) fn ask(&self, ask: Ask, stage: &str) -> Result<String, Refused> {
        let commands = self.running.commands();
        Builder::new_current_thread().build().unwrap().block_on(commands.ask(ask, stage))
    }

    pub(super) fn stage(&self, what: &str, wanted: impl Fn(&Stage) -> bool) -> Stage {
        let found = |status: &Status| status.stages.first().filter(|stage| wanted(stage)).cloned();
        let status = self.until(what, |status, _| found(status).is_some());
        found(&status).expect("it was there")
    }

    /// The first stage that counts in the live chain, and what is tried beside it.
    pub(super) fn runs(&self) -> (Option<String>, Option<String>) {
        let chain = self.chains.current();
        let Some(place) = chain.places.first() else { return (None, None) };
        let version = |stage: &Arc<pipeline::chain::stage::Stage>| stage.spec().version.to_string();
        (place.stage.as_ref().map(version), place.trial.as_ref().map(|trial| version(trial.stage())))
    }

    pub(super) fn phases(&self) -> Vec<(u64, Phase)> {
        let status = self.running.status().load_full();
        status.versions.iter().map(|version| (version.number, version.phase)).collect()
    }

    pub(super) fn until_phases(&self, phases: &[(u64, Phase)]) {
        wait::until(|| if self.phases() == phases { Ok(()) } else { Err(format!("{:?}", self.phases())) });
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what there may be none of")]
pub(super) fn of(content: &str) -> Option<String> {
    Some(crate::plugins::digest::Digest::of(content.as_bytes()).short())
}

/// A second version in the shadow of the first.
fn shadowed() -> Setup {
    let setup = Setup::new(&[("10-a.wasm", "ok 1")], &[]);
    setup.until_chain(&["a"]);
    // That its next version is to be tried changes nothing for the one that counts.
    setup.put("10-a.yaml", SHADOW);
    setup.stage("another recipe", |stage| stage.generation == Some(2));
    assert_eq!(setup.runs(), (of("ok 1"), None));
    setup.put("10-a.wasm", "ok 2");
    setup.stage("a trial", |stage| stage.trial.is_some());
    assert_eq!(setup.runs(), (of("ok 1"), of("ok 2")));
    setup
}

#[test]
fn a_shadow_counts_once_it_is_promoted_and_is_gone_once_it_is_rolled_back() {
    let setup = shadowed();
    setup.until_phases(&[(3, Phase::Shadowing), (2, Phase::Live), (1, Phase::Retired)]);
    let said = setup.ask(Ask::Promote, "10-a").unwrap();
    let versions = (of("ok 1").unwrap(), of("ok 2").unwrap());
    assert!(said.starts_with(&format!("a {} counts instead of {}", versions.1, versions.0)), "{said}");
    assert!(said.contains("until a restart"), "nothing is kept here: {said}");
    assert_eq!(setup.runs(), (of("ok 2"), None));
    setup.until_phases(&[(3, Phase::Live), (2, Phase::Retired), (1, Phase::Retired)]);
    let status = setup.running.status().load_full();
    assert_eq!(status.versions[0].replaced, Some(2));

    setup.ask(Ask::Rollback, "a").unwrap();
    assert_eq!(setup.runs(), (of("ok 1"), None));
    let held = setup.stage("it to be held", |stage| stage.held == of("ok 2"));
    assert_eq!((held.state, held.previous), (State::Live, of("ok 2")));
    setup.until_phases(&[(3, Phase::Retired), (2, Phase::Live), (1, Phase::Retired)]);
    setup.ask(Ask::Promote, "a").unwrap();
    assert_eq!(setup.runs(), (of("ok 2"), None));
    assert_eq!(setup.stage("no hold", |stage| stage.held.is_none()).error, None);
}

#[test]
fn a_shadow_that_is_withdrawn_is_not_tried_again_until_its_file_changes() {
    let setup = shadowed();
    setup.ask(Ask::Rollback, "a").unwrap();
    assert_eq!(setup.runs(), (of("ok 1"), None));
    setup.until_phases(&[(3, Phase::Retired), (2, Phase::Live), (1, Phase::Retired)]);
    // A look at the folder, which another plugin is waited for to have happened, changes nothing.
    setup.put("20-b.wasm", "ok");
    setup.until_chain(&["a", "b"]);
    assert_eq!(setup.runs(), (of("ok 1"), None));
    setup.put("10-a.wasm", "ok 3");
    setup.stage("another trial", |stage| stage.trial.is_some());
    assert_eq!(setup.runs(), (of("ok 1"), of("ok 3")));
    // What counts is there again, so that nothing is to be tried.
    setup.put("10-a.wasm", "ok 1");
    setup.stage("no trial", |stage| stage.trial.is_none());
    assert_eq!(setup.runs(), (of("ok 1"), None));
}

#[test]
fn a_version_that_counts_at_once_is_rolled_back_as_well() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1")], &[]);
    setup.until_chain(&["a"]);
    assert!(matches!(setup.ask(Ask::Rollback, "a"), Err(Refused::Nothing(_))));
    assert!(matches!(setup.ask(Ask::Promote, "a"), Err(Refused::Nothing(_))));
    let unknown = setup.ask(Ask::Rollback, "b").unwrap_err();
    assert!(matches!(&unknown, Refused::Unknown(why) if why.contains("there are: a")), "{unknown}");
    let kept = setup.chains.current().stages().next().unwrap().clone();
    setup.put("10-a.wasm", "ok 2");
    setup.stage("the second", |stage| stage.version == of("ok 2"));
    setup.ask(Ask::Rollback, "a").unwrap();
    assert!(Arc::ptr_eq(setup.chains.current().stages().next().unwrap(), &kept), "it was kept as it was");
    // A third version in the folder is another matter.
    setup.put("10-a.wasm", "ok 3");
    setup.stage("the third", |stage| stage.version == of("ok 3") && stage.held.is_none());
}

#[test]
fn the_first_version_of_a_plugin_is_only_tried_and_a_required_one_closes_the_gate() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1"), ("10-a.yaml", SHADOW)], &["a"]);
    let tried = setup.stage("a trial", |stage| stage.trial.is_some());
    assert_eq!((tried.state, tried.version), (State::Tried, None));
    assert_eq!(setup.runs(), (None, of("ok 1")));
    let closed = setup.gate.closed().expect("it is required").to_string();
    assert!(closed.contains("only tried"), "{closed}");
    setup.ask(Ask::Promote, "a").unwrap();
    assert!(setup.gate.closed().is_none());
    assert_eq!(setup.runs(), (of("ok 1"), None));
}

#[test]
fn a_canary_is_promoted_as_the_stage_that_it_is() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1"), ("20-b.wasm", "ok")], &[]);
    setup.until_chain(&["a", "b"]);
    setup.put("10-a.yaml", "mode: canary\nshare: 5%");
    setup.put("10-a.wasm", "ok 2");
    let stage = setup.stage("a trial", |stage| stage.trial.is_some() && stage.version == of("ok 1"));
    assert_eq!(stage.trial.map(|trial| (trial.mode, trial.share)), Some(("canary".into(), Some(0.05))));
    let canary = setup.chains.current().places[0].trial.as_ref().unwrap().stage().clone();
    setup.ask(Ask::Promote, "a").unwrap();
    assert!(Arc::ptr_eq(setup.chains.current().stages().next().unwrap(), &canary), "with its instances");
}

#[test]
fn a_version_that_its_rule_promotes_and_that_cannot_count_is_asked_once() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1")], &[]);
    setup.until_chain(&["a"]);
    setup.put("10-a.yaml", "mode: shadow\npromote: { batches: 1 }");
    setup.stage("another recipe", |stage| stage.generation == Some(2));
    setup.put("10-a.wasm", "ok never 2");
    setup.stage("a trial", |stage| stage.trial.is_some());
    let made = setup.made.load(Ordering::Relaxed);
    setup.run_batches();
    let not_promoted = |stage: &Stage| stage.trial.as_ref().and_then(|trial| trial.not_promoted.clone());
    let stage = setup.stage("its rule to give up", |stage| not_promoted(stage).is_some());
    assert!(not_promoted(&stage).unwrap().contains("as it says"), "{stage:?}");
    assert_eq!(setup.made.load(Ordering::Relaxed), made + 1);
    assert!(matches!(setup.ask(Ask::Promote, "a"), Err(Refused::Failed(_))), "whoever asks may try again");
    assert_eq!(setup.runs(), (of("ok 1"), of("ok never 2")));
}

#[test]
fn a_failure_is_forgotten_when_the_folder_holds_again_what_is_tried() {
    let setup = shadowed();
    let tried = setup.chains.current().places[0].trial.clone().unwrap();
    setup.put("10-a.wasm", "broken");
    setup.stage("the error", |stage| stage.error.is_some());
    setup.put("10-a.wasm", "ok 2");
    setup.stage("no error", |stage| stage.error.is_none());
    assert!(Arc::ptr_eq(setup.chains.current().places[0].trial.as_ref().unwrap(), &tried), "it was tried all the time");
}

#[test]
fn a_second_rollback_does_not_bring_back_what_the_first_has_withdrawn() {
    let setup = shadowed();
    setup.ask(Ask::Promote, "a").unwrap();
    setup.put("10-a.wasm", "ok 3");
    setup.stage("another trial", |stage| stage.trial.is_some());
    setup.ask(Ask::Rollback, "a").unwrap();
    assert_eq!(setup.runs(), (of("ok 2"), None));
    setup.ask(Ask::Rollback, "a").unwrap();
    assert_eq!(setup.runs(), (of("ok 1"), None));
    // A look at the folder.
    setup.put("20-b.wasm", "ok");
    setup.until_chain(&["a", "b"]);
    let stage = setup.stage("what the folder holds to be held", |stage| stage.held == of("ok 3"));
    assert_eq!((stage.trial, setup.runs()), (None, (of("ok 1"), None)));
}

#[test]
fn what_is_made_when_it_is_rolled_back_ends() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1")], &[]);
    setup.until_chain(&["a"]);
    setup.put("10-a.wasm", "ok 2");
    setup.stage("the second", |stage| stage.version == of("ok 2"));
    let turn = setup.held.turn.lock().unwrap();
    setup.put("10-a.wasm", "held 3");
    setup.until_makers(1);
    setup.ask(Ask::Rollback, "a").unwrap();
    drop(turn);
    setup.until_phases(&[(3, Phase::Retired), (2, Phase::Retired), (1, Phase::Live)]);
    let stage = setup.stage("what the folder holds to be held", |stage| stage.held == of("held 3"));
    assert_eq!(stage.version, of("ok 1"));
}

#[test]
fn what_is_made_while_another_version_is_promoted_comes_after_it() {
    let setup = shadowed();
    let turn = setup.held.turn.lock().unwrap();
    setup.put("10-a.wasm", "held 3");
    setup.until_makers(1);
    setup.ask(Ask::Promote, "a").unwrap();
    drop(turn);
    setup.stage("the third to be tried", |stage| stage.trial.is_some());
    assert_eq!(setup.runs(), (of("ok 2"), of("held 3")));
    setup.until_phases(&[(4, Phase::Shadowing), (3, Phase::Live), (2, Phase::Retired), (1, Phase::Retired)]);
}

#[test]
fn the_history_tells_of_every_version_and_what_became_of_it() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1")], &[]);
    setup.until_chain(&["a"]);
    setup.put("10-a.wasm", "broken");
    setup.stage("the error", |stage| stage.error.is_some());
    setup.put("10-a.wasm", "ok 3");
    setup.stage("the third", |stage| stage.version == of("ok 3"));
    setup.until_phases(&[(3, Phase::Live), (2, Phase::Failed), (1, Phase::Retired)]);
    setup.remove("10-a.wasm");
    setup.until("it to be gone", |status, _| status.stages.is_empty());
    setup.until_phases(&[(3, Phase::Retired), (2, Phase::Failed), (1, Phase::Retired)]);
    let status = setup.running.status().load_full();
    let why: Vec<_> = status.versions.iter().map(|version| version.why.as_deref().unwrap_or_default()).collect();
    assert!(why[0].contains("gone") && why[1].contains("broken"), "{why:?}");
    assert_eq!(status.versions[0].replaced, Some(1));
    assert!(status.versions.iter().all(|version| version.file == "10-a.wasm" && version.sha256.len() == 64));
}
