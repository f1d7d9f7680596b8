//! Consistent probability sampling: the decision by a trace's randomness, and the `ot=th` that tells of it.
//!
//! Pure functions after the probability sampling of OpenTelemetry's trace state: a trace is kept when its randomness R is not
//! below the threshold T = (1 - p) * 2^56. Every sampler that knows R and T decides alike, and 2^56 / (2^56 - T) spans
//! stand behind each one that is kept. Knows nothing of batches; what is written goes into the caller's buffer.

use crate::edit::Sampling;

mod state;
mod threshold;

pub use threshold::{InvalidProbability, Threshold};

use state::State;

/// What becomes of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves.
    Drop,
    /// It stays as it is.
    Keep,
    /// It stays, and its trace state becomes what was written to the buffer (nothing: it has none then).
    Rewrite,
}

/// A probability to decide with.
#[derive(Debug, Clone, Copy)]
pub struct Odds {
    probability: f64,
    /// `None` where the probability is too small for a threshold: nothing is kept.
    threshold: Option<Threshold>,
    how: Sampling,
}

/// A probability to sample with, made ready for many spans.
#[derive(Debug, Clone)]
pub struct Sampler {
    odds: Odds,
    /// The trace state of a span that had none: `ot=th:T`.
    fresh: Vec<u8>,
}

impl Sampler {
    /// A sampler that keeps with `probability`, from 0 to 1.
    pub fn new(probability: f64, how: Sampling) -> Result<Self, InvalidProbability> {
        let odds = Odds::new(probability, how)?;
        let mut fresh = Vec::new();
        if let Some(threshold) = odds.threshold {
            State::default().write(Some(threshold), &mut fresh);
        }
        Ok(Self { odds, fresh })
    }

    /// Decides about one span. On [`Verdict::Rewrite`] its new trace state is in `out`, which is cleared before.
    #[inline]
    pub fn sample(&self, trace_id: &[u8], trace_state: &[u8], out: &mut Vec<u8>) -> Verdict {
        let Some(threshold) = self.odds.threshold else { return Verdict::Drop };
        if trace_state.is_empty() {
            if randomness_of(trace_id) < threshold.value() {
                return Verdict::Drop;
            }
            out.clear();
            out.extend_from_slice(&self.fresh);
            return Verdict::Rewrite;
        }
        self.sample_again(threshold, trace_id, trace_state, out)
    }

    fn sample_again(&self, own: Threshold, trace_id: &[u8], trace_state: &[u8], out: &mut Vec<u8>) -> Verdict {
        let state = State::parse(trace_state);
        let arrived = Arrived::of(&state, trace_id);
        let Some(threshold) = self.odds.threshold_of(own, arrived) else { return Verdict::Drop };
        if arrived.threshold == Some(threshold) {
            return Verdict::Keep;
        }
        out.clear();
        state.write(Some(threshold), out);
        Verdict::Rewrite
    }
}

impl Odds {
    /// Of a probability from 0 to 1.
    pub fn new(probability: f64, how: Sampling) -> Result<Self, InvalidProbability> {
        Ok(Self { probability, threshold: Threshold::of_probability(probability)?, how })
    }

    /// Whether a trace that arrived like this is kept: the decision about all of its spans at once.
    #[must_use]
    pub fn keeps(self, arrived: Arrived) -> bool {
        self.threshold.and_then(|own| self.threshold_of(own, arrived)).is_some()
    }

    /// The threshold that a kept span has from now on; `None` where it is not kept.
    fn threshold_of(self, own: Threshold, arrived: Arrived) -> Option<Threshold> {
        let Arrived { randomness, threshold: before } = arrived;
        let threshold = match (self.how, before) {
            (_, None) => own,
            (Sampling::Equalizing, Some(before)) => own.max(before),
            (Sampling::Proportional, Some(before)) if self.probability >= 1.0 => before,
            (Sampling::Proportional, Some(before)) => {
                // Rounded to its digits, a threshold must not fall below what it was: samplers only ever raise it.
                Threshold::of_probability(self.probability * before.probability()).ok()??.max(before)
            }
        };
        (randomness >= threshold.value()).then_some(threshold)
    }
}

/// How a span arrived, as samplers see it.
///
/// Invariant: what comes in without a threshold, or with one that cannot be true, counts as not yet sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// The trace's randomness R, below 2^56: `rv`, else the last 7 bytes of its id.
    pub randomness: u64,
    /// The threshold that it has passed, if one is known.
    pub threshold: Option<Threshold>,
}

impl Arrived {
    /// Reads it from a span's trace id and trace state.
    #[inline]
    #[must_use]
    pub fn read(trace_id: &[u8], trace_state: &[u8]) -> Self {
        if trace_state.is_empty() {
            return Self { randomness: randomness_of(trace_id), threshold: None };
        }
        Self::of(&State::parse(trace_state), trace_id)
    }

    fn of(state: &State<'_>, trace_id: &[u8]) -> Self {
        let randomness = state.randomness().unwrap_or_else(|| randomness_of(trace_id));
        Self { randomness, threshold: state.consistent_threshold(randomness) }
    }

    /// How many spans stand behind the one that arrived; `None` where that is not known.
    #[must_use]
    pub fn adjusted_count(self) -> Option<f64> {
        self.threshold.map(|threshold| threshold.probability().recip())
    }
}

/// Decides about one span; [`Sampler`] does the same for many.
pub fn sample(
    trace_id: &[u8],
    trace_state: &[u8],
    probability: f64,
    how: Sampling,
    out: &mut Vec<u8>,
) -> Result<Verdict, InvalidProbability> {
    Ok(Sampler::new(probability, how)?.sample(trace_id, trace_state, out))
}

/// Notes the whole probability with which a span was kept by somebody's own choice, or that it is unknown. It is written
/// if it is not above what the span came with and agrees with the trace's randomness; otherwise `th` is erased. Answers
/// whether the trace state changes: it is in `out` then, which is cleared before.
pub fn weigh(
    trace_id: &[u8],
    trace_state: &[u8],
    probability: Option<f64>,
    out: &mut Vec<u8>,
) -> Result<bool, InvalidProbability> {
    let wanted = probability.map(Threshold::of_probability).transpose()?.flatten();
    let state = State::parse(trace_state);
    let Arrived { randomness, threshold: before } = Arrived::of(&state, trace_id);
    let to = wanted.filter(|wanted| before.is_none_or(|before| *wanted >= before) && randomness >= wanted.value());
    if to == before && (to.is_some() || !state.has_threshold()) {
        return Ok(false);
    }
    out.clear();
    state.write(to, out);
    Ok(true)
}

/// How many spans stand behind one that came with this trace state, by its `th`; `None` where that is not known.
#[must_use]
pub fn adjusted_count(trace_id: &[u8], trace_state: &[u8]) -> Option<f64> {
    Arrived::read(trace_id, trace_state).adjusted_count()
}

/// The last 7 bytes of a trace id.
#[inline]
fn randomness_of(trace_id: &[u8]) -> u64 {
    const MASK: u64 = (1 << 56) - 1;
    match trace_id.last_chunk::<8>() {
        Some(last) => u64::from_be_bytes(*last) & MASK,
        None => trace_id.iter().fold(0, |r, &byte| (r << 8 | u64::from(byte)) & MASK),
    }
}

#[cfg(test)]
mod tests;
