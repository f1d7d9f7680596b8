//! A sampler that does what its settings say, well or badly. Written on the bindings alone, so that the contract is tested and no SDK. It
//! hands over how many traces it has decided.
//!
//! Settings: `{"do": "VERB"}`. [`plan`] holds what verbs do in `configure`, [`well`] and [`badly`] what they do in `decide`.

mod badly;
mod plan;
mod well;

mod bindings {
    #![allow(missing_docs, unsafe_code, clippy::pedantic, unused_qualifications, reason = "generated")]
    wit_bindgen::generate!({
        path: "../../../wit/0.2.0",
        world: "tracemill:plugin/trace-sampler-with-handover",
    });
}

use std::cell::{Cell, RefCell};

use bindings::exports::tracemill::plugin::handover::Guest as Handover;
use bindings::exports::tracemill::plugin::sampler::{Column, Decisions, Guest as Sampler, SamplerPlan, Traces, Words};
use bindings::tracemill::plugin::types::Texts;

thread_local! {
    static VERB: RefCell<String> = const { RefCell::new(String::new()) };
    static CALLS: Cell<u32> = const { Cell::new(0) };
    static DECIDED: Cell<u64> = const { Cell::new(0) };
}

struct Picks;

impl Sampler for Picks {
    fn configure(settings: String) -> Result<SamplerPlan, String> {
        let verb = settings
            .split_once("\"do\"")
            .and_then(|(_, rest)| rest.split('"').nth(1))
            .ok_or_else(|| format!("settings: `do` is missing in {settings}"))?;
        VERB.set(verb.to_owned());
        plan::of(verb)
    }

    fn decide(traces: Traces, columns: Vec<Column>) -> Result<Decisions, String> {
        CALLS.set(CALLS.get() + 1);
        let answer = VERB.with_borrow(|verb| match well::act(verb, &traces, &columns) {
            Some(decisions) => Ok(decisions),
            None => badly::act(verb, traces.due.len()),
        });
        DECIDED.set(DECIDED.get() + traces.due.len() as u64);
        answer
    }
}

impl Handover for Picks {
    fn save() -> Vec<u8> {
        DECIDED.get().to_le_bytes().to_vec()
    }

    fn restore(from_version: String, saved: Vec<u8>) -> Result<(), String> {
        let decided = saved.try_into().map(u64::from_le_bytes);
        DECIDED.set(decided.map_err(|saved: Vec<u8>| format!("{} bytes of {from_version}", saved.len()))?);
        Ok(())
    }
}

/// Traces before this call, of this instance and those before it.
fn decided() -> u64 {
    DECIDED.get()
}

/// How many calls this instance has had, this one included.
fn calls() -> u32 {
    CALLS.get()
}

/// One decision for each trace: action, number and reason.
fn decisions<R: AsRef<str>>(of: impl IntoIterator<Item = (u8, f64, R)>) -> Decisions {
    let mut decisions = Decisions { actions: Vec::new(), numbers: Vec::new(), reasons: words([]) };
    let Words { codes, words: Texts { offsets, data } } = &mut decisions.reasons;
    for (code, (action, number, reason)) in (0..).zip(of) {
        decisions.actions.push(action);
        decisions.numbers.push(number);
        codes.push(code);
        data.extend(reason.as_ref().as_bytes());
        offsets.push(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }
    decisions
}

/// Words that nobody uses yet.
fn words<const N: usize>(of: [&str; N]) -> Words {
    let mut offsets = vec![0];
    let mut data = Vec::new();
    for word in of {
        data.extend(word.as_bytes());
        offsets.push(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }
    Words { codes: Vec::new(), words: Texts { offsets, data } }
}

/// What the host calls.
mod exported {
    #![allow(unsafe_code, reason = "generated; the contract's ABI needs it")]
    use super::{Picks, bindings};

    bindings::export!(Picks with_types_in bindings);
}
