//! What was decided of a trace, by whom and why.

use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use otlp::edit::Sampling;

use super::shared::Shared;

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    /// The sampler, or the buffer itself.
    pub(super) plugin: Arc<str>,
    pub(super) reason: Arc<str>,
    pub(super) fate: Fate,
}

/// What becomes of the trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fate {
    Drop,
    Keep(Mark),
}

/// What is written into the trace state of kept spans.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mark {
    /// Nothing: they would always have been kept.
    Leave,
    /// The threshold of this probability, by which the trace was kept.
    Sampled { probability: f64, how: Sampling },
    /// This whole probability, or that it is unknown.
    Chosen(Option<f64>),
}

/// Who decides where no sampler does.
pub(super) const BUFFER: &str = "tail";

impl Verdict {
    /// Of the buffer itself.
    pub(super) fn of_buffer(reason: &str, fate: Fate) -> Self {
        Self { plugin: BUFFER.into(), reason: reason.into(), fate }
    }

    fn hash(&self, hasher: &mut impl Hasher) {
        (&self.plugin, &self.reason).hash(hasher);
        match self.fate {
            Fate::Drop => 0.hash(hasher),
            Fate::Keep(Mark::Leave) => 1.hash(hasher),
            Fate::Keep(Mark::Sampled { probability, how }) => {
                (2, probability.to_bits(), how == Sampling::Equalizing).hash(hasher);
            }
            Fate::Keep(Mark::Chosen(probability)) => (3, probability.map(f64::to_bits)).hash(hasher),
        }
    }
}

/// The verdicts that somebody remembers: there are few, though there are many traces.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    shared: Shared<Arc<Verdict>>,
    hasher: RandomState,
}

impl Verdicts {
    pub(super) fn bytes(&self) -> usize {
        self.shared.bytes()
    }

    /// A verdict's number. It has one user more.
    pub(super) fn enter(&mut self, verdict: &Verdict) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        verdict.hash(&mut hasher);
        self.shared.enter(
            hasher.finish(),
            |known| **known == *verdict,
            || (Arc::new(verdict.clone()), size_of::<Verdict>() + verdict.plugin.len() + verdict.reason.len()),
        )
    }

    pub(super) fn share(&mut self, number: u32) {
        self.shared.share(number);
    }

    pub(super) fn get(&self, number: u32) -> &Arc<Verdict> {
        self.shared.get(number)
    }

    pub(super) fn leave(&mut self, number: u32) {
        self.shared.leave(number);
    }
}
