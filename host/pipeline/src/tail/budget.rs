//! The bytes that the whole buffer may take, index and all. Whoever takes spans asks before; what a shard has come to is settled after.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A budget, shared by all shards.
#[derive(Debug)]
pub(super) struct Budget {
    limit: AtomicUsize,
    used: AtomicUsize,
    /// Of what is used, what is decided and waits for the queues: to decide more frees none of it.
    leaving: AtomicUsize,
    /// For how much there was no room when somebody came: it is made, as if that were used already.
    wanted: AtomicUsize,
}

/// From these shares of it on, in per cent, more is done to stay within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pressure {
    None,
    /// Older chunks are packed.
    Pack,
    /// Packed ones are spilled, if there is a folder.
    Spill,
    /// The heaviest traces are decided early.
    Early,
}

const PACK: usize = 50;
const SPILL: usize = 65;
const EARLY: usize = 85;
/// To this much, in per cent, traces are decided early.
const RELIEVED: usize = 80;
/// No more than this part of it is made room for at once: what is larger has to wait until traces are due.
const WANTED: usize = 4;

/// Room that was taken, and is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Room {
    budget: Arc<Budget>,
    bytes: usize,
    leaves: bool,
}

impl Room {
    /// `None` where there is not so much.
    pub(super) fn take(budget: &Arc<Budget>, bytes: usize) -> Option<Self> {
        budget.reserve(bytes).then(|| Self { budget: Arc::clone(budget), bytes, leaves: false })
    }

    /// For a moment, and of what is there in plenty: nobody makes room for it, and what others may have up to the limit is left to them.
    pub(super) fn spare(budget: &Arc<Budget>, bytes: usize) -> Option<Self> {
        let is_there = budget.has_taken(bytes, budget.limit() / 100 * EARLY);
        // To decide more traces would free none of it.
        is_there.then(|| {
            budget.settle_leaving(0, bytes);
            Self { budget: Arc::clone(budget), bytes, leaves: true }
        })
    }

    /// Whatever the limit.
    pub(super) fn force(budget: &Arc<Budget>, bytes: usize) -> Self {
        budget.settle(0, bytes);
        Self { budget: Arc::clone(budget), bytes, leaves: false }
    }

    /// Likewise, for what is decided and waits for the queues.
    pub(super) fn leaving(budget: &Arc<Budget>, bytes: usize) -> Self {
        budget.settle_leaving(0, bytes);
        let mut room = Self::force(budget, bytes);
        room.leaves = true;
        room
    }

    /// So much of it is counted by somebody else now.
    pub(super) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.settle(bytes, 0);
        if self.leaves {
            self.budget.settle_leaving(bytes, 0);
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
        }
    }

    pub(super) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes room, if there is so much. If not, it is made for who comes again.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let is_there = self.has_taken(bytes, self.limit());
        if !is_there {
            self.wanted.fetch_max(bytes.min(self.limit() / WANTED), Ordering::Relaxed);
        }
        is_there
    }

    fn has_taken(&self, bytes: usize, most: usize) -> bool {
        let room = |used: usize| Some(used.saturating_add(bytes)).filter(|sum| *sum <= most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }

    /// If there is room now for what was refused, nobody has to make it any more.
    pub(super) fn look_again(&self) {
        let wanted = self.wanted.load(Ordering::Relaxed);
        if wanted > 0 && self.used().saturating_add(wanted) <= self.limit() {
            self.wanted.store(0, Ordering::Relaxed);
        }
    }

    fn wanted(&self) -> usize {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Takes or gives back the difference, whatever the limit.
    pub(super) fn settle(&self, before: usize, now: usize) {
        if now >= before {
            self.used.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    /// The same of what is decided and waits for the queues.
    pub(super) fn settle_leaving(&self, before: usize, now: usize) {
        if now >= before {
            self.leaving.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.leaving.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    fn undecided(&self) -> usize {
        (self.used() + self.wanted()).saturating_sub(self.leaving.load(Ordering::Relaxed))
    }

    pub(super) fn pressure(&self) -> Pressure {
        let share = |bytes: usize| bytes.saturating_mul(100) / self.limit().max(1);
        match share(self.used() + self.wanted()) {
            EARLY.. if share(self.undecided()) >= EARLY => Pressure::Early,
            SPILL.. => Pressure::Spill,
            PACK.. => Pressure::Pack,
            _ => Pressure::None,
        }
    }

    /// How many bytes have to go until it is relieved.
    pub(super) fn excess(&self) -> usize {
        self.undecided().saturating_sub(self.limit() / 100 * RELIEVED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_given() {
        let budget = Budget::new(1000);
        assert!(budget.reserve(600) && !budget.reserve(401) && budget.reserve(400));
        budget.settle(600, 100);
        assert_eq!(budget.used(), 500);
        assert!(!budget.reserve(usize::MAX));
    }

    #[test]
    fn room_is_made_for_who_was_refused() {
        let budget = Budget::new(1000);
        assert!(budget.reserve(800));
        assert_eq!(budget.pressure(), Pressure::Spill);
        assert!(!budget.reserve(220));
        assert_eq!((budget.pressure(), budget.excess()), (Pressure::Early, 220));
        budget.look_again();
        assert_eq!(budget.pressure(), Pressure::Early, "there is none yet");
        budget.settle(800, 700);
        budget.look_again();
        assert_eq!(budget.pressure(), Pressure::Spill);
        assert!(!budget.reserve(100_000));
        assert_eq!(budget.excess(), 150, "not more than a part of it all");
    }

    #[test]
    fn what_is_taken_for_a_moment_presses_nobody() {
        let budget = Arc::new(Budget::new(1000));
        assert!(budget.reserve(600));
        let room = Room::spare(&budget, 200).unwrap();
        assert!(Room::spare(&budget, 100).is_none(), "the rest is for spans");
        assert_eq!((budget.used(), budget.pressure(), budget.excess()), (800, Pressure::Spill, 0));
        assert!(budget.reserve(200));
        drop(room);
        assert_eq!((budget.used(), budget.undecided()), (800, 800));
    }

    #[test]
    fn what_leaves_counts_as_that_until_it_is_gone() {
        let budget = Arc::new(Budget::new(1000));
        let room = Room::leaving(&budget, 900);
        assert_eq!((budget.used(), budget.pressure()), (900, Pressure::Spill));
        drop(room);
        assert_eq!((budget.used(), budget.undecided()), (0, 0));
    }

    #[test]
    fn the_fuller_it_is_the_more_is_done() {
        let budget = Budget::new(1000);
        let at = |used| {
            budget.settle(budget.used(), used);
            budget.pressure()
        };
        let expected = [Pressure::None, Pressure::Pack, Pressure::Spill, Pressure::Early, Pressure::Early];
        assert_eq!([at(499), at(500), at(650), at(850), at(2000)], expected);
        assert_eq!(budget.excess(), 1200);
        budget.settle_leaving(0, 1900);
        assert_eq!((budget.pressure(), budget.excess()), (Pressure::Spill, 0), "to decide more would free nothing");
    }
}
