//! How far all partitions are done that are this consumer's. Shared by the thread that takes messages and by whoever settles them.
//!
//! Each time that a partition comes to this consumer it is another one: what is settled of an earlier time counts for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::offsets::Offsets;
use crate::custody::{Custody, Fate, Gone};

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
pub(super) struct Board {
    state: Mutex<State>,
    /// Messages are no longer on their way.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<Place, Partition>,
    times: u64,
}

#[derive(Debug, Default)]
struct Partition {
    time: u64,
    offsets: Offsets,
    /// Set when it is about to go.
    gone: Gone,
}

impl Board {
    /// A partition has come.
    pub fn begin(&self, place: Place) {
        let mut state = self.state.lock();
        state.times += 1;
        let time = state.times;
        state.partitions.insert(place, Partition { time, ..Partition::default() });
    }

    /// Partitions are about to go: what of them is taken by nobody yet, or undecided, is left to the next owner. What is delivered meanwhile counts.
    pub fn leave(&self, places: &[Place]) {
        let state = self.state.lock();
        for partition in places.iter().filter_map(|place| state.partitions.get(place)) {
            partition.gone.store(true, Ordering::Relaxed);
        }
    }

    /// A partition has gone: what of it is not done is somebody else's.
    pub fn forget(&self, place: Place) {
        if let Some(partition) = self.state.lock().partitions.remove(&place) {
            partition.gone.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a message's partition is here still, since it was taken.
    pub fn has(&self, taken: &Taken) -> bool {
        self.state.lock().partitions.get(&taken.place).is_some_and(|partition| partition.time == taken.time)
    }

    /// Waits until nothing of these partitions is on its way, nor a commit, for as long as that.
    pub fn wait_until_settled(&self, places: &[Place], most: Duration) {
        let mut state = self.state.lock();
        let has_open = |state: &mut State| {
            let mut of = places.iter().filter_map(|place| state.partitions.get(place));
            of.any(|partition| partition.offsets.open() > 0 || partition.offsets.is_committing())
        };
        self.ended.wait_while_for(&mut state, has_open, most);
    }

    /// The partitions that are here.
    #[cfg(feature = "kafka")]
    pub fn places(&self) -> Vec<Place> {
        self.state.lock().partitions.keys().copied().collect()
    }

    /// Whether offsets go back with this one, though reading did not (the topic was made anew, its end was cut off). Then the partition begins
    /// another time: what offsets meant before counts for nothing. It has not gone, because nobody else reads that.
    pub fn begins_anew(&self, place: Place, offset: i64) -> bool {
        let mut state = self.state.lock();
        let State { partitions, times } = &mut *state;
        let Some(partition) = partitions.get_mut(&place).filter(|known| known.offsets.goes_back(offset)) else {
            return false;
        };
        *times += 1;
        *partition = Partition { time: *times, ..Partition::default() };
        true
    }

    /// A message came; `None` where nothing is to be done about it.
    pub fn take(&self, place: Place, offset: i64) -> Option<Taken> {
        let mut state = self.state.lock();
        let partition = state.partitions.get_mut(&place)?;
        partition.offsets.take(offset).then_some(Taken { place, offset, time: partition.time })
    }

    /// What these messages are handed over under: when nobody holds it any more, they are settled, or lost.
    pub fn custody(self: &Arc<Self>, taken: Vec<Taken>) -> Arc<Custody> {
        let board = Arc::clone(self);
        let gone = self.gone_of(&taken);
        Custody::until_gone(gone, move |fate| board.end(&taken, fate))
    }

    /// What says that the partition of these messages has gone: they are of one.
    fn gone_of(&self, taken: &[Taken]) -> Gone {
        let state = self.state.lock();
        let of = |one: &Taken| state.partitions.get(&one.place).filter(|partition| partition.time == one.time);
        taken.first().and_then(of).map_or_else(|| Arc::new(true.into()), |partition| Arc::clone(&partition.gone))
    }

    fn end(&self, taken: &[Taken], fate: Fate) {
        let mut state = self.state.lock();
        for one in taken {
            let Some(partition) = state.partitions.get_mut(&one.place) else { continue };
            if partition.time == one.time {
                match fate {
                    Fate::Settled => partition.offsets.done(one.offset),
                    Fate::Failed => partition.offsets.fail(one.offset),
                }
            }
        }
        drop(state);
        self.ended.notify_all();
    }

    /// Reading goes back to these, or may.
    pub fn reads_again(&self, from: &[(Place, i64)]) {
        self.with(from, Offsets::reads_again);
    }

    /// Calls `look` for each partition.
    pub fn each(&self, mut look: impl FnMut(Place, &mut Offsets)) {
        for (place, partition) in &mut self.state.lock().partitions {
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

    /// These commits are begun: none is made twice.
    pub fn commits(&self, commits: &[(Place, i64)]) {
        self.with(commits, Offsets::commits);
    }

    /// These have succeeded.
    pub fn committed(&self, commits: &[(Place, i64)]) {
        self.with(commits, Offsets::has_committed);
        self.ended.notify_all();
    }

    fn with(&self, commits: &[(Place, i64)], note: impl Fn(&mut Offsets, i64)) {
        let mut state = self.state.lock();
        for (place, position) in commits {
            if let Some(partition) = state.partitions.get_mut(place) {
                note(&mut partition.offsets, *position);
            }
        }
    }

    /// Whether it is not known yet what becomes of a commit.
    pub fn is_committing(&self) -> bool {
        self.state.lock().partitions.values().any(|partition| partition.offsets.is_committing())
    }

    /// Commits of these have failed.
    pub fn not_committed(&self, places: &[Place]) {
        let mut state = self.state.lock();
        for place in places {
            if let Some(partition) = state.partitions.get_mut(place) {
                partition.offsets.has_not_committed();
            }
        }
        drop(state);
        self.ended.notify_all();
    }

    /// How many messages are on their way.
    pub fn open(&self) -> usize {
        self.state.lock().partitions.values().map(|partition| partition.offsets.open()).sum()
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
        board.commits(&[(PLACE, 9)]);
        assert_eq!((board.to_commit(None), board.is_committing()), (vec![], true));
        board.not_committed(&[PLACE]);
        assert!(!board.is_committing());
        assert_eq!(board.to_commit(Some(&[PLACE])), [(PLACE, 9)]);
        assert_eq!(board.to_commit(Some(&[(0, 4)])), []);
        board.commits(&[(PLACE, 9)]);
        board.committed(&[(PLACE, 9)]);
        assert_eq!((board.to_commit(None), board.is_committing()), (vec![], false));
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
    fn who_has_messages_of_a_partition_that_goes_hears_of_it() {
        let board = Arc::new(Board::default());
        board.begin(PLACE);
        let taken = board.take(PLACE, 7).unwrap();
        let custody = board.custody(vec![taken]);
        assert!(board.has(&taken) && !custody.is_gone());
        board.leave(&[PLACE]);
        assert!(board.has(&taken) && custody.is_gone(), "it may still be delivered");
        board.forget(PLACE);
        assert!(!board.has(&taken) && custody.is_gone());
        assert!(board.custody(vec![taken]).is_gone(), "it went before");
        board.begin(PLACE);
        assert!(!board.has(&taken) && custody.is_gone(), "it comes again");
        let again = board.custody(board.take(PLACE, 7).into_iter().collect());
        assert!(!again.is_gone());
    }

    #[test]
    fn offsets_that_go_back_are_those_of_new_messages() {
        let board = Arc::new(Board::default());
        board.begin(PLACE);
        let before = board.custody((500..503).filter_map(|offset| board.take(PLACE, offset)).collect());
        assert!(!board.begins_anew(PLACE, 503) && board.begins_anew(PLACE, 0));
        let new = board.custody(vec![board.take(PLACE, 0).expect("it is another message")]);
        assert!(!before.is_gone(), "it comes nowhere else");
        drop(before);
        assert_eq!(board.to_commit(None), []);
        drop(new);
        assert_eq!((board.to_commit(None), board.open()), (vec![(PLACE, 1)], 0));
    }

    #[test]
    fn what_is_read_again_is_the_same_as_before() {
        let board = Arc::new(Board::default());
        board.begin(PLACE);
        let taken: Vec<_> = (7..10).filter_map(|offset| board.take(PLACE, offset)).collect();
        board.custody(vec![taken[0]]).fail();
        board.reads_again(&[(PLACE, 7)]);
        assert!(!board.begins_anew(PLACE, 7));
        let again: Vec<bool> = (7..10).map(|offset| board.take(PLACE, offset).is_some()).collect();
        assert_eq!((again, board.open()), (vec![true, false, false], 3));
    }

    #[test]
    fn it_is_waited_for_what_is_settled_meanwhile() {
        let board = Arc::new(Board::default());
        for place in [PLACE, (0, 4)] {
            board.begin(place);
        }
        let other = board.custody(board.take((0, 4), 1).into_iter().collect());
        let custody = board.custody(board.take(PLACE, 7).into_iter().collect());
        let settles = std::thread::spawn(move || drop(custody));
        board.wait_until_settled(&[PLACE], Duration::from_mins(1));
        assert_eq!(board.to_commit(Some(&[PLACE])), [(PLACE, 8)]);
        settles.join().unwrap();
        board.wait_until_settled(&[(0, 4)], Duration::ZERO);
        assert_eq!(board.open(), 1, "it is not waited for without end");
        drop(other);
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
