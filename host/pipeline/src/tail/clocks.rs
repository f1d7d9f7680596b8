//! When traces are due: a wheel of short steps of time. A trace whose time moves on is looked at when the old one comes, so that a span that comes costs
//! nothing here.
//!
//! A heap would put them in exact order, and touch some twenty places in memory for each of some hundred thousand; nobody asks for that order.

use std::collections::BTreeMap;
use std::time::Instant;

/// Nanoseconds since the buffer began, by when spans arrive: what other machines' clocks say decides nothing here.
pub(super) type Nanos = u64;

/// What tells the time: an argument, so that tests have their own.
pub(super) type Clock = Box<dyn Fn() -> Nanos + Send + Sync>;

/// What falls into the same step is due at its end.
const STEP: Nanos = 10_000_000;

/// The monotonic clock, from now on.
pub(super) fn monotonic() -> Clock {
    let begun = Instant::now();
    Box::new(move || Nanos::try_from(begun.elapsed().as_nanos()).unwrap_or(Nanos::MAX))
}

/// The end of the step in which a time is.
pub(super) fn step_of(at: Nanos) -> Nanos {
    at.div_ceil(STEP).saturating_mul(STEP)
}

/// A trace at a time, the end of a step: its place, and which of all that had that place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appointment {
    pub(super) at: Nanos,
    pub(super) slot: u32,
    pub(super) stamp: u32,
}

/// The times of one shard.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// By the end of each.
    steps: BTreeMap<Nanos, Vec<(u32, u32)>>,
    len: usize,
    /// Of all steps together.
    capacity: usize,
}

impl Clocks {
    /// What a step takes beside its traces.
    const UPKEEP: usize = 64;

    pub(super) fn bytes(&self) -> usize {
        self.capacity * size_of::<(u32, u32)>() + self.steps.len() * Self::UPKEEP
    }

    pub(super) fn add(&mut self, Appointment { at, slot, stamp }: Appointment) {
        debug_assert_eq!(at, step_of(at), "appointments are at the end of a step");
        let step = self.steps.entry(at).or_default();
        let capacity = step.capacity();
        step.push((slot, stamp));
        self.capacity += step.capacity() - capacity;
        self.len += 1;
    }

    /// The next one.
    pub(super) fn next(&self) -> Option<Nanos> {
        self.steps.first_key_value().map(|(at, _)| *at)
    }

    /// Takes so many at most whose time has come, the earliest first.
    pub(super) fn take(&mut self, now: Nanos, most: usize, out: &mut Vec<Appointment>) {
        let mut left = most;
        while left > 0 {
            let Some(mut first) = self.steps.first_entry().filter(|first| *first.key() <= now) else { return };
            let (at, step) = (*first.key(), first.get_mut());
            let stays = step.len().saturating_sub(left);
            left -= step.len() - stays;
            self.len -= step.len() - stays;
            out.extend(step.drain(stays..).map(|(slot, stamp)| Appointment { at, slot, stamp }));
            if stays == 0 {
                self.capacity -= first.remove().capacity();
            }
        }
    }

    /// Forgets those that are not `wanted` any more, if there are many of them for so many traces.
    pub(super) fn tidy(&mut self, traces: usize, wanted: impl Fn(&Appointment) -> bool) {
        if self.len <= 2 * traces + 1024 {
            return;
        }
        self.steps.retain(|&at, step| {
            step.retain(|&(slot, stamp)| wanted(&Appointment { at, slot, stamp }));
            step.shrink_to_fit();
            !step.is_empty()
        });
        self.len = self.steps.values().map(Vec::len).sum();
        self.capacity = self.steps.values().map(Vec::capacity).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_in_order_and_none_before_its_time() {
        let mut clocks = Clocks::default();
        for (at, slot) in [(3 * STEP, 1), (STEP, 2), (2 * STEP, 3), (STEP, 4)] {
            clocks.add(Appointment { at, slot, stamp: 0 });
        }
        assert_eq!((clocks.next(), clocks.len), (Some(STEP), 4));
        let mut taken = |now| {
            let mut taken = Vec::new();
            // In pieces, as large as there may be.
            while let Some(len) = Some(taken.len()) {
                clocks.take(now, 2, &mut taken);
                if taken.len() == len {
                    break;
                }
            }
            let mut slots: Vec<u32> = taken.iter().map(|taken| taken.slot).collect();
            slots.sort_unstable();
            slots
        };
        assert_eq!(
            (taken(STEP - 1), taken(2 * STEP), taken(3 * STEP - 1), taken(3 * STEP)),
            (vec![], vec![2, 3, 4], vec![], vec![1])
        );
        assert_eq!((clocks.next(), clocks.bytes()), (None, 0), "steps that are over are given back");
    }

    #[test]
    fn a_time_is_in_the_step_that_ends_with_it_or_after_it() {
        assert_eq!([0, 1, STEP, STEP + 1].map(step_of), [0, STEP, STEP, 2 * STEP]);
        assert!(step_of(Nanos::MAX - 1) >= Nanos::MAX - STEP);
    }

    #[test]
    fn those_that_nobody_wants_are_forgotten_when_they_are_many() {
        let mut clocks = Clocks::default();
        (0..5000).for_each(|slot| clocks.add(Appointment { at: STEP, slot, stamp: 0 }));
        clocks.tidy(3000, |_| false);
        assert_eq!(clocks.len, 5000);
        clocks.tidy(100, |appointment| appointment.slot < 100);
        assert_eq!((clocks.len, clocks.capacity), (100, 100));
    }
}
