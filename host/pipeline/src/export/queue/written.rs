//! How parcels get from a queue to its disk: before they are acknowledged where the queue is durable, because there is no other room for them where it
//! spills.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::Parcel;
use super::super::config::OnFull;
use super::super::metrics::DropReason;
use super::super::store::{Prepared, Slot, Then};
use super::disk::{UNWRITTEN, now};
use super::spool::Place;
use super::{Phase, Queue, Ticket, Waiting, charge};
use crate::request::Refusal;

/// What became of a parcel that a durable queue was to write.
#[derive(Debug)]
pub(in super::super) enum Staged {
    /// It is on the disk, and is to be published or abandoned.
    Written(Slot),
    /// The queue's policy drops it.
    Dropped(DropReason),
    /// It is not on the disk.
    Failed(Refusal),
}

impl Queue {
    // === durable ===

    /// Has a parcel written for which `reserved` bytes were reserved. `then` is called when that is decided, here or on the writer's
    /// thread; what was written is to be published or abandoned.
    pub fn stage(self: &Arc<Self>, reserved: usize, record: Prepared, then: impl FnOnce(Staged) + Send + 'static) {
        let disk = self.disk.as_ref().expect("only durable queues stage");
        let charge = charge(reserved);
        let has_room = match self.config.on_full {
            OnFull::Refuse => true,
            OnFull::DropNewest => !self.is_stale(&self.state.lock()) && self.take(charge),
            OnFull::DropOldest => self.take_or_overdraw(charge),
        };
        if !has_room || (self.config.on_full != OnFull::Refuse && disk.store().waiting() > UNWRITTEN) {
            if has_room {
                self.release(charge);
            }
            return then(Staged::Dropped(self.why_no_room(charge)));
        }
        let queue = Arc::clone(self);
        let then = Arc::new(Mutex::new(Some(then)));
        let called = Arc::clone(&then);
        let written: Then = Box::new(move |written| {
            let staged = match written {
                Ok(slot) => Staged::Written(slot),
                Err(unwritten) => {
                    queue.unstage(charge, Some(unwritten.sequence));
                    Staged::Failed(queue.unwritable(&unwritten.why))
                }
            };
            if let Some(then) = called.lock().take() {
                then(staged);
            }
        });
        if !disk.spool.stage(record, true, written) {
            self.unstage(charge, None);
            if let Some(then) = then.lock().take() {
                then(Staged::Failed(self.unwritable("it is closed")));
            }
        }
    }

    /// Gives back what was taken for a parcel that is not written.
    pub(super) fn unstage(&self, charge: usize, sequence: Option<u64>) {
        if self.config.on_full != OnFull::Refuse {
            self.release(charge);
        }
        if let (Some(disk), Some(sequence)) = (&self.disk, sequence) {
            disk.spool.failed(sequence);
            self.news.notify_one();
        }
    }

    /// Takes room though there may be none: what waits longest gives way soon. Not without end: that takes time.
    fn take_or_overdraw(self: &Arc<Self>, bytes: usize) -> bool {
        if self.take(bytes) {
            return true;
        }
        let most = self.config.max_bytes.saturating_add(self.config.memory_bytes);
        if bytes > self.config.max_bytes || self.held.load(Ordering::Relaxed) > most {
            return false;
        }
        self.force(bytes);
        true
    }

    /// A parcel that was written is taken: the senders get it now, or read it when it is its turn.
    pub fn publish(self: &Arc<Self>, reserved: usize, parcel: Parcel, slot: &Slot) {
        let items = u64::from(parcel.items);
        self.counters.admitted.inc_by(items);
        self.counters.held.inc_by(items as i64);
        self.end_reservation();
        // The disk answers for it from here on.
        self.show_written(charge(reserved), Parcel { custody: None, ..parcel }, Instant::now(), slot);
    }

