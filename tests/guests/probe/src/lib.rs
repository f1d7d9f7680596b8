//! Does what its settings say, well or badly. Written on the bindings alone, so that the contract is tested and no SDK.
//!
//! For the newest contract; with the feature `v0-1` for the one before, which the host runs as well.
//!
//! Settings: `{"do": "VERB"}`. [`plan`] holds what verbs do in `configure`, [`well`], [`badly`] and [`wild`] what they do in `process`.

mod badly;
mod plan;
mod well;
mod wild;

mod bindings {
    #![allow(missing_docs, unsafe_code, clippy::pedantic, unused_qualifications, reason = "generated")]
    #[cfg(not(feature = "v0-1"))]
    wit_bindgen::generate!({ path: "../../../wit/0.2.0", world: "span-processor" });
    #[cfg(feature = "v0-1")]
    wit_bindgen::generate!({ path: "../../../wit/0.1.0", world: "span-processor" });
}

use std::cell::RefCell;

use bindings::exports::tracemill::plugin::processor::{Column, Edit, Guest, Plan};

thread_local! {
    static VERB: RefCell<String> = const { RefCell::new(String::new()) };
    static CALLS: RefCell<u32> = const { RefCell::new(0) };
}

struct Probe;

impl Guest for Probe {
    fn configure(settings: String) -> Result<Plan, String> {
        let verb = settings
            .split_once("\"do\"")
            .and_then(|(_, rest)| rest.split('"').nth(1))
            .ok_or_else(|| format!("settings: `do` is missing in {settings}"))?;
        VERB.set(verb.to_owned());
        plan::of(verb)
    }

    fn process(rows: u32, columns: Vec<Column>) -> Result<Vec<Edit>, String> {
        CALLS.with_borrow_mut(|calls| *calls += 1);
        VERB.with_borrow(|verb| well::act(verb, rows, &columns).unwrap_or_else(|| badly::act(verb, rows)))
    }
}

/// How many calls this instance has had, this one included.
fn calls() -> u32 {
    CALLS.with_borrow(|calls| *calls)
}

/// What the host calls.
mod exported {
    #![allow(unsafe_code, reason = "generated; the contract's ABI needs it")]
    use super::{Probe, bindings};

    bindings::export!(Probe with_types_in bindings);
}
