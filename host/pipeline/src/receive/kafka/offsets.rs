//! How far one partition is done, whatever the order in which its messages are. Knows no Kafka.
//!
//! Invariant: the position that may be committed is never above the lowest offset that was taken and is not done.

use std::collections::VecDeque;

/// One partition's messages from the lowest that is not done on.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    /// In the order of their offsets, which is that in which they are first taken.
    taken: VecDeque<(i64, State)>,
    /// All below is done.
    position: Option<i64>,
    /// The lowest offset that may come next: lower ones were passed.
    next: i64,
    /// Where reading began: the group knows that.
    begun: Option<i64>,
    /// How far a commit is under way, or has succeeded.
    asked: Option<i64>,
    /// How far one has succeeded.
    committed: Option<i64>,
    /// How many are on their way.
    open: usize,
    /// How many wait to come again.
    failed: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    OnItsWay,
    Done,
    /// It is to be taken again.
    Failed,
}

impl Offsets {
    /// Reading goes back to there, or does not.
    pub fn reads_again(&mut self, offset: i64) {
        self.next = self.next.min(offset);
    }

    /// Whether a message comes that stands before one that came, though reading did not go back: offsets mean other messages than they did.
    pub fn goes_back(&self, offset: i64) -> bool {
        offset < self.next
    }

    /// A message came. Whether it is to be worked on: it is not if it came again while it is on its way, or done.
    pub fn take(&mut self, offset: i64) -> bool {
        self.next = offset + 1;
        if self.position.is_some_and(|position| offset < position) {
            return false;
        }
        match self.taken.binary_search_by_key(&offset, |(offset, _)| *offset) {
            Ok(at) if self.taken[at].1 == State::Failed => {
                self.taken[at].1 = State::OnItsWay;
                self.failed -= 1;
            }
            Ok(_) => return false,
            Err(at) => self.taken.insert(at, (offset, State::OnItsWay)),
        }
        if self.position.is_none() {
            self.position = Some(offset);
            self.begun = Some(offset);
        }
        self.open += 1;
        true
    }

    /// A message is settled.
    pub fn done(&mut self, offset: i64) {
        if self.ends(offset, State::Done) {
            while let Some((offset, _)) = self.taken.front().filter(|(_, state)| *state == State::Done) {
                self.position = Some(offset + 1);
                self.taken.pop_front();
            }
            if let Some((first, _)) = self.taken.front() {
                self.position = Some(*first);
            }
        }
    }

    /// A message is lost here: it is to be taken again.
    pub fn fail(&mut self, offset: i64) {
        if self.ends(offset, State::Failed) {
            self.failed += 1;
        }
    }

    fn ends(&mut self, offset: i64, end: State) -> bool {
        let Some(state) = self.state(offset).filter(|state| **state == State::OnItsWay) else { return false };
        *state = end;
        self.open -= 1;
        true
    }

    fn state(&mut self, offset: i64) -> Option<&mut State> {
        let at = self.taken.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        Some(&mut self.taken[at].1)
    }

    /// Where to go on reading to get what is lost.
    pub fn lowest_failed(&self) -> Option<i64> {
        if self.failed == 0 {
            return None;
        }
        self.taken.iter().find(|(_, state)| *state == State::Failed).map(|(offset, _)| *offset)
    }

    /// What to commit: the offset of the next message, if that is news.
    pub fn to_commit(&self) -> Option<i64> {
        self.position.filter(|position| self.asked.or(self.begun).is_none_or(|known| *position > known))
    }

    /// A commit is begun.
    pub fn commits(&mut self, position: i64) {
        self.asked = self.asked.max(Some(position));
    }

    /// That has succeeded; if it was none of this time here, it says nothing.
    pub fn has_committed(&mut self, position: i64) {
        if self.asked >= Some(position) {
            self.committed = self.committed.max(Some(position));
        }
    }

    /// What was last committed.
    pub fn committed(&self) -> Option<i64> {
        self.committed
    }

    /// A commit came to nothing: it is to be made again.
    pub fn has_not_committed(&mut self) {
        self.asked = self.committed;
    }

    /// Whether it is not known yet what becomes of a commit.
    pub fn is_committing(&self) -> bool {
        self.asked > self.committed
    }

