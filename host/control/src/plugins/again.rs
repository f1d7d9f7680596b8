//! When what failed is tried again though its files did not change: only for failures that may pass by themselves, and ever less often.

use std::time::{Duration, Instant};

/// Before the second attempt; doubled with each further one.
const FIRST: Duration = Duration::from_millis(500);
/// How long a file may take to follow another, when one command copies both.
const MOMENT: Duration = Duration::from_secs(1);
/// A plugin that never ends costs its deadline in CPU time at each attempt: less than a hundredth of a core.
const LONGEST: Duration = Duration::from_mins(5);
/// How many attempts the start waits for.
const EARLY: u32 = 2;

/// The next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// How many attempts have failed.
    attempts: u32,
    due: Instant,
}

impl Again {
    /// After one more failure of the same content.
    #[must_use]
    pub fn after(before: Option<Self>, now: Instant) -> Self {
        let attempts = before.map_or(0, |before| before.attempts) + 1;
        Self { attempts, due: now + FIRST.saturating_mul(1 << (attempts - 1).min(20)).min(LONGEST) }
    }

    /// After a first failure that says nothing about the content.
    #[must_use]
    pub fn at_once(now: Instant) -> Self {
        Self { attempts: 1, due: now }
    }

    /// After a first failure to which something may be missing that is about to follow.
    #[must_use]
    pub fn in_a_moment(now: Instant) -> Self {
        Self { attempts: 1, due: now + MOMENT }
    }

    /// Makes it due at once.
    pub fn hasten(&mut self, now: Instant) {
        self.due = self.due.min(now);
    }

    /// When it is due.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Whether the start should wait for it.
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.attempts < EARLY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rare_and_never_end() {
        let now = Instant::now();
        let first = Again::after(None, now);
        assert_eq!((first.due(), first.is_early()), (now + FIRST, true));
        let second = Again::after(Some(first), now);
        assert_eq!((second.due(), second.is_early()), (now + 2 * FIRST, false));
        let many = (0..100).fold(second, |again, _| Again::after(Some(again), now));
        assert_eq!(many.due(), now + LONGEST);
    }
}
