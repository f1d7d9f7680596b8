//! How long batches take in the chain: an estimate of the recent 99th percentile, to decide where the next one runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How far one sample above moves the estimate; one below moves it by a hundredth of that, so that it settles where one in a
/// hundred samples lies above.
const STEP: f64 = 0.25;

/// The estimate. Samples may race: one that is lost changes nothing that matters.
#[derive(Debug)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    pub(super) fn new(first: Duration) -> Self {
        Self(AtomicU64::new((first.as_secs_f64()).to_bits()))
    }

    /// The recent 99th percentile.
    pub(super) fn p99(&self) -> Duration {
        Duration::from_secs_f64(f64::from_bits(self.0.load(Ordering::Relaxed)))
    }

    pub(super) fn sample(&self, took: Duration) {
        let took = took.as_secs_f64();
        let estimate = f64::from_bits(self.0.load(Ordering::Relaxed));
        let moved = if took > estimate {
            // Not beyond the sample: one huge batch is not a trend.
            (estimate * (1.0 + STEP)).min(took)
        } else {
            (estimate * (1.0 - STEP / 99.0)).max(1e-6)
        };
        self.0.store(moved.to_bits(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_settles_near_the_99th_percentile_and_follows_a_change() {
        let pace = Pace::new(Duration::from_micros(100));
        let run = |slow_every: usize, rounds: usize| {
            for i in 0..rounds {
                let slow = i % slow_every == 0;
                pace.sample(Duration::from_micros(if slow { 5_000 } else { 50 }));
            }
            pace.p99()
        };
        // One in a thousand is slow: the 99th percentile is not.
        let quiet = run(1000, 20_000);
        assert!(quiet < Duration::from_micros(500), "{quiet:?}");
        // One in ten is slow: it is.
        let slow = run(10, 5_000);
        assert!(slow > Duration::from_micros(1_500), "{slow:?}");
        let again = run(1000, 50_000);
        assert!(again < Duration::from_micros(500), "{again:?}");
    }
}
