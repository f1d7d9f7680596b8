//! A parcel on its way into several queues of which at least one is durable: first to the disks of all that have one, then, when all of these have it,
//! into every queue; or into none.
//!
//! Whoever decides last finishes it: a sender that goes away while a disk is slow changes nothing.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Parcel;
use super::destination::Destination;
use super::queue::{Queue, Staged, now};
use super::store::Prepared;
use crate::request::Refusal;

/// What a commit answers.
#[must_use = "what is to come later has to be started"]
pub enum Taken {
    /// All queues have the parcel.
    Whole,
    /// Disks come first.
    Later(Commit),
}

impl Taken {
    /// What was reserved is filled, now or when the disks have it.
    pub(super) fn of(shares: Vec<Share>) -> Self {
        if shares.iter().any(Share::is_durable) {
            return Self::Later(Commit(shares));
        }
        shares.into_iter().for_each(Share::fill);
        Self::Whole
    }
}

/// A commit that has not begun. Dropped, it never does, and the room is given back.
#[must_use = "it has to be started"]
pub struct Commit(Vec<Share>);

/// What one destination gets, and the room for it in its queue. Given back when it is dropped without being filled.
pub(super) struct Share {
    destination: Arc<Destination>,
    parcel: Parcel,
    /// What was reserved; `None` once that is accounted for.
    bytes: Option<usize>,
}

impl Share {
    /// Takes room for a parcel.
    pub fn take(destination: &Arc<Destination>, parcel: Parcel) -> Result<Self, Refusal> {
        let bytes = parcel.body.len();
        destination.queue().reserve(bytes, parcel.items)?;
        Ok(Self::of(destination, bytes, parcel))
    }

    /// A parcel for which room was taken.
    pub fn of(destination: &Arc<Destination>, bytes: usize, parcel: Parcel) -> Self {
        Self { destination: Arc::clone(destination), parcel, bytes: Some(bytes) }
    }

    /// What it is filled with instead.
    pub fn holds(&mut self, parcel: Parcel) {
        self.parcel = parcel;
    }

    pub fn is_empty(&self) -> bool {
        self.parcel.items == 0
    }

    fn is_durable(&self) -> bool {
        self.queue().is_durable()
    }

    /// Hands the parcel to a queue that is not durable.
    fn fill(mut self) {
        if let Some(bytes) = self.bytes.take() {
            self.queue().commit(bytes, self.parcel.clone());
        }
    }

    fn queue(&self) -> &Arc<Queue> {
        self.destination.queue()
    }

    /// Ends it: what was staged is taken if nothing has failed.
    fn finish(mut self, staged: Option<Staged>, has_failed: bool) {
        let Some(staged) = staged else {
            if !has_failed {
                self.fill();
            }
            return;
        };
        let bytes = self.bytes.take().expect("it ends once");
        let (queue, parcel) = (self.queue(), &self.parcel);
        match staged {
            Staged::Written(slot) if has_failed => queue.abandon(bytes, &slot),
            Staged::Written(slot) => queue.publish(bytes, parcel.clone(), &slot),
            Staged::Dropped(_) if has_failed => queue.cancel(bytes),
            Staged::Dropped(reason) => queue.drop_staged(parcel.items, reason),
            Staged::Failed(_) => {
                queue.count_refused(parcel.items);
                queue.cancel(bytes);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes.take() {
            self.queue().cancel(bytes);
        }
    }
}

/// Hears whether the queues have the parcel, on some thread that must not be kept for long.
pub type Then = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

impl Commit {
    /// Has the parcel written. `then` is called once it is in all queues, or in none.
    pub fn start(self, then: Then) {
        let durable: Vec<usize> = (0..self.0.len()).filter(|&i| self.0[i].is_durable()).collect();
        let mut records: Vec<(usize, Prepared, Arc<Queue>, usize)> = Vec::with_capacity(durable.len());
        for i in durable {
            let share = &self.0[i];
            // Most often all get the same.
            let same = records.iter().find(|(other, ..)| {
                let body = &self.0[*other].parcel.body;
                body.as_ptr() == share.parcel.body.as_ptr() && body.len() == share.parcel.body.len()
            });
            let record = same.map_or_else(|| Prepared::of(&share.parcel, now()), |(_, record, ..)| record.clone());
            records.push((i, record, Arc::clone(share.queue()), share.bytes.expect("it has not ended")));
        }
        let joint = Arc::new(Joint(Mutex::new(State {
            // One for whoever is here: so all are asked before it can end.
            undecided: records.len() + 1,
            staged: self.0.iter().map(|_| None).collect(),
            shares: self.0,
            then: Some(then),
        })));
        for (i, record, queue, bytes) in records {
            let of_one = Arc::clone(&joint);
            queue.stage(bytes, record, move |staged| of_one.decided(Some((i, staged))));
        }
        joint.decided(None);
    }
}

struct Joint(Mutex<State>);

struct State {
    undecided: usize,
    /// Of each share; nothing of those without a disk.
    staged: Vec<Option<Staged>>,
    shares: Vec<Share>,
    then: Option<Then>,
}

impl Joint {
    fn decided(&self, one: Option<(usize, Staged)>) {
        let mut state = self.0.lock();
        if let Some((i, staged)) = one {
            state.staged[i] = Some(staged);
        }
        state.undecided -= 1;
        if state.undecided > 0 {
            return;
        }
        let (staged, shares) = (std::mem::take(&mut state.staged), std::mem::take(&mut state.shares));
        let then = state.then.take();
        drop(state);
        let failed = staged.iter().find_map(|staged| match staged {
            Some(Staged::Failed(refusal)) => Some(refusal.clone()),
            _ => None,
        });
        for (share, staged) in shares.into_iter().zip(staged) {
            share.finish(staged, failed.is_some());
        }
        if let Some(then) = then {
            then(failed.map_or(Ok(()), Err));
        }
    }
}
