//! Notes on every span how many calls there were before, as far as it remembers; hands that to the version after it. What its settings
//! hold decides what goes wrong: `refuses`, `traps` when it restores, `spins` when it saves.

use std::cell::Cell;

mod bindings {
    #![allow(missing_docs, unsafe_code, clippy::pedantic, unused_qualifications, reason = "generated")]
    wit_bindgen::generate!({
        path: "../../../wit/0.1.0",
        world: "tracemill:plugin/span-processor-with-handover",
    });
}

use bindings::exports::tracemill::plugin::handover::Guest as Handover;
use bindings::exports::tracemill::plugin::processor::{Column, Edit, Guest as Processor, Plan};
use bindings::tracemill::plugin::host;
use bindings::tracemill::plugin::types::{Affinity, Failure, Mode, Rows, SetPath, Value, Values};

const NOTE: &str = "attributes[\"remembers\"]";

#[derive(Clone, Copy, Default)]
struct Known {
    calls: i64,
    refuses: bool,
    traps: bool,
    spins: bool,
}

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known { calls: 0, refuses: false, traps: false, spins: false }) };
}

struct Remembers;

impl Processor for Remembers {
    fn configure(settings: String) -> Result<Plan, String> {
        let says = |word: &str| settings.contains(word);
        KNOWN.set(Known { calls: 0, refuses: says("refuses"), traps: says("traps"), spins: says("spins") });
        Ok(Plan {
            columns: Vec::new(),
            reads: Vec::new(),
            writes: vec![NOTE.to_owned()],
            may_drop: false,
            when: Vec::new(),
            affinity: if says("one") { Affinity::One } else { Affinity::Any },
            on_error: Failure::Pass,
            options: Vec::new(),
        })
    }

    fn process(_: u32, _: Vec<Column>) -> Result<Vec<Edit>, String> {
        let known = KNOWN.get();
        KNOWN.set(Known { calls: known.calls + 1, ..known });
        let to = Values::Same(Value::Integer(known.calls));
        Ok(vec![Edit::Set(SetPath { path: NOTE.to_owned(), at: Rows::Every, to, mode: Mode::Upsert })])
    }
}

impl Handover for Remembers {
    fn save() -> Vec<u8> {
        let known = KNOWN.get();
        if known.spins {
            loop {
                std::hint::black_box(());
            }
        }
        known.calls.to_le_bytes().to_vec()
    }

    fn restore(from_version: String, saved: Vec<u8>) -> Result<(), String> {
        let known = KNOWN.get();
        assert!(!known.traps, "it was told to");
        if known.refuses {
            return Err("it cannot read that".to_owned());
        }
        let calls =
            saved.try_into().map(i64::from_le_bytes).map_err(|saved: Vec<u8>| format!("{} bytes", saved.len()))?;
        KNOWN.set(Known { calls, ..known });
        host::count("restored", 1);
        host::log(host::Level::Info, &format!("restored {calls} calls of {from_version}"));
        Ok(())
    }
}

/// What the host calls.
mod exported {
    #![allow(unsafe_code, reason = "generated; the contract's ABI needs it")]
    use super::{Remembers, bindings};

    bindings::export!(Remembers with_types_in bindings);
}