    /// A parcel that was written is not taken: another destination could not.
    pub fn abandon(&self, reserved: usize, slot: &Slot) {
        let disk = self.disk.as_ref().expect("only durable queues stage");
        disk.spool.abandon(slot);
        self.release(charge(reserved));
        self.end_reservation();
        // Somebody may wait for what is behind it.
        self.news.notify_one();
    }

    /// A parcel is dropped instead of being written.
    pub fn drop_staged(&self, items: u32, reason: DropReason) {
        self.counters.admitted.inc_by(u64::from(items));
        self.counters.held.inc_by(i64::from(items));
        self.count_dropped(u64::from(items), reason);
        self.end_reservation();
    }

    fn end_reservation(&self) {
        let mut state = self.state.lock();
        state.reservations -= 1;
        self.wake_if_closing(&state);
    }

    /// Turns the charge of a parcel that has been written into its record's, and gives it to the senders.
    pub(super) fn show_written(self: &Arc<Self>, charged: usize, parcel: Parcel, since: Instant, slot: &Slot) {
        let disk = self.disk.as_ref().expect("what was written has a disk");
        let (items, bytes, len) = (parcel.items, parcel.body.len(), slot.len);
        let has_room = || {
            let queue = self.current();
            let prefers_disk = queue.disk.as_ref().is_some_and(|disk| !disk.is_durable && disk.is_down());
            !prefers_disk && queue.has_memory_for(bytes)
        };
        let place = |place: &Place| {
            self.release(charged);
            let queue = self.current();
            let mut state = queue.state.lock();
            if let Phase::Dead(_) = state.phase {
                queue.count_left(u64::from(items));
                return;
            }
            queue.force(len);
            match place {
                Place::Memory => {
                    let ticket = Ticket::new(Arc::clone(disk.spool.store()), slot.clone());
                    queue.push(&mut state, Waiting { parcel, since, ticket: Some(ticket) }, false);
                }
                Place::Disk => queue.news.notify_one(),
            }
        };
        disk.spool.publish(slot, items, has_room, place);
        self.current().trim_soon();
    }

    // === spill ===

    /// Whether a parcel goes to the disk rather than to memory.
    pub(super) fn wants_disk(&self, bytes: usize) -> bool {
        let Some(disk) = self.disk.as_ref().filter(|disk| !disk.is_durable) else { return false };
        disk.store().trouble().is_none() && (disk.is_down() || disk.spool.is_in_use() || !self.has_memory_for(bytes))
    }

    /// Has a parcel written that has been counted already. Where that fails it waits in memory after all.
    pub(super) fn spill(self: &Arc<Self>, reserved: usize, parcel: Parcel) {
        let disk = self.disk.as_ref().expect("only queues with a disk spill");
        let items = u64::from(parcel.items);
        let charged = charge(if self.config.on_full == OnFull::Refuse { reserved } else { parcel.body.len() });
        let has_room = match self.config.on_full {
            OnFull::Refuse => true,
            _ if disk.store().waiting() > UNWRITTEN => false,
            OnFull::DropNewest => !self.is_stale(&self.state.lock()) && self.take(charged),
            OnFull::DropOldest => self.take_or_overdraw(charged),
        };
        self.end_reservation();
        if !has_room {
            return self.count_dropped(items, self.why_no_room(charged));
        }
        let (record, since) = (Prepared::of(&parcel, now()), Instant::now());
        // Whoever sent it lets go of it on the strength of this.
        let syncs = parcel.custody.is_some();
        let (queue, kept) = (Arc::clone(self), parcel.clone());
        let written: Then = Box::new(move |written| match written {
            Ok(slot) => queue.show_written(charged, kept, since, &slot),
            Err(unwritten) => {
                queue.unstage(0, Some(unwritten.sequence));
                queue.release(charged);
                queue.adopt(vec![Waiting::in_memory(kept)], false);
            }
        });
        if !disk.spool.stage(record, syncs, written) {
            self.release(charged);
            self.adopt(vec![Waiting::in_memory(parcel)], false);
        }
    }
}
