//! Compilers are for swaps alone: what runs needs none.

use std::sync::mpsc::channel;
use std::time::Duration;

use parking_lot::Mutex;
use pipeline::chain::stage::{Call, Program};

use super::*;
use crate::{Metrics, Options};

#[path = "../../tests/host/guests.rs"]
#[expect(dead_code, reason = "one guest of those that the tests in tests/ have")]
mod guests;

/// How long a call may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn compilers_and_checks_run_at_low_priority() {
    let engine = Engine::new(&EngineOptions::default()).expect("an engine");
    let niceness = || rustix::process::nice(0).expect("it can be asked");
    let own = niceness();
    assert_eq!(engine.off_the_data_path(niceness), (own + NICE).min(19));
    assert_eq!(niceness(), own, "who asks for it keeps its own");
}

#[test]
fn instances_are_made_and_called_while_all_compilers_are_busy() {
    const COMPILERS: usize = 2;
    let engine =
        Engine::new(&EngineOptions { compile_threads: COMPILERS, ..EngineOptions::default() }).expect("an engine");
    let component = crate::load(&engine, guests::probe()).expect("a plugin");
    let sink = Metrics::default().sink("probe");
    let (options, tables) = (Options::default(), crate::tables::Access::default());
    let program = component.configure(r#"{"do": "now"}"#, options, Arc::default(), tables, sink).expect("a program");

    let turn = Arc::new(Mutex::new(()));
    let held = turn.lock();
    let (busy, at_it) = channel();
    for _ in 0..COMPILERS {
        let (turn, busy) = (Arc::clone(&turn), busy.clone());
        engine.inner.compilers.spawn(move || {
            busy.send(()).expect("the test waits for it");
            drop(turn.lock());
        });
    }
    for _ in 0..COMPILERS {
        at_it.recv_timeout(PATIENCE).expect("a compiler to be busy");
    }
    let (answers, answered) = channel();
    // On a thread of its own: where no answer comes, the test ends all the same.
    std::thread::spawn(move || {
        let mut instance = program.instantiate().expect("an instance");
        let edits = instance.call(Call { rows: 1, columns: &[], now: 7, deadline: PATIENCE });
        instance.settle(true);
        answers.send(edits).expect("the test waits for it");
    });
    let edits = answered.recv_timeout(PATIENCE).expect("an answer while compilers are busy");
    assert_eq!(edits.expect("edits").len(), 1);
    drop(held);
}
