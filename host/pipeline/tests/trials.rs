//! Versions that are tried before they count: nothing of a shadow reaches the output, a canary has its own traces and no others.

mod support;
#[path = "support/wait.rs"]
mod wait;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use support::{ByName, Rig, request_of};
use tracemill_pipeline::chain::live::Chains;
use tracemill_pipeline::chain::place::Place;
use tracemill_pipeline::chain::plan::{Affinity, Failure};
use tracemill_pipeline::chain::stage::{BreakerPolicy, Stage, StageSpec};
use tracemill_pipeline::chain::trial::{Mode, Seen, Trial};
use wait::block_until;

/// A version of the plugin that drops what is named `drop-me`; `tried`: as the shadow needs it.
fn stage(chains: &Chains, program: ByName, is_shadow: bool) -> Arc<Stage> {
    let spec = StageSpec {
        name: "by-name".into(),
        version: "new".into(),
        program: Arc::new(program),
        when: Vec::new(),
        on_error: Failure::Drop,
        deadline: Duration::from_secs(5),
        breaker: BreakerPolicy { faults: 1000, ..BreakerPolicy::default() },
    };
    if is_shadow { chains.shadow_stage(spec) } else { chains.stage(spec) }.expect("the plan is sound")
}

fn program() -> ByName {
    ByName::new(Failure::Pass, Affinity::Any)
}

/// What was seen once so many batches are through.
fn seen(trial: &Trial, batches: u64) -> Seen {
    block_until("the shadow to be through", || trial.seen().batches >= batches);
    trial.seen()
}

#[tokio::test]
async fn nothing_of_a_shadow_reaches_the_output_and_its_differences_are_told() {
    let rig = Rig::new(1);
    let tried = Arc::new(Trial::new(stage(&rig.chains, program(), true), Mode::Shadow));
    // A new plugin in the shadow: without it nothing is dropped.
    rig.chains.publish([Place { stage: None, trial: Some(tried.clone()) }]);
    rig.send(request_of(&["a", "drop-me", "poison", "b"])).await.unwrap();
    let first = seen(&tried, 1);
    assert_eq!(rig.outlet.names(), ["a", "drop-me", "poison", "b"]);
    assert_eq!((first.differences.rows, first.differences.only_first_dropped), (4, 0));
    // By the plugin, and by its fault.
    assert_eq!(first.differences.only_second_dropped, 2);
    assert!(first.work.faults >= 1 && first.work.calls > 1 && first.work.nanos > 0, "{first:?}");
    // What counts has counted nothing of it.
    assert_eq!(rig.sums(&[], &[("by-name", "named"), ("by-name", "plugin_fault")]), [4, 0, 0, 4]);

    // Beside a version that does the same there is no difference.
    let again = Arc::new(Trial::new(stage(&rig.chains, program(), true), Mode::Shadow));
    let current = rig.stage("by-name", program());
    rig.chains.publish([Place { stage: Some(current), trial: Some(again.clone()) }]);
    rig.send(request_of(&["a", "drop-me"])).await.unwrap();
    let same = seen(&again, 1);
    assert_eq!((same.differences.rows, same.differences.differing()), (2, 0));
    assert_eq!(rig.outlet.names()[4..], ["a".to_owned()]);
}

#[test]
fn a_shadow_that_is_behind_is_skipped_and_holds_up_nobody() {
    let rig = Rig::new(1);
    let slow = program();
    let (turn, calls) = (slow.turn.clone(), slow.seen.clone());
    let tried = Arc::new(Trial::new(stage(&rig.chains, slow, true), Mode::Shadow));
    rig.chains.publish([Place { stage: None, trial: Some(tried.clone()) }]);
    let held = turn.lock();
    for _ in 0..50 {
        let sent = rig.send(request_of(&["a"])).now_or_never();
        sent.expect("nobody waits for the shadow").unwrap();
    }
    assert_eq!(rig.outlet.names().len(), 50);
    block_until("the shadow to be at work", || !calls.lock().is_empty());
    // Nor does whoever wants to know how it goes wait for a call.
    let (told, hears) = std::sync::mpsc::channel();
    let asked = Arc::clone(&tried);
    std::thread::spawn(move || told.send(asked.seen()));
    let seen = hears.recv_timeout(Duration::from_mins(1)).expect("nobody waits for the shadow");
    assert_eq!(seen.batches, 0, "{seen:?}");
    drop(held);
    block_until("the shadow to be through", || {
        let seen = tried.seen();
        seen.batches + seen.skipped == 50
    });
    let seen = tried.seen();
    // One is being tried, eight wait; what is made room for meanwhile takes another.
    assert!((1..=10).contains(&seen.batches), "{seen:?}");
}

