//! The histogram against one that keeps every value.

use proptest::prelude::*;

use super::*;

/// The bounds of a bucket.
fn bounds(scale: i32, index: i32) -> (f64, f64) {
    let at = |index: f64| (index * f64::from(-scale).exp2()).exp2();
    (at(f64::from(index)), at(f64::from(index) + 1.0))
}

/// Durations as they come, and what senders make up.
fn values() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 1e-6..10.0,
        1 => Just(0.0),
        1 => (-40i32..40).prop_map(|exponent| f64::from(exponent).exp2()),
        1 => f64::MIN_POSITIVE..f64::MAX,
        1 => 0.25..0.2501,
    ]
}

fn of(values: &[(f64, u32)], most: usize) -> Exponential<u64> {
    let mut histogram = Exponential::default();
    for (value, count) in values {
        histogram.record(*value, u64::from(*count), most);
    }
    histogram
}

/// Whether each bucket holds what lies within its bounds, give or take what lies at a bound as exactly as doubles tell.
fn check(histogram: &Exponential<u64>, values: &[(f64, u32)]) {
    let sum = |part: &dyn Fn(f64) -> bool| -> u64 {
        values.iter().filter(|(value, _)| part(*value)).map(|(_, count)| u64::from(*count)).sum()
    };
    assert_eq!(*histogram.zeros(), sum(&|value| value == 0.0));
    assert_eq!(histogram.buckets().iter().sum::<u64>(), sum(&|value| value > 0.0));
    for (index, count) in (histogram.offset()..).zip(histogram.buckets()) {
        let (low, high) = bounds(histogram.scale(), index);
        let near = 1e-9;
        let surely = sum(&|value| value > low * (1.0 + near) && value <= high * (1.0 - near));
        let perhaps = sum(&|value| value > low * (1.0 - near) && value <= high * (1.0 + near));
        assert!((surely..=perhaps).contains(count), "({low}, {high}]: {count}, not {surely} to {perhaps}");
    }
}

proptest! {
    #[test]
    fn every_value_is_in_its_bucket(
        values in proptest::collection::vec((values(), 0u32..5), 0..200),
        most in 2usize..200,
    ) {
        let histogram = of(&values, most);
        prop_assert!(histogram.buckets().len() <= most);
        check(&histogram, &values);
    }

    #[test]
    fn two_merged_are_as_one(
        one in proptest::collection::vec((values(), 1u32..5), 0..100),
        other in proptest::collection::vec((values(), 1u32..5), 0..100),
        most in 2usize..200,
    ) {
        let mut merged = of(&one, most);
        merged.merge(&of(&other, most), most);
        let all: Vec<_> = one.into_iter().chain(other).collect();
        prop_assert!(merged.buckets().len() <= most);
        check(&merged, &all);
        prop_assert_eq!(merged.scale(), of(&all, most).scale());
    }

    #[test]
    fn the_scale_is_as_fine_as_the_buckets_allow(values in proptest::collection::vec((1e-6..100.0, Just(1u32)), 2..50)) {
        let histogram = of(&values, 160);
        if histogram.scale() < FINEST {
            let (low, high) = values.iter().fold((f64::MAX, 0f64), |(low, high), (v, _)| (low.min(*v), high.max(*v)));
            let finer = histogram.scale() + 1;
            prop_assert!(index(high, finer) - index(low, finer) >= 160);
        }
    }
}

#[test]
fn powers_of_two_are_the_last_of_their_bucket() {
    for scale in [-4, -1, 0, 1, 5, FINEST] {
        for exponent in [-30, -1, 0, 1, 4, 64] {
            let value = f64::from(exponent).exp2();
            let (at, above) = (index(value, scale), index(value * (1.0 + f64::EPSILON), scale));
            let is_bound = scale >= 0 || exponent % (1 << -scale) == 0;
            assert_eq!(above - at, i32::from(is_bound), "2^{exponent} at scale {scale}");
        }
    }
}

#[test]
fn what_is_no_duration_counts_as_none() {
    let histogram = of(&[(0.0, 1), (-1.0, 1), (f64::NAN, 1), (f64::MIN_POSITIVE / 4.0, 1), (f64::INFINITY, 1)], 160);
    assert_eq!((*histogram.zeros(), histogram.buckets()), (4, &[1][..]));
}
