//! Parcels on their way out of a queue: what one request is made of. Whatever becomes of them, they are accounted for.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;

use super::super::Parcel;
use super::super::metrics::DropReason;
use super::end::End;
use super::{Parts, Queue, Ticket, Waiting};

/// Parcels that travel in one request. Invariant: each of its items is counted as sent, rejected or dropped exactly once;
/// those that are not by the time it is dropped (its sender was stopped) count as dropped.
#[derive(Debug)]
pub(in super::super) struct Batch {
    pub(super) queue: Arc<Queue>,
    pub(super) parcels: Vec<Waiting>,
    pub(super) charge: usize,
    /// Not yet counted.
    pub(super) items: u64,
}

impl Batch {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue, parcels: Vec::new(), charge: 0, items: 0 }
    }

    pub(super) fn add(&mut self, waiting: Waiting) {
        self.charge += waiting.charge();
        self.items += u64::from(waiting.parcel.items);
        self.parcels.push(waiting);
    }

    /// The first parcel: all others agree with it in what is passed on.
    pub fn head(&self) -> Option<&Parcel> {
        self.parcels.first().map(|waiting| &waiting.parcel)
    }

    /// How many items it holds.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Whether all of it is on disk too.
    pub fn is_on_disk(&self) -> bool {
        self.parcels.iter().all(|waiting| waiting.ticket.is_some())
    }

    /// How many bytes its request has before compression.
    pub fn bytes(&self) -> usize {
        self.parcels.iter().map(|waiting| waiting.parcel.body.len()).sum()
    }

    /// The bodies: one after another they are one request.
    pub fn bodies(&self) -> impl Iterator<Item = &Bytes> {
        self.parcels.iter().map(|waiting| &waiting.parcel.body)
    }

    /// The bodies, and how many items each holds.
    #[cfg(feature = "kafka")]
    pub fn parcels(&self) -> impl Iterator<Item = (Bytes, u32)> + '_ {
        self.parcels.iter().map(|waiting| (waiting.parcel.body.clone(), waiting.parcel.items))
    }

    /// In parts of at most so many bytes each, or of one item that has at most `most`.
    pub fn in_parts(self, limit: usize, most: usize) -> Parts {
        Parts::new(self, limit, most)
    }

    /// Takes the second half of its parcels out, about half by bytes; `None` where there is one only.
    pub fn halve(&mut self) -> Option<Self> {
        let last = self.parcels.len().checked_sub(1).filter(|&last| last > 0)?;
        let (half, mut bytes) = (self.bytes() / 2, 0);
        let middle = self.parcels.iter().position(|waiting| {
            bytes += waiting.parcel.body.len();
            bytes > half
        });
        let mut second = Self::new(Arc::clone(&self.queue));
        for waiting in self.parcels.split_off(middle.unwrap_or(last).clamp(1, last)) {
            self.charge -= waiting.charge();
            self.items -= u64::from(waiting.parcel.items);
            second.add(waiting);
        }
        Some(second)
    }

    /// The back end has taken the batch, but for so many items.
    pub fn delivered(mut self, rejected: u64) {
        let rejected = rejected.min(self.items);
        let counters = &self.queue.counters;
        counters.sent.inc_by(self.items - rejected);
        counters.rejected.inc_by(rejected);
        counters.held.dec_by(self.items as i64);
        self.items = 0;
        self.settle();
    }

    /// The back end has refused the batch for good.
    pub fn rejected(self) {
        let all = self.items;
        self.delivered(all);
    }

    /// The batch is given up, but for so many items that were delivered, and so many that were rejected.
    pub fn given_up(mut self, sent: u64, rejected: u64, reason: DropReason) {
        let sent = sent.min(self.items);
        let rejected = rejected.min(self.items - sent);
        let counters = &self.queue.counters;
        counters.sent.inc_by(sent);
        counters.rejected.inc_by(rejected);
        counters.held.dec_by((sent + rejected) as i64);
        self.items -= sent + rejected;
        self.drop_items(self.items, reason);
        self.settle();
    }

    /// Nothing of it is ever sent again.
    fn settle(&mut self) {
        Ticket::settle(self.parcels.iter_mut().filter_map(|waiting| waiting.ticket.take()));
    }

    pub(super) fn drop_items(&mut self, items: u64, reason: DropReason) {
        self.items -= items;
        self.queue.count_dropped(items, reason);
    }

    /// Goes to the front of the queue that has taken its own queue's place.
    pub fn hand_over(self) {
        drop(self);
    }
}

impl Batch {
    /// Its sender was stopped.
    fn give_up(&mut self, reason: DropReason) {
        let all = std::mem::take(&mut self.parcels);
        let (on_disk, in_memory): (Vec<_>, Vec<_>) = all.into_iter().partition(|waiting| waiting.ticket.is_some());
        let left = on_disk.iter().map(Waiting::items).sum::<u64>().min(self.items);
        self.items -= left;
        self.queue.count_left(left);
        if self.queue.may_still_spill() {
            self.items = 0;
            self.queue.adopt(in_memory, true);
        } else {
            for waiting in &in_memory {
                Queue::forsake(&waiting.parcel, reason);
            }
            self.drop_items(self.items, reason);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // Room is given back before the successor takes it under the same label.
        self.queue.release(self.charge);
        if self.items == 0 {
            return;
        }
        match self.queue.end() {
            End::Successor(successor) => successor.adopt(std::mem::take(&mut self.parcels), true),
            End::Dropped(reason) => self.give_up(reason),
        }
    }
}

impl Queue {
    /// Whether two parcels may travel in one request: only if they agree in the headers that are passed on.
    pub(super) fn may_join(&self, one: &Parcel, other: &Parcel) -> bool {
        if self.forward.is_empty() || Arc::ptr_eq(&one.context, &other.context) {
            return true;
        }
        let values = |parcel: &Parcel, name: &HeaderName| {
            let of_name = parcel.context.headers.iter().filter(|(key, _)| **key == *name.as_str());
            of_name.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        self.forward.iter().all(|name| values(one, name) == values(other, name))
    }
}
