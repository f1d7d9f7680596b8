//! Admission: how many bytes of requests may be in flight at once, counted before a body is read or inflated.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes in flight, and their bound.
#[derive(Debug, Clone)]
pub struct Budget(Arc<State>);

#[derive(Debug)]
struct State {
    limit: usize,
    used: AtomicUsize,
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(State { limit, used: AtomicUsize::new(0) }))
    }

    /// The bound, in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// The bytes in flight now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Takes so many bytes, or nothing if they do not fit. Invariant: what is taken never exceeds the bound.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Option<Permit> {
        let fits = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= self.0.limit);
        self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Permit { budget: self.clone(), bytes })
    }
}

impl Permit {
    /// How many bytes it stands for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it stand for `bytes` instead, as when a body turns out to be larger or smaller. Answers whether there was room;
    /// if not, it stays as it was.
    pub fn resize(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            let Some(mut more) = self.budget.take(bytes - self.bytes) else { return false };
            more.bytes = 0;
        } else {
            self.budget.0.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_of_it_comes_back() {
        let budget = Budget::new(100);
        let mut first = budget.take(60).unwrap();
        assert!(budget.take(41).is_none());
        let second = budget.take(40).unwrap();
        assert!(!first.resize(61));
        drop(second);
        assert!(first.resize(100));
        assert_eq!(budget.used(), 100);
        assert!(first.resize(10));
        assert_eq!(budget.used(), 10);
        drop(first);
        assert_eq!(budget.used(), 0);
        assert!(budget.take(usize::MAX).is_none());
    }
}
