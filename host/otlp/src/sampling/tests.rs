//! The specification's vectors and rules (P1 to P14 of the conformance list), and what must hold for any input.

use proptest::prelude::*;

use super::{InvalidProbability, Threshold, Verdict, adjusted_count, sample, weigh};
use crate::edit::Sampling::{self, Equalizing, Proportional};

fn threshold(probability: f64) -> Threshold {
    Threshold::of_probability(probability).unwrap().unwrap()
}

fn text(threshold: Threshold) -> String {
    let mut out = Vec::new();
    threshold.write(&mut out);
    String::from_utf8(out).unwrap()
}

/// A trace id with this randomness. Its first bytes are no part of it.
fn id(randomness: u64) -> [u8; 16] {
    let mut id = [0xff; 16];
    id[9..].copy_from_slice(&randomness.to_be_bytes()[1..]);
    id
}

/// The trace state after sampling, `None` where the span is dropped.
fn sampled(randomness: u64, state: &str, probability: f64, how: Sampling) -> Option<String> {
    let mut out = b"left over".to_vec();
    match sample(&id(randomness), state.as_bytes(), probability, how, &mut out).unwrap() {
        Verdict::Drop => None,
        Verdict::Keep => Some(state.to_owned()),
        Verdict::Rewrite => Some(String::from_utf8(out).unwrap()),
    }
}

fn weighed(randomness: u64, state: &str, probability: Option<f64>) -> String {
    let mut out = b"left over".to_vec();
    if weigh(&id(randomness), state.as_bytes(), probability, &mut out).unwrap() {
        String::from_utf8(out).unwrap()
    } else {
        state.to_owned()
    }
}

const ALL: u64 = (1 << 56) - 1;
const HALF: u64 = 1 << 55;

#[test]
fn p03_p14_thresholds_of_one_in_n_are_those_of_the_specification() {
    let vectors = [
        (1.0, "0"),
        (2.0, "8"),
        (3.0, "aaab"),
        (4.0, "c"),
        (5.0, "cccd"),
        (8.0, "e"),
        (10.0, "e666"),
        (16.0, "f"),
        (100.0, "fd70a"),
        (1_000.0, "ffbe77"),
        (10_000.0, "fff9724"),
        (100_000.0, "ffff583a"),
        (1_000_000.0, "ffffef39"),
    ];
    for (n, expected) in vectors {
        assert_eq!(text(threshold(1.0 / n)), expected, "1 in {n}");
    }
}

#[test]
fn p01_randomness_is_rv_or_the_last_seven_bytes() {
    assert_eq!(sampled(HALF, "", 0.5, Equalizing).as_deref(), Some("ot=th:8"));
    assert_eq!(sampled(HALF - 1, "", 0.5, Equalizing), None);
    assert_eq!(sampled(0, "ot=rv:80000000000000", 0.5, Equalizing).as_deref(), Some("ot=th:8;rv:80000000000000"));
    assert_eq!(sampled(ALL, "ot=rv:7fffffffffffff", 0.5, Equalizing), None);
    // Not exactly 14 lower-case digits: no `rv`, though it is kept.
    assert_eq!(sampled(ALL, "ot=rv:0000000000000", 0.5, Equalizing).as_deref(), Some("ot=th:8;rv:0000000000000"));
    assert_eq!(sampled(0, "ot=rv:FFFFFFFFFFFFFF", 0.5, Equalizing), None);
}

#[test]
fn p02_the_example_of_the_specification_is_kept_from_56_9_percent_on() {
    let state = "ot=rv:6e6d1a75832a2f";
    assert!(sampled(0, state, 0.5686, Equalizing).is_none());
    assert!(sampled(0, state, 0.569, Equalizing).is_some());
    assert!(sampled(0, state, 1.0, Equalizing).is_some());
    let exact = Threshold::parse(b"6e6d1a75832a2f").unwrap();
    assert_eq!(weighed(0, state, Some(exact.probability())), "ot=th:6e6d;rv:6e6d1a75832a2f");
}

