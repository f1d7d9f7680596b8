//! A token bucket. Knows no clock of its own.

use std::time::Instant;

/// A bucket of tokens that fills over time.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    tokens: f64,
    /// When `tokens` was right.
    at: Instant,
    per_second: f64,
    burst: f64,
}

impl Bucket {
    pub(super) fn full(burst: u64, now: Instant) -> Self {
        let burst = burst as f64;
        Self { tokens: burst, at: now, per_second: 0.0, burst }
    }

    pub(super) fn take(&mut self, least: u64, most: u64, per_second: f64, burst: u64, now: Instant) -> u64 {
        // What came in until now came in at the old rate.
        self.fill(now);
        self.per_second = per_second;
        self.burst = burst as f64;
        self.tokens = self.tokens.min(self.burst);
        let there = self.tokens.floor() as u64;
        let taken = most.min(there);
        if taken < least {
            return 0;
        }
        self.tokens -= taken as f64;
        taken
    }

    pub(super) fn give_back(&mut self, tokens: u64) {
        self.tokens = (self.tokens + tokens as f64).min(self.burst);
    }

    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.tokens + self.gain(now) >= self.burst
    }

    fn fill(&mut self, now: Instant) {
        self.tokens = (self.tokens + self.gain(now)).min(self.burst);
        self.at = self.at.max(now);
    }

    fn gain(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.at).as_secs_f64() * self.per_second
    }
}
