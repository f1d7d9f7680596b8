//! What a sampler answers: an action for each trace, with the reason that is shown to whoever asks why.

use std::time::Duration;

use crate::bindings::sampler::contract;
use crate::bindings::types::{self, Sampling};
use crate::plan::Reason;

use super::Trace;

/// What becomes of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// The next sampler is asked.
    Abstain,
    /// It is kept, with the weight with which it came.
    Keep,
    /// It is dropped.
    Drop,
    /// It is asked about again after this time, or when it is due for another reason.
    Wait(Duration),
    /// It is kept with this probability, decided by the host from the trace's randomness; one already sampled at or below it
    /// passes whole.
    Sample(f64),
    /// It is kept by the sampler's own choice, with this whole probability where that is known.
    Kept(Option<f64>),
    /// As `Sample`, but whatever arrives is thinned by the probability.
    Proportional(f64),
}

/// The actions of the contract.
mod action {
    pub const ABSTAIN: u8 = 0;
    pub const KEEP: u8 = 1;
    pub const DROP: u8 = 2;
    pub const WAIT: u8 = 3;
    pub const SAMPLE: u8 = 4;
    pub const KEPT: u8 = 5;
    pub const PROPORTIONAL: u8 = 6;
}

impl Decision {
    fn encode(self) -> (u8, f64) {
        match self {
            Self::Abstain => (action::ABSTAIN, 0.0),
            Self::Keep => (action::KEEP, 0.0),
            Self::Drop => (action::DROP, 0.0),
            Self::Wait(time) => (action::WAIT, time.as_nanos() as f64),
            Self::Sample(probability) => (action::SAMPLE, probability),
            Self::Kept(probability) => (action::KEPT, probability.unwrap_or(0.0)),
            Self::Proportional(probability) => (action::PROPORTIONAL, probability),
        }
    }

    /// The decision that an action and its number are; none if the contract knows no such action.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn decode(action: u8, number: f64) -> Option<Self> {
        Some(match action {
            action::ABSTAIN => Self::Abstain,
            action::KEEP => Self::Keep,
            action::DROP => Self::Drop,
            action::WAIT => Self::Wait(Duration::from_nanos(number as u64)),
            action::SAMPLE => Self::Sample(number),
            action::KEPT => Self::Kept((number != 0.0).then_some(number)),
            action::PROPORTIONAL => Self::Proportional(number),
            _ => return None,
        })
    }
}

/// Collects the decisions of one call. What is not decided abstains.
pub struct Decisions<'p> {
    declared: &'p [String],
    actions: Vec<u8>,
    numbers: Vec<f64>,
    codes: Vec<u32>,
    words: types::Texts,
    /// The word of each declared reason, 0 before it is used.
    word_of: Vec<u32>,
}

impl<'p> Decisions<'p> {
    pub(crate) fn new(declared: &'p [String], traces: u32) -> Self {
        let traces = traces as usize;
        let mut words = types::Texts::default();
        // Traces that are not decided have no reason.
        words.push("");
        Self {
            declared,
            actions: vec![action::ABSTAIN; traces],
            numbers: vec![0.0; traces],
            codes: vec![0; traces],
            words,
            word_of: vec![0; declared.len()],
        }
    }

    /// Keeps a trace, with the weight with which it came: for what is kept whatever the trace's randomness.
    pub fn keep(&mut self, trace: &Trace<'_>, reason: Reason) {
        self.decide(trace, Decision::Keep, reason);
    }

    /// Drops a trace.
    pub fn drop(&mut self, trace: &Trace<'_>, reason: Reason) {
        self.decide(trace, Decision::Drop, reason);
    }

    /// Keeps a trace with this probability, decided by the host from the trace's randomness and written as `ot=th`. 0 drops; a
    /// number outside 0 to 1 fails the call.
    pub fn sample(&mut self, trace: &Trace<'_>, probability: f64, how: Sampling, reason: Reason) {
        let decision = match how {
            Sampling::Equalizing => Decision::Sample(probability),
            Sampling::Proportional => Decision::Proportional(probability),
        };
        self.decide(trace, decision, reason);
    }

    /// Keeps a trace that the sampler chose itself (a rate limit, the first of its kind): with its whole probability, what `th` said
    /// on arrival included, where that is known; otherwise its `ot=th` is erased, because counts can no longer be adjusted.
    pub fn kept(&mut self, trace: &Trace<'_>, probability: Option<f64>, reason: Reason) {
        self.decide(trace, Decision::Kept(probability), reason);
    }

    /// Lets a trace wait for more spans. Not heard where [`may_wait`](Trace::may_wait) is false. Of a trace that is due
    /// [`Early`](super::Due::Early) it means "not yet", and delays nothing else for which the trace is due.
    pub fn wait(&mut self, trace: &Trace<'_>, time: Duration) {
        self.set(trace, Decision::Wait(time), 0);
    }

    /// Leaves a trace to the next sampler, as all are that are not decided.
    pub fn abstain(&mut self, trace: &Trace<'_>) {
        self.set(trace, Decision::Abstain, 0);
    }

    /// Any of these decisions.
    pub fn decide(&mut self, trace: &Trace<'_>, decision: Decision, reason: Reason) {
        let word = &mut self.word_of[reason.0 as usize];
        if *word == 0 {
            *word = self.words.offsets.len() as u32 - 1;
            self.words.push(&self.declared[reason.0 as usize]);
        }
        let word = *word;
        self.set(trace, decision, word);
    }

    fn set(&mut self, trace: &Trace<'_>, decision: Decision, word: u32) {
        let index = trace.number() as usize;
        (self.actions[index], self.numbers[index]) = decision.encode();
        self.codes[index] = word;
    }

    pub(crate) fn into_contract(self) -> contract::Decisions {
        let reasons = types::Words { codes: self.codes, words: self.words };
        contract::Decisions { actions: self.actions, numbers: self.numbers, reasons }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_survive_the_contract() {
        for decision in [
            Decision::Abstain,
            Decision::Keep,
            Decision::Drop,
            Decision::Wait(Duration::from_millis(5)),
            Decision::Sample(0.25),
            Decision::Kept(None),
            Decision::Kept(Some(0.5)),
            Decision::Proportional(1.0),
        ] {
            let (action, number) = decision.encode();
            assert_eq!(Decision::decode(action, number), Some(decision));
        }
        assert_eq!(Decision::decode(7, 0.0), None);
    }
}
