//! The end of a queue: it closes, another takes its place, or what is left is given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use super::super::Parcel;
use super::super::metrics::DropReason;
use super::{Phase, Queue, State, Waiting};

/// What becomes of a batch that nobody sends any more.
pub(super) enum End {
    Successor(Arc<Queue>),
    Dropped(DropReason),
}

impl Queue {
    /// Ends when the queue begins to close: whoever waits to try again need not wait any longer.
    pub fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Whether another queue has taken this one's place.
    pub fn is_replaced(&self) -> bool {
        self.closing.is_cancelled() && matches!(self.state.lock().phase, Phase::Replaced(_))
    }

    /// Whether nobody takes over what is not sent soon.
    pub fn is_ending(&self) -> bool {
        self.closing.is_cancelled() && matches!(self.state.lock().phase, Phase::Closing(_))
    }

    pub(super) fn wake_if_closing(&self, state: &State) {
        if !matches!(state.phase, Phase::Open) {
            self.news.notify_one();
        }
    }

    /// From now on the queue only gives, and without waiting for full batches.
    pub fn close(&self, reason: DropReason) {
        let mut state = self.state.lock();
        if let Phase::Open | Phase::Closing(_) = state.phase {
            state.phase = Phase::Closing(reason);
        }
        drop(state);
        self.closing.cancel();
        self.news.notify_one();
    }

    /// Puts another queue in this one's place, and moves what waits there.
    pub fn replace(&self, successor: &Arc<Self>) {
        self.with_unread(|unread| {
            let mut state = self.state.lock();
            state.phase = Phase::Replaced(Arc::clone(successor));
            state.bytes = 0;
            state.items = 0;
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            self.release(waiting.iter().map(Waiting::charge).sum());
            successor.adopt(waiting.into(), true);
            // What is on disk alone stays there: only the account goes over.
            self.release(unread.bytes as usize);
            successor.force(unread.bytes as usize);
        });
        self.closing.cancel();
        self.news.notify_one();
    }

    /// Takes parcels that were admitted by an earlier queue of the same destination, whether there is room or not.
    pub(super) fn adopt(&self, parcels: Vec<Waiting>, front: bool) {
        let mut state = self.state.lock();
        match &state.phase {
            Phase::Open | Phase::Closing(_) => {
                self.force(parcels.iter().map(Waiting::charge).sum());
                if front {
                    for waiting in parcels.into_iter().rev() {
                        self.push(&mut state, waiting, true);
                    }
                } else {
                    for waiting in parcels {
                        self.push(&mut state, waiting, false);
                    }
                }
            }
            Phase::Replaced(successor) => {
                let successor = Arc::clone(successor);
                drop(state);
                successor.adopt(parcels, front);
            }
            &Phase::Dead(reason) => {
                drop(state);
                for waiting in parcels {
                    self.give_up(&waiting, reason);
                }
            }
        }
    }

    /// Gives up a parcel at the end: if it is on disk, it stays there.
    pub(super) fn give_up(&self, waiting: &Waiting, reason: DropReason) {
        if waiting.ticket.is_some() {
            self.count_left(waiting.items());
        } else {
            Self::forsake(&waiting.parcel, reason);
            self.count_dropped(waiting.items(), reason);
        }
    }

    /// A parcel is given up. Where that is nobody's rule but only the end of the process, whoever can send it again has to.
    pub(super) fn forsake(parcel: &Parcel, reason: DropReason) {
        if reason == DropReason::Shutdown
            && let Some(custody) = &parcel.custody
        {
            custody.fail();
        }
    }

    /// Gives up what is left, counted, and whatever still comes.
    pub fn kill(&self, reason: DropReason) {
        self.with_unread(|unread| {
            let mut state = self.state.lock();
            if !matches!(state.phase, Phase::Replaced(_) | Phase::Dead(_)) {
                state.phase = Phase::Dead(reason);
                self.release(unread.bytes as usize);
                self.count_left(unread.items);
            }
            while let Some(waiting) = state.pop() {
                self.release(waiting.charge());
                self.give_up(&waiting, reason);
            }
        });
        self.closing.cancel();
        self.news.notify_one();
    }

    /// How many items were given up at shutdown or removal.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What becomes of a batch that nobody sends any more.
    pub(super) fn end(&self) -> End {
        match &self.state.lock().phase {
            Phase::Replaced(successor) => End::Successor(Arc::clone(successor)),
            &(Phase::Closing(reason) | Phase::Dead(reason)) => End::Dropped(reason),
            Phase::Open => End::Dropped(DropReason::Shutdown),
        }
    }
}
