//! Guests that break the contract or take more than they are given: each ends in words an author can use, and the process
//! lives.

use std::time::{Duration, Instant};

use otlp::edit::{Edit, Rows};
use pipeline::chain::stage::{Call, Fault, FaultKind, Program};
use tracemill_wasm::Options;

use crate::setup::{Plugin, act, call, probe};

fn fault(verb: &str) -> Fault {
    act(verb).expect_err("a fault")
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let mut instance = Plugin::default().instance("spins");
    let before = Instant::now();
    let fault = instance.call(Call { deadline: Duration::from_millis(20), ..call(1, &[]) }).expect_err("a fault");
    assert_eq!(fault.kind, FaultKind::Deadline);
    assert!(fault.message.starts_with("it was stopped after "), "{fault}");
    assert!(fault.message.contains("its deadline is 20 ms; in "), "{fault}");
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
}

#[test]
fn a_memory_bomb_ends_at_its_limit() {
    let fault = fault("bombs");
    assert_eq!(fault.kind, FaultKind::Memory);
    assert!(fault.message.starts_with("it wanted 65 MiB of memory; its limit is 64 MiB; in "), "{fault}");
}

#[test]
fn a_plugin_that_does_not_fit_is_told_at_configure() {
    let plugin = Plugin::with(Options { memory: 1 << 20, ..Options::default() });
    let said = plugin.configure(probe(), "nothing").expect_err("too small").to_string();
    assert!(said.contains("of memory; its limit is 1 MiB"), "{said}");
}

#[test]
fn an_endless_recursion_ends_at_the_end_of_its_stack() {
    let fault = fault("recurses");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("deeper"), "{fault}");
}

#[test]
fn a_trap_names_the_place() {
    let mut instance = Plugin::default().instance("traps-at-the-third");
    assert_eq!(instance.call(call(1, &[])), Ok(vec![]));
    instance.settle(true);
    assert_eq!(instance.call(call(1, &[])), Ok(vec![]));
    instance.settle(true);
    let fault = instance.call(call(1, &[])).expect_err("the third");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("unreachable"), "{fault}");
    assert!(fault.message.contains("probe::badly::explode"), "{fault}");
    let again = instance.call(call(1, &[])).expect_err("it is spent");
    assert_eq!(again.message, "this instance has failed before and is not called again");
}

#[test]
fn a_guests_last_words_are_kept() {
    let fault = fault("dies-with-words");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.ends_with("; it said: the pattern of rule 3 does not hold"), "{fault}");
}

#[test]
fn an_error_is_the_guests_own_words() {
    assert_eq!(fault("fails").to_string(), "error: the table of teams is empty");
}

#[test]
fn too_many_edits_are_counted_and_refused() {
    assert_eq!(fault("many-edits").to_string(), "edits: a call answered 40000 edits; the limit is 32768");
}

#[test]
fn answers_beyond_the_hosts_patience_are_traps() {
    for verb in ["too-many-edits", "giant-reason", "giant-list"] {
        let fault = fault(verb);
        assert_eq!(fault.kind, FaultKind::Trap, "{verb}: {fault}");
        assert!(fault.message.contains("too much data is being copied"), "{verb}: {fault}");
    }
}

#[test]
fn strings_that_are_no_utf8_are_traps() {
    let fault = fault("no-utf8");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.contains("utf-8"), "{fault}");
}

#[test]
fn a_path_that_does_not_exist_names_the_edit_and_the_nearest() {
    let said = fault("no-path").to_string();
    let expected = "edits: edit 2: there is no path `atributes[\"a\"]`; the nearest is `attributes[\"a\"]`";
    assert_eq!(said, expected);
}

#[test]
fn rows_out_of_range_are_left_to_the_check_of_edits() {
    assert_eq!(act("far-rows"), Ok(vec![Edit::Drop { at: Rows::These(vec![7]), reason: "x".to_owned() }]));
}

#[test]
fn texts_whose_offsets_make_no_sense_do_no_harm() {
    let edits = act("wrong-type").expect("they are data until somebody checks them");
    assert_eq!(edits.len(), 1);
}

#[test]
fn a_rate_that_is_no_number_is_a_trap() {
    let fault = fault("bad-rate");
    assert_eq!(fault.kind, FaultKind::Trap);
    assert!(fault.message.starts_with("a bucket's `per-second` must be a number"), "{fault}");
}

#[test]
fn a_plugin_that_fails_in_configure_says_how() {
    let quick = Plugin::with(Options { configure_deadline: Duration::from_millis(50), ..Options::default() });
    let said = quick.configure(probe(), "configure-spins").expect_err("a deadline").to_string();
    assert!(said.starts_with("configure: deadline: it was stopped after "), "{said}");
    let said = quick.configure(probe(), "configure-traps").expect_err("a trap").to_string();
    assert!(said.starts_with("configure: trap: ") && said.contains("unreachable"), "{said}");
}

#[test]
fn an_instance_wears_out_with_its_memory_and_its_calls() {
    let plugin = Plugin::with(Options { calls: 3, ..Options::default() });
    let mut instance = plugin.instance("nothing");
    for _ in 0..3 {
        assert!(!instance.is_worn());
        instance.call(call(1, &[])).expect("no edits");
        instance.settle(true);
    }
    assert!(instance.is_worn(), "three calls");

    let mut instance = Plugin::default().instance("swells");
    for _ in 0..64 {
        assert!(!instance.is_worn(), "what it takes at first it may keep");
        let slow = Call { deadline: Duration::from_secs(5), ..call(1, &[]) };
        instance.call(slow).expect("no edits");
        instance.settle(true);
    }
    assert!(instance.is_worn(), "55 of 64 MiB");
}

#[test]
fn one_plugins_trouble_is_not_anothers() {
    let (mut bad, mut good) = (Plugin::default().instance("traps"), Plugin::default().instance("nothing"));
    let program = Plugin::default().configure(probe(), "traps").expect("a program");
    for _ in 0..50 {
        bad.call(call(1, &[])).expect_err("a trap");
        bad = program.instantiate().expect("another instance");
        assert_eq!(good.call(call(1, &[])), Ok(vec![]));
        good.settle(true);
    }
}
