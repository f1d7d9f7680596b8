//! What is dropped is freed.

use std::sync::Arc;

use pipeline::chain::stage::Program;
use tracemill_wasm::{Engine, EngineOptions, load};

use crate::guests;
use crate::setup::{Plugin, call, words};

/// Bytes of this process that are mapped, and in memory.
fn memory() -> (i64, i64) {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let mut pages = text.split(' ').map(|field| field.parse::<i64>().expect("a number") * 4096);
    (pages.next().expect("mapped"), pages.next().expect("in memory"))
}

#[test]
fn plugins_that_come_and_go_leave_no_memory_behind() {
    let engine = Engine::new(&EngineOptions::default()).expect("an engine");
    let plugin = Plugin::default();
    let columns = [words(&[0, 1], &["", "/health"])];
    let come_and_go = || {
        let component = load(&engine, guests::probe()).expect("a plugin");
        let program = Arc::new(plugin.configure(&component, "drop-word").expect("a program"));
        let mut instance = program.instantiate().expect("an instance");
        instance.call(call(2, &columns)).expect("edits");
        instance.settle(true);
    };
    (0..10).for_each(|_| come_and_go());
    let (mapped, resident) = memory();
    (0..200).for_each(|_| come_and_go());
    let (mapped_now, resident_now) = memory();
    // Other tests run beside this one, so that only what grows with the rounds shows: a leak of one instance a round
    // would map 800 GiB, one of its code alone 60 MiB.
    assert!(mapped_now - mapped < 100 << 30, "{} MiB more are mapped", (mapped_now - mapped) >> 20);
    assert!(resident_now - resident < 150 << 20, "{} MiB more are in memory", (resident_now - resident) >> 20);
}
