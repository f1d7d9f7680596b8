//! Consistent probability sampling as OpenTelemetry specifies it: thresholds, randomness and the `ot` entry of a trace
//! state.

use super::span::from_hex;
use crate::bindings::types::Sampling;

/// Thresholds and randomness have 56 bits.
const MAX: u64 = 1 << 56;
/// Hexadecimal digits of a threshold that is made from a probability, leading `f`s not counted.
const PRECISION: u32 = 4;

/// The sampling part of a span: its randomness and the `ot` entry's threshold.
pub(super) struct State<'s> {
    text: &'s str,
    randomness: u64,
    /// What it was sampled with, where that can be true.
    threshold: Option<u64>,
}

/// What becomes of a span.
pub(super) enum Outcome {
    Drop,
    Keep { trace_state: String },
}

impl<'s> State<'s> {
    pub fn of(trace_id: &str, trace_state: &'s str) -> Self {
        // Without a trace id the randomness is 0: only a probability of 1 keeps such spans.
        let id = from_hex(trace_id).filter(|id| id.len() == 16).unwrap_or_default();
        let last = id.iter().skip(9).fold(0, |number, &byte| number << 8 | u64::from(byte));
        let explicit = sub_key(trace_state, "rv").filter(|digits| digits.len() == 14).and_then(lower_hex);
        let randomness = explicit.unwrap_or(last);
        let digits = sub_key(trace_state, "th").filter(|digits| (1..=14).contains(&digits.len()));
        let threshold = digits.and_then(|digits| lower_hex(&format!("{digits:0<14}")));
        // A sampled span whose randomness is below its threshold: the threshold says nothing.
        let threshold = threshold.filter(|&threshold| randomness >= threshold);
        Self { text: trace_state, randomness, threshold }
    }

    /// How many spans this one stands for.
    pub fn weight(&self) -> f64 {
        MAX as f64 / (MAX - self.threshold.unwrap_or(0)) as f64
    }

    pub fn sample(&self, probability: f64, how: Sampling) -> Result<Outcome, String> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!("a probability of {probability} is not between 0 and 1"));
        }
        let arrived = self.threshold.unwrap_or(0);
        let wanted = match how {
            Sampling::Equalizing => probability,
            Sampling::Proportional => probability * (MAX - arrived) as f64 / MAX as f64,
        };
        if wanted * (MAX as f64) < 1.0 {
            return Ok(Outcome::Drop);
        }
        let is_whole = how == Sampling::Proportional && probability >= 1.0;
        let threshold = if is_whole { arrived } else { threshold(wanted).max(arrived) };
        if self.randomness < threshold {
            return Ok(Outcome::Drop);
        }
        let is_known = self.threshold == Some(threshold);
        let trace_state = if is_known { self.text.to_owned() } else { self.with_threshold(Some(threshold)) };
        Ok(Outcome::Keep { trace_state })
    }

    pub fn weigh(&self, probability: Option<f64>) -> Result<String, String> {
        if probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err(format!("a probability of {probability:?} is not between 0 and 1"));
        }
        let known = probability.filter(|&probability| probability > 0.0).map(threshold);
        let agrees = |&threshold: &u64| threshold >= self.threshold.unwrap_or(0) && self.randomness >= threshold;
        let to = known.filter(agrees);
        let is_known = to == self.threshold && (to.is_some() || sub_key(self.text, "th").is_none());
        Ok(if is_known { self.text.to_owned() } else { self.with_threshold(to) })
    }

    /// The trace state with this threshold. The `ot` entry comes first, as the standard asks for what was changed last;
    /// in it the threshold, then `rv`, then what others have put there.
    fn with_threshold(&self, threshold: Option<u64>) -> String {
        let parts = || ot_entry(self.text).trim_start_matches("ot=").split(';').filter(|part| !part.is_empty());
        let has = |part: &&str, key: &str| part.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
        let threshold = threshold.map(|threshold| format!("th:{}", encode(threshold)));
        let randomness = parts().filter(|part| has(part, "rv"));
        let others = parts().filter(|part| !has(part, "rv") && !has(part, "th"));
        let pairs: Vec<String> = threshold.into_iter().chain(randomness.chain(others).map(str::to_owned)).collect();
        let entries = self.text.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty() && !entry.starts_with("ot="));
        let ot = (!pairs.is_empty()).then(|| format!("ot={}", pairs.join(";")));
        ot.into_iter().chain(entries.map(str::to_owned)).collect::<Vec<_>>().join(",")
    }
}

