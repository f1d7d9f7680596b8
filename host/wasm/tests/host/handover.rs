//! The contract's `handover`: an instance's own memory goes to the version after it, under the limits of every call.

use std::time::{Duration, Instant};

use otlp::edit::{Constant, Edit, Values};
use pipeline::chain::program::{FaultKind, Instance, Program};
use tracemill_wasm::{Component, Options};

use crate::guests;
use crate::setup::{Plugin, call, engine, probe};

const TIME: Duration = Duration::from_secs(10);

fn component() -> Component {
    tracemill_wasm::load(engine(), guests::remembers()).expect("a plugin")
}

fn instance(plugin: &Plugin, settings: &str) -> Box<dyn Instance> {
    plugin.configure(&component(), settings).expect("a program").instantiate().expect("an instance")
}

/// How many calls it remembers, which is one more.
fn calls(instance: &mut dyn Instance) -> i64 {
    let edits = instance.call(call(1, &[])).expect("it does nothing wrong");
    instance.settle(true);
    match &edits[..] {
        [Edit::Set { to: Values::Same(Constant::Integer(calls)), .. }] => *calls,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_an_instance_knows_is_known_to_the_next_one() {
    let plugin = Plugin::default();
    assert!(component().hands_over() && !probe().hands_over());
    let mut old = instance(&plugin, "well");
    assert_eq!([calls(&mut *old), calls(&mut *old)], [0, 1]);
    let saved = old.save(TIME).expect("it can");
    assert!(old.call(call(1, &[])).is_err(), "what it would learn from now on were lost");
    let mut new = instance(&plugin, "well, and other settings");
    new.restore("abc", saved, TIME).expect("it can");
    assert_eq!(calls(&mut *new), 2);
    assert!(plugin.scrape().contains("name=\"restored\"} 1"), "what it counts while it restores stands");
}

#[test]
fn what_is_refused_or_fails_is_a_fault_and_the_instance_is_not_used() {
    let plugin = Plugin::default();
    for (settings, kind, said) in
        [("refuses", FaultKind::Error, "it cannot read that"), ("traps", FaultKind::Trap, "unreachable")]
    {
        let mut new = instance(&plugin, settings);
        let fault = new.restore("abc", 7_i64.to_le_bytes().to_vec(), TIME).expect_err(settings);
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.contains(said), "{fault}");
        assert!(new.call(call(1, &[])).is_err(), "{settings}");
    }
    assert!(!plugin.scrape().contains("restored"), "what failed counts nothing");
}

#[test]
fn saving_has_a_deadline_and_what_is_saved_a_bound() {
    let plugin = Plugin::default();
    let begun = Instant::now();
    let fault = instance(&plugin, "spins").save(Duration::from_millis(20)).expect_err("it never ends");
    assert_eq!(fault.kind, FaultKind::Deadline, "{fault}");
    assert!(begun.elapsed() < TIME, "{:?}", begun.elapsed());
    let narrow = Plugin::with(Options { answer: 4, ..Options::default() });
    let made = narrow.configure(&component(), "well");
    // Not even its plan fits: nothing larger than the bound crosses, whatever is called.
    assert!(made.is_err(), "a plan of more than four bytes");
}
