//! The tie between a parcel in memory and its record on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::store::{Slot, Store};

/// Says that a parcel, or the pieces it was cut into, are on disk too. Each share is settled when its items are delivered, or given up for good;
/// with the last one the record is done with. A share that is dropped is not settled: the record stays, and is sent again after a restart.
#[derive(Debug)]
pub(in super::super) struct Ticket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    slot: Slot,
    unsettled: AtomicU32,
}

impl Ticket {
    pub fn new(store: Arc<Store>, slot: Slot) -> Self {
        Self(Arc::new(Inner { store, slot, unsettled: AtomicU32::new(1) }))
    }

    /// Another share, for a piece of the parcel.
    pub fn share(&self) -> Self {
        self.0.unsettled.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }

    /// Bytes of the record.
    pub fn len(&self) -> usize {
        self.0.slot.len
    }

    /// Settles shares: the records whose last ones they are, are done with.
    pub fn settle(tickets: impl IntoIterator<Item = Self>) {
        let last = |ticket: &Self| ticket.0.unsettled.fetch_sub(1, Ordering::AcqRel) == 1;
        let mut store: Option<Arc<Store>> = None;
        let mut done = Vec::new();
        for Self(inner) in tickets.into_iter().filter(last) {
            // All of a queue's are of one store.
            done.push((Arc::clone(&inner.slot.segment), inner.slot.sequence));
            store.get_or_insert_with(|| Arc::clone(&inner.store));
        }
        if let Some(store) = store {
            store.done(done);
        }
    }
}
