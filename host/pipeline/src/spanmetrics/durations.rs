//! How often something happened and how long it took: as it is recorded, with weights, and as it is shown, in whole numbers.

use super::exemplar::{Candidate, Candidates};
use super::histogram::Exponential;

/// What was recorded of one series since somebody looked last. Counts are sums of weights: they are rounded once, later.
#[derive(Debug, Default)]
pub struct Recorded {
    weight: f64,
    /// In seconds.
    sum: f64,
    /// By upper bound; the last one is beyond all of them. Empty until there is a duration.
    explicit: Vec<f64>,
    exponential: Exponential<f64>,
    exemplars: Candidates,
}

/// The same over a longer time, in whole spans.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// How many.
    pub count: u64,
    /// How long they took together, in seconds.
    pub sum: f64,
    /// By upper bound, each without those below; the last one is beyond all of them. Empty where there are no durations.
    pub explicit: Vec<u64>,
    /// By value.
    pub exponential: Exponential<u64>,
}

/// One thing to record.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// How many stand behind it.
    pub weight: f64,
    /// How long it took; `None` where only its number counts.
    pub seconds: Option<f64>,
    /// Which span may stand for it.
    pub exemplar: Option<Candidate>,
}

impl Recorded {
    /// Counts one. `bounds` are the upper bounds of the explicit buckets; `most` is how many exponential ones there may be.
    #[inline]
    pub fn record(&mut self, sample: &Sample, bounds: &[f64], most: usize) {
        self.weight += sample.weight;
        let Some(seconds) = sample.seconds else { return };
        self.sum += seconds * sample.weight;
        if self.explicit.is_empty() {
            self.explicit = vec![0.0; bounds.len() + 1];
        }
        let bucket = bounds.partition_point(|bound| *bound < seconds);
        self.explicit[bucket] += sample.weight;
        self.exponential.record(seconds, sample.weight, most);
        if let Some(exemplar) = sample.exemplar {
            self.exemplars.offer(bucket, exemplar);
        }
    }

    /// Adds what was recorded elsewhere, by the same bounds.
    pub fn add(&mut self, more: Self, most: usize) {
        self.weight += more.weight;
        self.sum += more.sum;
        if self.explicit.len() < more.explicit.len() {
            self.explicit.resize(more.explicit.len(), 0.0);
        }
        for (known, more) in self.explicit.iter_mut().zip(&more.explicit) {
            *known += more;
        }
        self.exponential.merge(&more.exponential, most);
        self.exemplars.add(more.exemplars);
    }

    /// In whole numbers, and with the spans that may stand for them. `carry` is what rounding has left over so far: with it, sums over any
    /// time are off by half a span at most, however many roundings there were.
    pub fn round(self, carry: &mut f64) -> (Values, Candidates) {
        let Self { weight, sum, explicit, exponential, exemplars } = self;
        let begin = *carry;
        let count = whole(begin + weight);
        *carry = begin + weight - count as f64;
        let mut spread = Spread { sum: begin, given: 0, count };
        let exponential = exponential.map(|weight| spread.next(weight));
        let mut spread = Spread { sum: begin, given: 0, count };
        let explicit = explicit.into_iter().map(|weight| spread.next(weight)).collect();
        (Values { count, sum, explicit, exponential }, exemplars)
    }
}

impl Values {
    /// Adds what has come since.
    pub fn add(&mut self, more: &Self, most: usize) {
        self.count = self.count.saturating_add(more.count);
        self.sum += more.sum;
        if self.explicit.len() < more.explicit.len() {
            self.explicit.resize(more.explicit.len(), 0);
        }
        for (known, more) in self.explicit.iter_mut().zip(&more.explicit) {
            *known = known.saturating_add(*more);
        }
        self.exponential.merge(&more.exponential, most);
    }
}

/// Shares whole numbers out among buckets, so that they add up to `count` and no bucket gets less than nothing.
struct Spread {
    sum: f64,
    given: u64,
    count: u64,
}

impl Spread {
    fn next(&mut self, weight: f64) -> u64 {
        self.sum += weight;
        // Sums of doubles in another order may be off by their last digit: never beyond what there is.
        let upto = whole(self.sum).clamp(self.given, self.count);
        let share = upto - self.given;
        self.given = upto;
        share
    }
}

/// To the nearest, half up. What is left over is at least -0.5 and below 0.5.
fn whole(weight: f64) -> u64 {
    (weight + 0.5).floor() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: [f64; 3] = [0.01, 0.1, 1.0];

    fn recorded(samples: &[(f64, f64)]) -> Recorded {
        let mut recorded = Recorded::default();
        for &(weight, seconds) in samples {
            recorded.record(&Sample { weight, seconds: Some(seconds), exemplar: None }, &BOUNDS, 160);
        }
        recorded
    }

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let (values, _) = recorded(&[(1.0, 0.01), (1.0, 0.010_001), (4.0, 5.0), (1.0, 0.0)]).round(&mut 0.0);
        assert_eq!((values.count, &values.explicit[..]), (7, &[2, 1, 0, 4][..]));
        assert!((values.sum - 20.020_001).abs() < 1e-9);
        assert_eq!(*values.exponential.zeros(), 1);
    }

    proptest! {
        #[test]
        fn rounding_loses_half_a_span_at_most(
            parts in proptest::collection::vec(
                proptest::collection::vec((prop_oneof![Just(1.0), Just(10.0 / 3.0), 1.0..1000.0], 0.0..20.0), 0..30),
                1..20,
            ),
        ) {
            let (mut carry, mut total, mut weight) = (0.0, Values::default(), 0.0);
            for part in &parts {
                let (values, _) = recorded(part).round(&mut carry);
                total.add(&values, 160);
                weight += part.iter().map(|(weight, _)| weight).sum::<f64>();
                prop_assert!((total.count as f64 - weight).abs() <= 0.5 + 1e-6, "{} of {weight}", total.count);
            }
            prop_assert_eq!(total.explicit.iter().sum::<u64>(), total.count);
            prop_assert_eq!(total.exponential.buckets().iter().sum::<u64>() + total.exponential.zeros(), total.count);
        }

        #[test]
        fn whole_weights_are_exact(samples in proptest::collection::vec((1u32..5, 0.0..20.0), 0..100)) {
            let samples: Vec<_> = samples.into_iter().map(|(weight, seconds)| (f64::from(weight), seconds)).collect();
            let mut carry = 0.0;
            let (values, _) = recorded(&samples).round(&mut carry);
            prop_assert!(carry == 0.0);
            for (at, count) in values.explicit.iter().enumerate() {
                let low = if at == 0 { -1.0 } else { BOUNDS[at - 1] };
                let high = BOUNDS.get(at).copied().unwrap_or(f64::INFINITY);
                let within = samples.iter().filter(|(_, seconds)| *seconds > low && *seconds <= high);
                prop_assert_eq!(*count, within.map(|(weight, _)| *weight as u64).sum::<u64>());
            }
        }
    }
}
