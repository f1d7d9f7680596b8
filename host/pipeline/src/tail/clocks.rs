//! When traces are due: a heap of times. A trace whose time moves on is looked at when the old one comes, so that a span that comes costs nothing here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Nanoseconds since the buffer began, by when spans arrive: what other machines' clocks say decides nothing here.
pub(super) type Nanos = u64;

/// What tells the time: an argument, so that tests have their own.
pub(super) type Clock = Box<dyn Fn() -> Nanos + Send + Sync>;

/// The monotonic clock, from now on.
pub(super) fn monotonic() -> Clock {
    let begun = Instant::now();
    Box::new(move || Nanos::try_from(begun.elapsed().as_nanos()).unwrap_or(Nanos::MAX))
}

/// A trace at a time: its place, and which of all that had that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Appointment {
    pub(super) at: Nanos,
    pub(super) slot: u32,
    pub(super) stamp: u32,
}

/// The times of one shard.
#[derive(Debug, Default)]
pub(super) struct Clocks(BinaryHeap<Reverse<Appointment>>);

impl Clocks {
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Appointment>()
    }

    pub(super) fn add(&mut self, appointment: Appointment) {
        self.0.push(Reverse(appointment));
    }

    /// The next one.
    pub(super) fn next(&self) -> Option<Nanos> {
        self.0.peek().map(|Reverse(next)| next.at)
    }

    /// Takes the next one whose time has come.
    pub(super) fn take(&mut self, now: Nanos) -> Option<Appointment> {
        let Reverse(next) = self.0.peek()?;
        (next.at <= now).then(|| self.0.pop()).flatten().map(|Reverse(next)| next)
    }

    /// Forgets those that are not `wanted` any more, if there are many of them for so many traces.
    pub(super) fn tidy(&mut self, traces: usize, wanted: impl Fn(&Appointment) -> bool) {
        if self.0.len() > 2 * traces + 1024 {
            self.0.retain(|Reverse(appointment)| wanted(appointment));
            self.0.shrink_to(self.0.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_order_and_none_before_its_time() {
        let mut clocks = Clocks::default();
        for (at, slot) in [(30, 1), (10, 2), (20, 3)] {
            clocks.add(Appointment { at, slot, stamp: 0 });
        }
        let mut taken = |now| std::iter::from_fn(|| clocks.take(now)).map(|taken| taken.slot).collect::<Vec<_>>();
        assert_eq!((taken(5), taken(20), taken(29), taken(30)), (vec![], vec![2, 3], vec![], vec![1]));
    }

    #[test]
    fn those_that_nobody_wants_are_forgotten_when_they_are_many() {
        let mut clocks = Clocks::default();
        (0..5000).for_each(|slot| clocks.add(Appointment { at: 1, slot, stamp: 0 }));
        clocks.tidy(3000, |_| false);
        assert_eq!(clocks.0.len(), 5000);
        clocks.tidy(100, |appointment| appointment.slot < 100);
        assert_eq!(clocks.0.len(), 100);
    }
}