#[test]
fn p04_p05_digits_are_padded_on_the_right_in_and_on_the_left_out() {
    assert_eq!(Threshold::parse(b"8").unwrap().value(), HALF);
    assert_eq!(Threshold::parse(b"08").unwrap().value(), 8 << 48);
    assert_eq!(text(threshold(0.968_75)), "08");
    assert_eq!(Threshold::parse(b"08").unwrap(), threshold(0.968_75));
    for wrong in [&b""[..], b"8C", b"x", b"123456789012345"] {
        assert_eq!(Threshold::parse(wrong), None);
    }
}

#[test]
fn p06_rv_and_foreign_sub_keys_and_entries_stay() {
    let state = "a=1, ot=x:y;rv:ffffffffffffff;th:4;z:, b=2";
    let expected = "ot=th:8;rv:ffffffffffffff;x:y;z:,a=1,b=2";
    assert_eq!(sampled(0, state, 0.5, Equalizing).as_deref(), Some(expected));
    assert_eq!(weighed(0, state, None), "ot=rv:ffffffffffffff;x:y;z:,a=1,b=2");
    assert_eq!(sampled(ALL, "a=1", 0.5, Equalizing).as_deref(), Some("ot=th:8,a=1"));
    // Another vendor's key that only looks like ours.
    assert_eq!(sampled(ALL, "not=th:c,ot@x=th:c", 0.5, Equalizing).as_deref(), Some("ot=th:8,not=th:c,ot@x=th:c"));
}

#[test]
fn p08_an_equalizing_sampler_passes_whole_what_was_sampled_below_its_probability() {
    assert_eq!(sampled(ALL, "ot=th:c", 0.5, Equalizing).as_deref(), Some("ot=th:c"));
    assert_eq!(sampled(ALL, "ot=th:8", 0.5, Equalizing).as_deref(), Some("ot=th:8"));
    assert_eq!(sampled(ALL, "ot=th:4", 0.5, Equalizing).as_deref(), Some("ot=th:8"));
    assert_eq!(sampled(HALF - 1, "ot=th:4", 0.5, Equalizing), None);
}

#[test]
fn p09_a_proportional_sampler_thins_whatever_arrives() {
    assert_eq!(sampled(ALL, "ot=th:8", 0.5, Proportional).as_deref(), Some("ot=th:c"));
    assert_eq!(sampled(HALF + 1, "ot=th:8", 0.5, Proportional), None);
    assert_eq!(sampled(ALL, "", 0.25, Proportional).as_deref(), Some("ot=th:c"));
    assert_eq!(sampled(ALL, "ot=th:123456789abcde", 1.0, Proportional).as_deref(), Some("ot=th:123456789abcde"));
    // Below the smallest probability nothing is sampled.
    assert_eq!(sampled(ALL, "ot=th:ffffffffffffff", 0.25, Proportional), None);
}

#[test]
fn p11_an_inconsistent_or_malformed_threshold_is_erased() {
    // R = 0 cannot have passed 8: it counts as not sampled before.
    assert_eq!(sampled(0, "ot=th:8;x:y", 1.0, Equalizing).as_deref(), Some("ot=th:0;x:y"));
    assert_eq!(sampled(HALF, "ot=th:c", 0.5, Proportional).as_deref(), Some("ot=th:8"));
    assert_eq!(sampled(ALL, "ot=th:XY", 0.5, Equalizing).as_deref(), Some("ot=th:8"));
    assert_eq!(weighed(ALL, "ot=th:8", None), "");
    assert_eq!(weighed(ALL, "ot=th:XY,a=1", None), "a=1");
    assert_eq!(weighed(ALL, "a=1", None), "a=1");
}

#[test]
fn p11_an_own_choice_is_weighed_where_it_can_be_true() {
    assert_eq!(weighed(ALL, "", Some(0.5)), "ot=th:8");
    assert_eq!(weighed(ALL, "ot=th:8", Some(0.25)), "ot=th:c");
    assert_eq!(weighed(ALL, "ot=th:8", Some(0.5)), "ot=th:8");
    // Above what it came with, against its randomness, or too small to write.
    assert_eq!(weighed(ALL, "ot=th:c", Some(0.5)), "");
    assert_eq!(weighed(HALF, "ot=th:8;x:y", Some(0.25)), "ot=x:y");
    assert_eq!(weighed(ALL, "ot=th:8", Some(0.0)), "");
}

