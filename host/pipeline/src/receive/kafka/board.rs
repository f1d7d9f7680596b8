//! How far all partitions are done that are this consumer's. Shared by the thread that takes messages and by whoever settles them.
//!
//! Each time that a partition comes to this consumer it is another one: what is settled of an earlier time counts for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::offsets::Offsets;
use crate::custody::{Custody, Fate};

/// A partition: the place of its topic in the configuration, and its number.
pub(super) type Place = (usize, i32);

/// A message that was taken, in the time in which that was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub place: Place,
    pub offset: i64,
    time: u64,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<Place, Partition>,
    times: u64,
}

#[derive(Debug, Default)]
struct Partition {
    time: u64,
    offsets: Offsets,
}

impl Board {
    /// A partition has come.
    pub fn begin(&self, place: Place) {
        let mut state = self.0.lock();
        state.times += 1;
        let time = state.times;
        state.partitions.insert(place, Partition { time, offsets: Offsets::default() });
    }

    /// A partition has gone: what of it is not done is somebody else's.
    pub fn forget(&self, place: Place) {
        self.0.lock().partitions.remove(&place);
    }

    /// The partitions that are here.
    #[cfg(feature = "kafka")]
    pub fn places(&self) -> Vec<Place> {
        self.0.lock().partitions.keys().copied().collect()
    }

    /// A message came; `None` where nothing is to be done about it.
    pub fn take(&self, place: Place, offset: i64) -> Option<Taken> {
        let mut state = self.0.lock();
        let partition = state.partitions.get_mut(&place)?;
        partition.offsets.take(offset).then_some(Taken { place, offset, time: partition.time })
    }

    /// What these messages are handed over under: when nobody holds it any more, they are settled, or lost.
    pub fn custody(self: &Arc<Self>, taken: Vec<Taken>) -> Arc<Custody> {
        let board = Arc::clone(self);
        Custody::new(move |fate| board.end(&taken, fate))
    }

    fn end(&self, taken: &[Taken], fate: Fate) {
        let mut state = self.0.lock();
        for one in taken {
            let Some(partition) = state.partitions.get_mut(&one.place) else { continue };
            if partition.time == one.time {
                match fate {
                    Fate::Settled => partition.offsets.done(one.offset),
                    Fate::Failed => partition.offsets.fail(one.offset),
                }
            }
        }
    }

    /// Calls `look` for each partition.
    pub fn each(&self, mut look: impl FnMut(Place, &mut Offsets)) {
        for (place, partition) in &mut self.0.lock().partitions {
            look(*place, &mut partition.offsets);
        }
    }

    /// What to commit, of these partitions or of all, as (partition, offset of the next message).
    pub fn to_commit(&self, of: Option<&[Place]>) -> Vec<(Place, i64)> {
        let mut all = Vec::new();
        self.each(|place, offsets| {
            if of.is_none_or(|of| of.contains(&place))
                && let Some(position) = offsets.to_commit()
            {
                all.push((place, position));
            }
        });
        all
    }

    /// These commits were begun, or have succeeded: none is made twice.
    pub fn committed(&self, commits: &[(Place, i64)]) {
        let mut state = self.0.lock();
        for (place, position) in commits {
            if let Some(partition) = state.partitions.get_mut(place) {
                partition.offsets.has_committed(*position);
            }
        }
    }

    /// Commits of these have failed.
    pub fn not_committed(&self, places: &[Place]) {
        let mut state = self.0.lock();
        for place in places {
            if let Some(partition) = state.partitions.get_mut(place) {
                partition.offsets.has_not_committed();
            }
        }
    }

    /// How many messages are on their way.
    pub fn open(&self) -> usize {
        self.0.lock().partitions.values().map(|partition| partition.offsets.open()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (0, 3);

    #[test]
    fn joined_messages_are_done_when_nobody_holds_them_any_more() {
        let board = Arc::new(Board::default());
        board.begin(PLACE);
        let taken: Vec<_> = (7..9).filter_map(|offset| board.take(PLACE, offset)).collect();
        let custody = board.custody(taken);
        let in_the_queue = Arc::clone(&custody);
        drop(custody);
        assert_eq!((board.to_commit(None), board.open()), (vec![], 2));
        drop(in_the_queue);
        assert_eq!((board.to_commit(None), board.open()), (vec![(PLACE, 9)], 0));
        board.committed(&[(PLACE, 9)]);
        assert_eq!(board.to_commit(None), []);
        board.not_committed(&[PLACE]);
        assert_eq!(board.to_commit(Some(&[PLACE])), [(PLACE, 9)]);
        assert_eq!(board.to_commit(Some(&[(0, 4)])), []);
    }

    #[test]
    fn what_is_settled_after_the_partition_has_gone_counts_for_nothing() {
        let board = Arc::new(Board::default());
        board.begin(PLACE);
        let first = board.custody(board.take(PLACE, 7).into_iter().collect());
        board.forget(PLACE);
        assert!(board.take(PLACE, 8).is_none());
        // It comes back, and with it what was not committed.
        board.begin(PLACE);
        let again = board.custody(board.take(PLACE, 7).into_iter().collect());
        drop(first);
        assert_eq!(board.to_commit(None), [], "it is not done in this time");
        drop(again);
        assert_eq!(board.to_commit(None), [(PLACE, 8)]);
    }

    #[test]
    fn what_fails_is_to_come_again() {
        let board = Arc::new(Board::default());
        board.begin(PLACE);
        let custody = board.custody(board.take(PLACE, 7).into_iter().collect());
        custody.fail();
        drop(custody);
        let mut lowest = None;
        board.each(|_, offsets| lowest = offsets.lowest_failed());
        assert_eq!((lowest, board.to_commit(None)), (Some(7), vec![]));
        assert!(board.take(PLACE, 7).is_some());
    }
}