    /// How many are on their way.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Whether so many are kept in mind: on their way, or done behind one that is not. Not where one is lost, which has to come again.
    pub fn is_full(&self, bound: usize) -> bool {
        self.failed == 0 && self.taken.len() >= bound
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_done_out_of_order_waits_for_what_stands_before_it() {
        let mut offsets = Offsets::default();
        assert!([5, 6, 9].into_iter().all(|offset| offsets.take(offset)));
        assert_eq!(offsets.to_commit(), None, "the group knows where reading began");
        offsets.done(6);
        assert_eq!(offsets.to_commit(), None);
        offsets.done(5);
        assert_eq!(offsets.to_commit(), Some(9), "what is not there needs not be done");
        offsets.commits(9);
        assert_eq!((offsets.to_commit(), offsets.committed(), offsets.is_committing()), (None, None, true));
        offsets.has_committed(9);
        assert_eq!((offsets.to_commit(), offsets.committed(), offsets.is_committing()), (None, Some(9), false));
        offsets.done(9);
        assert_eq!(offsets.to_commit(), Some(10));
        assert!(!offsets.is_full(1));
        offsets.commits(10);
        offsets.has_not_committed();
        assert_eq!((offsets.to_commit(), offsets.committed()), (Some(10), Some(9)), "one that failed is made again");
        offsets.has_committed(500);
        assert_eq!(offsets.committed(), Some(9), "that is another time's");
    }

    #[test]
    fn what_is_lost_is_taken_again_and_nothing_else_is() {
        let mut offsets = Offsets::default();
        assert!((0..4).all(|offset| offsets.take(offset)));
        offsets.done(0);
        offsets.fail(1);
        offsets.done(2);
        assert_eq!((offsets.lowest_failed(), offsets.to_commit()), (Some(1), Some(1)));
        assert!(!offsets.is_full(1), "what is lost has to come again");
        let again: Vec<bool> = (1..5).map(|offset| offsets.take(offset)).collect();
        assert_eq!(again, [true, false, false, true], "done, on its way, new");
        assert_eq!(offsets.lowest_failed(), None);
        assert!(!offsets.take(0));
        for offset in [1, 3, 4] {
            offsets.done(offset);
        }
        assert_eq!(offsets.to_commit(), Some(5));
    }

    #[test]
    fn only_what_comes_again_of_our_own_doing_does_not_go_back() {
        let mut offsets = Offsets::default();
        assert!(!offsets.goes_back(0));
        assert!((5..8).all(|offset| !offsets.goes_back(offset) && offsets.take(offset)));
        assert!(offsets.goes_back(0) && offsets.goes_back(7));
        offsets.fail(6);
        offsets.reads_again(6);
        assert!(offsets.goes_back(5) && !offsets.goes_back(6));
        assert_eq!(
            [6, 7].map(|offset| (offsets.goes_back(offset), offsets.take(offset))),
            [(false, true), (false, false)]
        );
        offsets.done(5);
        offsets.done(6);
        offsets.done(7);
        assert!(offsets.goes_back(7) && !offsets.goes_back(8));
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Take,
        Skip,
        End { which: usize, well: bool },
        Again,
        Commit,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Take),
            1 => Just(Step::Skip),
            5 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(which, well)| Step::End { which, well }),
            2 => Just(Step::Again),
            1 => Just(Step::Commit),
        ]
    }

    proptest! {
        /// Against the plainest model: a list of all that ever came.
        #[test]
        fn never_is_more_committed_than_is_done(steps in prop::collection::vec(step(), 0..200)) {
            let mut offsets = Offsets::default();
            // Offsets that came, and whether they are done (true), lost (false) or on their way.
            let mut model: Vec<(i64, Option<bool>)> = Vec::new();
            let mut next = 100;
            let mut highest = 100;
            for step in steps {
                match step {
                    Step::Take => {
                        prop_assert!(offsets.take(next));
                        model.push((next, None));
                        next += 1;
                    }
                    Step::Skip => next += 1,
                    Step::End { which, well } => {
                        let open: Vec<usize> = (0..model.len()).filter(|at| model[*at].1.is_none()).collect();
                        if let Some(at) = open.get(which % open.len().max(1)) {
                            model[*at].1 = Some(well);
                            if well { offsets.done(model[*at].0) } else { offsets.fail(model[*at].0) }
                        }
                    }
                    Step::Again => {
                        let lowest = model.iter().find(|(_, state)| *state == Some(false)).map(|(offset, _)| *offset);
                        prop_assert_eq!(offsets.lowest_failed(), lowest);
                        for (offset, state) in model.iter_mut().filter(|(offset, _)| lowest.is_some_and(|lowest| *offset >= lowest)) {
                            let is_lost = *state == Some(false);
                            prop_assert_eq!(offsets.take(*offset), is_lost);
                            if is_lost {
                                *state = None;
                            }
                        }
                    }
                    Step::Commit => if let Some(position) = offsets.to_commit() {
                        prop_assert!(position > highest, "news only");
                        prop_assert!(model.iter().all(|(offset, state)| *offset >= position || *state == Some(true)));
                        highest = position;
                        offsets.commits(position);
                        offsets.has_committed(position);
                    },
                }
                let open = model.iter().filter(|(_, state)| state.is_none()).count();
                prop_assert_eq!(offsets.open(), open);
            }
            // In the end all are done, and that is what is committed.
            for (offset, state) in &mut model {
                if *state == Some(false) {
                    prop_assert!(offsets.take(*offset));
                }
                if *state != Some(true) {
                    offsets.done(*offset);
                }
            }
            let last = model.last().map(|(offset, _)| offset + 1).filter(|last| *last > highest);
            prop_assert_eq!(offsets.to_commit(), last);
            prop_assert!(!offsets.is_full(1) && offsets.open() == 0);
        }
    }
}