#[test]
fn p12_adjusted_counts() {
    let count = |state: &str| adjusted_count(&id(ALL), state.as_bytes());
    assert_eq!(count("ot=th:0"), Some(1.0));
    assert_eq!(count("ot=th:c"), Some(4.0));
    assert_eq!(count("a=1"), None);
    assert_eq!(adjusted_count(&id(0), b"ot=th:c"), None);
}

#[test]
fn p13_probabilities_from_2_to_the_minus_56_on() {
    let smallest = (-56f64).exp2();
    assert_eq!(text(threshold(smallest)), "ffffffffffffff");
    assert_eq!(Threshold::of_probability(smallest / 2.0), Ok(None));
    assert_eq!(sampled(ALL, "", 0.0, Equalizing), None);
    assert_eq!(sampled(ALL, "ot=th:8", 0.0, Proportional), None);
    for wrong in [-0.1, 1.1, f64::INFINITY] {
        assert_eq!(Threshold::of_probability(wrong), Err(InvalidProbability(wrong)));
    }
    assert!(Threshold::of_probability(f64::NAN).is_err());
}

#[test]
fn the_list_stays_within_its_limits() {
    let long = format!("ot=x:{};rv:ffffffffffffff", "y".repeat(240));
    assert_eq!(sampled(0, &long, 0.5, Equalizing).unwrap(), "ot=th:8;rv:ffffffffffffff");
    let crowd: Vec<_> = (0..40).map(|i| format!("v{i}=1")).collect();
    let state = sampled(ALL, &crowd.join(","), 0.5, Equalizing).unwrap();
    assert_eq!(state.split(',').count(), 32);
    assert!(state.starts_with("ot=th:8,v0=1,"));
}

proptest! {
    #[test]
    fn any_trace_state_is_read_without_a_panic_and_sampling_twice_is_sampling_once(
        randomness in 0..1u64 << 56,
        state in "((ot|a|b)=(th:[0-9a-fA-F]{0,16}|rv:[0-9a-f]{13,15}|[a-z:;=]{0,8}|;){0,4}[, ]{0,2}){0,5}",
        probability in 0.0..=1.0f64,
        how in prop_oneof![Just(Equalizing), Just(Proportional)],
    ) {
        if let Some(once) = sampled(randomness, &state, probability, how) {
            prop_assert_eq!(sampled(randomness, &once, probability, Equalizing), Some(once));
        }
        let weighed_once = weighed(randomness, &state, Some(probability));
        let count = adjusted_count(&id(randomness), weighed_once.as_bytes());
        prop_assert!(count.is_none_or(|count| count >= 1.0));
    }

    /// P7, P8, P10: the threshold is only ever raised, and it decides.
    #[test]
    fn thresholds_are_only_raised(
        randomness in 0..1u64 << 56,
        digits in "[0-9a-f]{1,14}",
        probability in 0.0..=1.0f64,
        how in prop_oneof![Just(Equalizing), Just(Proportional)],
    ) {
        let before = Threshold::parse(digits.as_bytes()).unwrap();
        prop_assume!(before.value() <= randomness);
        if let Some(state) = sampled(randomness, &format!("ot=th:{digits}"), probability, how) {
            let after = Threshold::parse(state.strip_prefix("ot=th:").unwrap().as_bytes()).unwrap();
            prop_assert!(before <= after && after.value() <= randomness);
        }
    }

    #[test]
    fn thresholds_read_back_and_stand_for_their_probability(probability in 1e-12..=1.0f64) {
        let made = threshold(probability);
        prop_assert_eq!(Threshold::parse(text(made).as_bytes()), Some(made));
        let error = (made.probability() - probability).abs() / probability;
        prop_assert!(error < 0.001, "{} for {}", error, probability);
    }
}
