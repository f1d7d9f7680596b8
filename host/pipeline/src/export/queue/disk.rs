//! What a queue on disk has beside a queue in memory, how much room there is, and what becomes of it at the end. How parcels get to the
//! disk is in [`written`](super::written), how they come back in [`refill`](super::refill).
//!
//! Locks are taken in the order spool, queue: what is written, read or handed on is in one account at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::super::config::{OnFull, QueueMode};
use super::super::metrics::DropReason;
use super::super::store::{Prepared, Store, Sum, Then};
use super::{Phase, Queue, SHORTEST_HINT, Spool, Waiting};
use crate::log_gate::Gate;
use crate::request::Refusal;

/// What may wait for the writer: more comes only while a disk is slower than the senders.
pub(super) const UNWRITTEN: usize = 32 << 20;

/// What belongs to the disk.
#[derive(Debug)]
pub(in super::super) struct Disk {
    pub(super) spool: Arc<Spool>,
    pub(super) runtime: Handle,
    pub(super) is_durable: bool,
    /// The back end does not answer: what comes goes to the disk.
    is_down: AtomicBool,
    pub(super) is_trimming: AtomicBool,
    /// When a limited drain may go on.
    pub(super) next_read: Mutex<Option<Instant>>,
    pub(super) failures: Gate,
}

impl Disk {
    pub fn new(spool: Arc<Spool>, mode: &QueueMode, runtime: Handle) -> Self {
        Self {
            spool,
            runtime,
            is_durable: matches!(mode, QueueMode::Durable(_)),
            is_down: AtomicBool::new(false),
            is_trimming: AtomicBool::new(false),
            next_read: Mutex::new(None),
            failures: Gate::default(),
        }
    }

    /// Its records, for a queue that takes this one's place.
    pub fn spool(&self) -> &Arc<Spool> {
        &self.spool
    }

    /// Its files.
    pub fn store(&self) -> &Store {
        self.spool.store()
    }

    pub(super) fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// Whether a parcel counts as taken only once it is on the disk.
    pub fn is_durable(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.is_durable)
    }

    /// What belongs to the disk, where something does.
    pub fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Notes what an earlier run has left.
    pub fn restore(&self) {
        let Some(disk) = &self.disk else { return };
        let unread = disk.spool.unread();
        self.force(unread.bytes as usize);
        disk.store().counters().replayed.inc_by(unread.items);
        self.counters.held.inc_by(unread.items as i64);
        if unread.items > 0 {
            let (folder, items) = (disk.store().folder().display(), unread.items);
            tracing::info!(destination = %self.name, %folder, items, "items of an earlier run are sent now");
        }
    }

    // === room ===

    /// How many bytes may be held now.
    pub(super) fn limit(&self) -> usize {
        match &self.disk {
            Some(disk) if !disk.is_durable && disk.store().trouble().is_some() => {
                self.config.max_bytes.min(self.config.memory_bytes)
            }
            _ => self.config.max_bytes,
        }
    }

    /// Why the disk cannot take a parcel of so many bytes.
    pub(super) fn disk_refuses(&self, bytes: usize) -> Option<Refusal> {
        let disk = self.disk.as_ref()?;
        let store = disk.store();
        if disk.is_durable
            && let Some(why) = store.trouble()
        {
            return Some(self.unwritable(&why));
        }
        let waiting = store.waiting();
        let is_slow = waiting > 0 && waiting + bytes > UNWRITTEN;
        (is_slow && self.config.on_full == OnFull::Refuse).then(|| {
            let message = format!("the disk of the queue of {} is not keeping up, try again later", self.shown);
            Refusal::unavailable(SHORTEST_HINT, message)
        })
    }

    /// Why nothing could be written last, for people.
    pub fn disk_trouble(&self) -> Option<String> {
        let why = self.disk.as_ref()?.store().last_trouble()?;
        Some(format!("the queue cannot be written: {why}"))
    }

    pub(super) fn unwritable(&self, why: &str) -> Refusal {
        let message = format!("the queue of {} cannot be written: {why}; try again later", self.shown);
        Refusal::unavailable(SHORTEST_HINT, message)
    }

    pub(super) fn has_memory_for(&self, bytes: usize) -> bool {
        self.state.lock().bytes + bytes <= self.config.memory_bytes
    }

    /// The queue that has taken this one's place, or this one. Stays so while the spool is locked.
    pub(super) fn current(self: &Arc<Self>) -> Arc<Self> {
        let mut current = Arc::clone(self);
        loop {
            let next = match &current.state.lock().phase {
                Phase::Replaced(successor) => Arc::clone(successor),
                _ => break,
            };
            current = next;
        }
        current
    }

    /// Notes whether the back end answers.
    pub fn set_down(&self, is_down: bool) {
        if let Some(disk) = &self.disk {
            disk.is_down.store(is_down, Ordering::Relaxed);
        }
    }

    // === the end ===

    /// Runs something while nothing is read, published or given up, with what is on disk alone.
    pub(super) fn with_unread(&self, run: impl FnOnce(Sum)) {
        match &self.disk {
            None => run(Sum::default()),
            Some(disk) => disk.spool.frozen(run),
        }
    }

    /// Counts items that stay on disk for a later run.
    pub(super) fn count_left(&self, items: u64) {
        if let Some(disk) = &self.disk {
            disk.store().counters().left.inc_by(items);
            self.counters.held.dec_by(items as i64);
        }
    }

    /// Whether parcels in memory alone can still be brought to the disk.
    pub(super) fn may_still_spill(&self) -> bool {
        self.disk.is_some() && matches!(self.state.lock().phase, Phase::Closing(_))
    }

    /// What is on disk too need not wait for a back end that does not answer before the end.
    pub fn leave(&self) {
        let mut state = self.state.lock();
        let all = std::mem::take(&mut state.waiting);
        let (on_disk, in_memory): (Vec<_>, Vec<_>) = all.into_iter().partition(|waiting| waiting.ticket.is_some());
        for waiting in on_disk {
            state.bytes -= waiting.parcel.body.len();
            state.items -= waiting.items();
            self.release(waiting.charge());
            self.count_left(waiting.items());
        }
        state.waiting = in_memory.into();
        self.news.notify_one();
    }

    /// Brings to the disk what is in memory alone, when its senders have ended, and waits until all is lasting there.
    pub fn rescue(self: &Arc<Self>, reason: DropReason) {
        let Some(disk) = &self.disk else { return };
        self.leave();
        let rest: Vec<Waiting> = {
            let mut state = self.state.lock();
            std::iter::from_fn(|| state.pop()).collect()
        };
        for waiting in rest {
            let (items, record) = (waiting.items(), Prepared::of(&waiting.parcel, now()));
            self.release(waiting.charge());
            let queue = Arc::clone(self);
            let written: Then = Box::new(move |written| match written {
                Ok(_) => queue.count_left(items),
                Err(_) => queue.count_dropped(items, reason),
            });
            if !disk.spool.stage(record, true, written) {
                self.count_dropped(items, reason);
            }
        }
        disk.store().flush();
    }
}

/// Milliseconds since the Unix epoch.
pub(in super::super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