#[tokio::test]
async fn a_panic_in_the_shadow_is_its_own() {
    let rig = Rig::new(1);
    let tried = Arc::new(Trial::new(stage(&rig.chains, program(), true), Mode::Shadow));
    rig.chains.publish([Place { stage: None, trial: Some(tried.clone()) }]);
    rig.send(request_of(&["bug"])).await.unwrap();
    rig.send(request_of(&["a"])).await.unwrap();
    seen(&tried, 1);
    assert_eq!(rig.outlet.names(), ["bug", "a"]);
}

#[tokio::test]
async fn a_canary_has_its_share_of_the_traces_and_always_the_same_ones() {
    let rig = Rig::new(2);
    let (current, new) = (program(), program());
    let (by_current, by_new) = (current.seen.clone(), new.seen.clone());
    let made = new.instances.clone();
    let trial = Arc::new(Trial::new(stage(&rig.chains, new, false), Mode::Canary(0.25)));
    let current = rig.stage("by-name", current);
    rig.chains.publish([Place { stage: Some(current.clone()), trial: Some(trial.clone()) }]);
    let names: Vec<String> = (0..200).map(|n| format!("t{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for _ in 0..3 {
        rig.send(request_of(&names)).await.unwrap();
    }
    let lists = |seen: &support::Seen| seen.lock().iter().map(|(_, names)| names.clone()).collect::<Vec<_>>();
    let (current_lists, new_lists) = (lists(&by_current), lists(&by_new));
    assert!(new_lists.windows(2).all(|two| two[0] == two[1]), "the same traces each time");
    assert!(current_lists.windows(2).all(|two| two[0] == two[1]));
    let (ours, theirs) = (new_lists[0].len(), current_lists[0].len());
    assert_eq!(ours + theirs, 200, "each span meets one of the two");
    assert!((25..=80).contains(&ours), "{ours} of 200 at a quarter");
    assert_eq!(rig.outlet.names().len(), 600);
    assert_eq!(trial.seen().work.rows, 3 * ours as u64);
    assert_eq!(trial.seen().batches, 3);
    // A batch without a trace of its own says nothing about it.
    let is_ours = new_lists[0][0] == "t0";
    rig.send(request_of(&["t0"])).await.unwrap();
    assert_eq!(trial.seen().batches, 3 + u64::from(is_ours));

    // Promoted, it stays the same stage with the same instances.
    let before = made.load(Ordering::SeqCst);
    rig.chains.publish([trial.stage().clone()]);
    rig.send(request_of(&["a"])).await.unwrap();
    assert_eq!(made.load(Ordering::SeqCst), before);
    rig.intake.sweep();
    assert_eq!(Arc::strong_count(&current), 1, "the old version is let go");
}

#[tokio::test]
async fn a_canary_that_is_promoted_keeps_the_instances_that_mills_share() {
    let rig = Rig::new(2);
    let sharing = || {
        let mut program = ByName::new(Failure::Pass, Affinity::One);
        program.hands_over = true;
        program
    };
    let (current, new) = (sharing(), sharing());
    let (made, seen) = (new.instances.clone(), new.seen.clone());
    let trial = Arc::new(Trial::new(stage(&rig.chains, new, false), Mode::Canary(0.5)));
    rig.chains.publish([Place { stage: Some(rig.stage("by-name", current)), trial: Some(trial.clone()) }]);
    rig.send(request_of(&["a"; 64])).await.unwrap();
    rig.chains.publish([trial.stage().clone()]);
    rig.send(request_of(&["a"; 64])).await.unwrap();
    assert_eq!(
        made.load(Ordering::SeqCst),
        1,
        "what it has learned as a canary is not replaced by what the other one knew"
    );
    assert!(seen.lock().iter().all(|(instance, _)| *instance == 0));
    // Going back it hands on what it has.
    let back = sharing();
    let made = back.instances.clone();
    rig.chains.publish([rig.stage("by-name", back)]);
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_canary_that_fails_costs_only_its_own_traces() {
    let rig = Rig::new(1);
    let trial = Arc::new(Trial::new(stage(&rig.chains, program(), false), Mode::Canary(0.5)));
    rig.chains.publish([Place { stage: None, trial: Some(trial.clone()) }]);
    rig.send(request_of(&["poison"; 64])).await.unwrap();
    let left = rig.outlet.names().len() as u64;
    assert!((10..=54).contains(&left), "{left} of 64 at a half");
    assert_eq!(rig.sums(&[], &[("by-name", "plugin_fault")]), [64, 0, 64 - left, left]);
}
