//! The breaker of a stage: after repeated faults it takes the plugin out for a while, then tries it once.
//!
//! Closed: calls go through; so many faults within a time open it.
//! Open: no call goes through until the pause is over; the first one after it makes it half-open.
//! Half-open: that one call decides. If it is clean the breaker closes, if it fails it opens again. Others still wait.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::stage::BreakerPolicy;

const CLOSED: u8 = 0;
const OPEN: u8 = 1;

/// A stage's breaker, shared by all that call the stage.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    /// Read on every batch; the lock is taken only around faults.
    state: AtomicU8,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    faults: VecDeque<Instant>,
    open_until: Option<Instant>,
    trial: bool,
}

/// Leave to call the plugin. To be spent on [`Breaker::report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// As usual.
    Usual,
    /// The one call that decides whether the breaker closes.
    Trial,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: AtomicU8::new(CLOSED), inner: Mutex::default() }
    }

    /// Whether a call may go through now; `None` while it is open.
    pub fn pass(&self, now: impl FnOnce() -> Instant) -> Option<Pass> {
        if self.state.load(Ordering::Acquire) == CLOSED {
            return Some(Pass::Usual);
        }
        let mut inner = self.inner.lock();
        match inner.open_until {
            None => Some(Pass::Usual),
            Some(until) if !inner.trial && now() >= until => {
                inner.trial = true;
                Some(Pass::Trial)
            }
            Some(_) => None,
        }
    }

    /// Tells how the call went. Answers whether this opened the breaker.
    pub fn report(&self, pass: Pass, failed: bool, now: impl FnOnce() -> Instant) -> bool {
        match (pass, failed) {
            (Pass::Usual, false) => false,
            (Pass::Trial, false) => {
                let mut inner = self.inner.lock();
                *inner = Inner::default();
                self.state.store(CLOSED, Ordering::Release);
                false
            }
            (_, true) => {
                let now = now();
                let mut inner = self.inner.lock();
                let policy = &self.policy;
                while inner.faults.front().is_some_and(|&at| now.duration_since(at) > policy.within) {
                    inner.faults.pop_front();
                }
                inner.faults.push_back(now);
                let opens = pass == Pass::Trial || inner.faults.len() >= policy.faults as usize;
                if opens {
                    inner.faults.clear();
                    inner.trial = false;
                    inner.open_until = Some(now + policy.pause);
                    self.state.store(OPEN, Ordering::Release);
                }
                opens
            }
        }
    }

    /// Whether it is open (or trying).
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.load(Ordering::Acquire) == OPEN
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn policy() -> BreakerPolicy {
        BreakerPolicy { faults: 3, within: Duration::from_secs(10), pause: Duration::from_secs(5) }
    }

    #[test]
    fn repeated_faults_open_it_and_a_clean_trial_closes_it() {
        let breaker = Breaker::new(policy());
        let start = Instant::now();
        let at = |seconds| move || start + Duration::from_secs(seconds);
        assert!(!breaker.report(Pass::Usual, true, at(0)));
        assert!(!breaker.report(Pass::Usual, true, at(1)));
        assert_eq!(breaker.pass(at(1)), Some(Pass::Usual));
        assert!(breaker.report(Pass::Usual, true, at(2)));
        assert_eq!(breaker.pass(at(3)), None);
        // After the pause one call is let through, and only one.
        assert_eq!(breaker.pass(at(7)), Some(Pass::Trial));
        assert_eq!(breaker.pass(at(7)), None);
        assert!(breaker.report(Pass::Trial, true, at(8)));
        assert_eq!(breaker.pass(at(12)), None);
        assert_eq!(breaker.pass(at(13)), Some(Pass::Trial));
        assert!(!breaker.report(Pass::Trial, false, at(13)));
        assert_eq!(breaker.pass(at(13)), Some(Pass::Usual));
        assert!(!breaker.is_open());
    }

    #[test]
    fn faults_that_are_far_apart_do_not_open_it() {
        let breaker = Breaker::new(policy());
        let start = Instant::now();
        for seconds in (0..100).step_by(6) {
            assert!(!breaker.report(Pass::Usual, true, || start + Duration::from_secs(seconds)));
        }
    }
}