/// The `ot` entry of a trace state; empty without one.
pub(super) fn ot_entry(trace_state: &str) -> &str {
    trace_state.split(',').map(str::trim).find(|entry| entry.starts_with("ot=")).unwrap_or("")
}

/// The value of a sub-key of the `ot` entry.
fn sub_key<'s>(trace_state: &'s str, key: &str) -> Option<&'s str> {
    let mut parts = ot_entry(trace_state).trim_start_matches("ot=").split(';');
    parts.find_map(|part| part.split_once(':').filter(|(known, _)| *known == key).map(|(_, value)| value))
}

fn lower_hex(digits: &str) -> Option<u64> {
    let is_lower = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    is_lower.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// The rejection threshold of a probability, rounded to few digits.
fn threshold(probability: f64) -> u64 {
    let exact = ((1.0 - probability) * MAX as f64).round() as u64;
    let leading_fs = (exact << 8).leading_ones() / 4;
    let digits = (leading_fs + PRECISION).min(14);
    let unit = 1u64 << (4 * (14 - digits));
    let rounded = (exact + unit / 2) / unit * unit;
    if rounded >= MAX { exact } else { rounded }
}

/// A threshold as `th` writes it: 14 digits without the zeros at the end.
fn encode(threshold: u64) -> String {
    let digits = format!("{threshold:014x}");
    match digits.trim_end_matches('0') {
        "" => "0".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_become_the_thresholds_of_the_specification() {
        let vectors = [
            (1, "0"),
            (2, "8"),
            (3, "aaab"),
            (4, "c"),
            (5, "cccd"),
            (8, "e"),
            (10, "e666"),
            (16, "f"),
            (100, "fd70a"),
            (1000, "ffbe77"),
            (10_000, "fff9724"),
            (100_000, "ffff583a"),
            (1_000_000, "ffffef39"),
        ];
        for (one_in, expected) in vectors {
            assert_eq!(encode(threshold(1.0 / f64::from(one_in))), expected, "1 in {one_in}");
        }
        assert_eq!(encode(threshold(0.96875)), "08");
    }

    #[test]
    fn thresholds_only_rise_and_keep_the_rest_of_the_state() {
        let id = "000000000000000000ffffffffffffff";
        let sampled = |state: &str, probability, how| match State::of(id, state).sample(probability, how) {
            Ok(Outcome::Keep { trace_state }) => trace_state,
            other => panic!("{:?}", other.map(|_| "dropped")),
        };
        assert_eq!(sampled("", 0.5, Sampling::Equalizing), "ot=th:8");
        assert_eq!(sampled("a=b,ot=th:c;x:y", 0.5, Sampling::Equalizing), "a=b,ot=th:c;x:y", "nothing changes");
        assert_eq!(sampled("a=b,ot=th:4;x:y", 0.5, Sampling::Equalizing), "ot=th:8;x:y,a=b");
        assert_eq!(sampled("ot=th:8", 0.5, Sampling::Proportional), "ot=th:c");
        assert_eq!(State::of(id, "ot=th:8").weigh(Some(0.25)), Ok("ot=th:c".to_owned()));
        assert_eq!(State::of(id, "ot=th:8;x:y").weigh(None), Ok("ot=x:y".to_owned()));
        assert_eq!(State::of(id, "ot=th:c").weigh(Some(0.5)), Ok(String::new()));
    }

    #[test]
    fn decisions_follow_the_randomness() {
        let id = "0000000000000000006e6d1a75832a2f";
        assert!(matches!(State::of(id, "").sample(0.57, Sampling::Equalizing), Ok(Outcome::Keep { .. })));
        assert!(matches!(State::of(id, "").sample(0.56, Sampling::Equalizing), Ok(Outcome::Drop)));
        let explicit = State::of(id, "ot=rv:ffffffffffffff");
        assert!(matches!(explicit.sample(0.01, Sampling::Equalizing), Ok(Outcome::Keep { .. })));
        assert!(State::of(id, "").sample(1.5, Sampling::Equalizing).is_err());
    }
}
