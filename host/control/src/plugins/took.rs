//! How long a swap took, step by step, for the log and the status: from the file's last change to the chain that has the plugin.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The times of a swap, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// From the last change that was noticed until the files counted as settled.
    pub settle_ms: u64,
    /// Behind other plugins that were being made.
    pub wait_ms: u64,
    /// Pulling the plugin from a registry, or reading what was pulled before; 0 for a file of the folder.
    #[serde(default)]
    pub pull_ms: u64,
    /// Reading the files, and checking them and their signature.
    pub check_ms: u64,
    /// Compiling, or reading what was compiled before; 0 where only the sidecar has changed.
    pub compile_ms: u64,
    /// Whether it was compiled before.
    #[serde(default)]
    pub cached: bool,
    /// Instantiating and `configure`.
    pub configure_ms: u64,
    /// The sample spans.
    pub probe_ms: u64,
    /// All of it, until the chain was published.
    pub total_ms: u64,
}

/// What the maker measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps {
    /// Pulling the plugin.
    pub pull: Duration,
    /// Reading the files, and checking them and their signature.
    pub check: Duration,
    /// Compiling.
    pub compile: Duration,
    /// Whether it was compiled before.
    pub cached: bool,
    /// Instantiating and `configure`.
    pub configure: Duration,
    /// The sample spans.
    pub probe: Duration,
}

/// When the folder and the maker had a stage in hand.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Since when the files were as they are.
    pub noticed: Instant,
    /// When they had settled.
    pub settled: Instant,
    /// When making it began.
    pub begun: Instant,
}

impl Times {
    /// What is told of a stage that is published now.
    #[must_use]
    pub fn took(&self, steps: &Steps, published: Instant) -> Took {
        Took {
            settle_ms: millis(self.settled.saturating_duration_since(self.noticed)),
            wait_ms: millis(self.begun.saturating_duration_since(self.settled)),
            pull_ms: millis(steps.pull),
            check_ms: millis(steps.check),
            compile_ms: millis(steps.compile),
            cached: steps.cached,
            configure_ms: millis(steps.configure),
            probe_ms: millis(steps.probe),
            total_ms: millis(published.saturating_duration_since(self.noticed)),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Runs a step and adds to its time.
pub fn timed<T>(step: &mut Duration, run: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let outcome = run();
    *step += begun.elapsed();
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_counts_from_the_last_change() {
        let noticed = Instant::now();
        let after = |millis| noticed + Duration::from_millis(millis);
        let times = Times { noticed, settled: after(20), begun: after(23) };
        let steps = Steps { compile: Duration::from_millis(70), ..Steps::default() };
        let took = times.took(&steps, after(100));
        assert_eq!((took.settle_ms, took.wait_ms, took.compile_ms, took.total_ms), (20, 3, 70, 100));
    }
}
