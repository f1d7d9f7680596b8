//! Guests whose runtimes insist on WASI find it empty.

use std::time::{Duration, Instant};

use pipeline::chain::stage::{Call, FaultKind, Instance, Program};

use crate::setup::{Plugin, answer, call, probe_with_wasi, words};

fn instance(verb: &str) -> Box<dyn Instance> {
    Plugin::default().configure(probe_with_wasi(), verb).expect("a program").instantiate().expect("an instance")
}

#[test]
fn it_does_its_work() {
    let columns = [words(&[0, 1], &["", "/health"])];
    assert_eq!(instance("drop-word").call(call(2, &columns)).expect("edits").len(), 1);
}

#[test]
fn it_reaches_nothing_and_cannot_sleep() {
    let before = Instant::now();
    let edits = instance("reaches-out").call(call(1, &[])).expect("edits");
    let nothing = "0 args, 0 variables, file false, stdin Some(0), tcp false, udp false, slept an hour false";
    assert_eq!(answer(&edits), nothing);
    assert!(before.elapsed() < Duration::from_mins(1));
}

/// Mills are threads of their own, but short chains may run inline in a task.
#[test]
fn it_runs_inside_an_async_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let edits = instance("reaches-out").call(call(1, &[])).expect("edits");
        assert!(answer(&edits).starts_with("0 args"));
        instance("says").call(call(1, &[])).expect("it prints");
    });
}

#[test]
fn what_it_panics_with_is_in_the_fault() {
    let fault = instance("traps").call(call(1, &[])).expect_err("a trap");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(
        fault.message.contains("; it said: thread '") && fault.message.ends_with(" a bug of the plugin's"),
        "{fault}"
    );
}

#[test]
fn leaving_is_a_trap() {
    let fault = instance("exits").call(call(1, &[])).expect_err("a trap");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("exit"), "{fault}");
}

#[test]
fn a_flood_of_output_is_thrown_away() {
    let mut instance = instance("print-flood");
    let slow = Call { deadline: Duration::from_secs(5), ..call(1, &[]) };
    assert_eq!(instance.call(slow), Ok(vec![]));
    instance.settle(true);
}
