//! The queue before a destination: bounded in bytes, first in first out. Knows no protocol and sends nothing.
//!
//! Bytes are held from the reservation until the back end has answered for good, so that what is being sent, or waits to
//! be sent again, counts like what waits. Room is an atomic number; only the list of what waits is behind a lock. What a queue on
//! disk does beside this is in [`disk`]; a queue in memory pays nothing for it.
//!
//! Invariant: what is held never exceeds the bound, but for one parcel that is larger and alone, for parcels that a reload moves here from a destination's earlier
//! queue or that come from that of an endpoint which has gone, for what a commit brings beyond its own reservation, and for the one piece that is sent of a parcel that is cut.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderName;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Parcel;
use super::config::{BatchConfig, OnFull, QueueConfig};
use super::metrics::{Counters, DropReason};
use super::status::Trouble;
use crate::request::Refusal;

mod age;
mod batch;
mod disk;
mod end;
mod inherit;
mod parts;
mod refill;
mod spool;
mod ticket;
mod written;

pub(super) use batch::Batch;
pub(super) use disk::{Disk, now};
pub(super) use parts::Parts;
pub(super) use spool::Spool;
pub(super) use ticket::Ticket;
pub(super) use written::Staged;

/// What a waiting parcel costs beside its bytes (list entry, reference counts, allocator), so that many tiny parcels are
/// not taken for nothing.
const OVERHEAD: usize = 160;

/// What senders are told to wait when a queue is full and its back end answers.
const SHORTEST_HINT: Duration = Duration::from_secs(1);
const LONGEST_HINT: Duration = Duration::from_secs(30);

/// One destination's queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// Its destination.
    name: Box<str>,
    /// Which of the destination's queues it is, in messages: "destination `NAME`", and of which endpoint if there are several.
    shown: Box<str>,
    config: QueueConfig,
    batch: BatchConfig,
    forward: Vec<HeaderName>,
    counters: Counters,
    /// Bytes reserved, waiting and being sent.
    held: AtomicUsize,
    /// What the last refused reservation asked for: the queue counts as full while that does not fit.
    wanted: AtomicUsize,
    /// Milliseconds that refused senders are told to wait.
    hint: AtomicU64,
    /// What went wrong last.
    trouble: Trouble,
    /// Items that were given up at shutdown or removal.
    lost: AtomicU64,
    /// Of a queue that keeps something on disk.
    disk: Option<Disk>,
    state: Mutex<State>,
    /// Held by the one sender that waits for the next batch, so that one timer and one wake-up serve all.
    turn: tokio::sync::Mutex<()>,
    news: Notify,
    closing: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Of the bodies that wait.
    bytes: usize,
    /// Likewise.
    items: u64,
    /// Reservations that are neither committed nor given back.
    reservations: usize,
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    /// Takes and gives.
    #[default]
    Open,
    /// Gives what it has. At shutdown it takes nothing more.
    Closing(DropReason),
    /// A reload has put another queue in its place: whatever comes here goes there.
    Replaced(Arc<Queue>),
    /// Nobody sends any more.
    Dead(DropReason),
}

/// A parcel that waits.
#[derive(Debug)]
struct Waiting {
    parcel: Parcel,
    since: Instant,
    /// It is on disk too.
    ticket: Option<Ticket>,
}

impl Waiting {
    fn in_memory(parcel: Parcel) -> Self {
        Self { parcel, since: Instant::now(), ticket: None }
    }

    /// What it takes of the queue's size.
    fn charge(&self) -> usize {
        self.ticket.as_ref().map_or_else(|| charge(self.parcel.body.len()), Ticket::len)
    }

    fn items(&self) -> u64 {
        u64::from(self.parcel.items)
    }
}

impl State {
    fn pop(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.bytes -= waiting.parcel.body.len();
        self.items -= u64::from(waiting.parcel.items);
        // A burst's memory is given back.
        if self.waiting.is_empty() && self.waiting.capacity() > 1024 {
            self.waiting = VecDeque::new();
        }
        Some(waiting)
    }
}

fn charge(bytes: usize) -> usize {
    bytes.saturating_add(OVERHEAD)
}

impl Queue {
    pub fn new(
        name: &str,
        shown: String,
        config: QueueConfig,
        batch: BatchConfig,
        forward: Vec<HeaderName>,
        counters: Counters,
        disk: Option<Disk>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            shown: shown.into(),
            config,
            batch,
            forward,
            counters,
            held: AtomicUsize::new(0),
            wanted: AtomicUsize::new(1),
            hint: AtomicU64::new(SHORTEST_HINT.as_millis() as u64),
            trouble: Trouble::default(),
            lost: AtomicU64::new(0),
            disk,
            state: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            news: Notify::new(),
            closing: CancellationToken::new(),
        })
    }

    // === what the chain asks ===

    /// Takes room for a parcel of so many bytes and items. Queues that drop by policy always say yes, and decide at the
    /// commit.
    pub fn reserve(&self, bytes: usize, items: u32) -> Result<(), Refusal> {
        self.try_reserve(bytes).inspect_err(|_| self.count_refused(items))
    }

    /// Counts items that this queue alone keeps from being taken.
    pub fn count_refused(&self, items: u32) {
        self.counters.refused.inc_by(u64::from(items));
    }

    fn try_reserve(&self, bytes: usize) -> Result<(), Refusal> {
        if let Some(refusal) = self.disk_refuses(bytes) {
            return Err(refusal);
        }
        let refuses = self.config.on_full == OnFull::Refuse;
        if refuses {
            if charge(bytes) > self.largest() {
                return Err(Refusal::too_large(format!(
                    "{bytes} bytes are more than the queue of {} ({} bytes) takes even when it is empty: send smaller requests, \
                     or raise export.{}.queue.size",
                    self.shown, self.config.max_bytes, self.name
                )));
            }
            if !self.take(charge(bytes)) {
                // A share only, so that one huge request does not keep small ones out.
                self.wanted.store(charge(bytes).min(self.config.max_bytes / 16).max(1), Ordering::Relaxed);
                return Err(self.refusal());
            }
            self.wanted.store(1, Ordering::Relaxed);
        }
        let mut state = self.state.lock();
        if refuses && self.is_stale(&state) {
            drop(state);
            self.release(charge(bytes));
            return Err(self.stale());
        }
        if let Phase::Closing(DropReason::Shutdown) | Phase::Dead(_) = state.phase {
            drop(state);
            if refuses {
                self.release(charge(bytes));
            }
            return Err(Refusal::unavailable(
                SHORTEST_HINT,
                format!("{} takes nothing more: it is being shut down", self.shown),
            ));
        }
        state.reservations += 1;
        Ok(())
    }

    /// Gives a reservation back.
    pub fn cancel(&self, reserved: usize) {
        if self.config.on_full == OnFull::Refuse {
            self.release(charge(reserved));
        }
        let mut state = self.state.lock();
        state.reservations -= 1;
        self.wake_if_closing(&state);
    }

    /// Takes a parcel for which `reserved` bytes were reserved. Never fails; what is dropped by policy is counted.
    pub fn commit(self: &Arc<Self>, reserved: usize, parcel: Parcel) {
        let items = u64::from(parcel.items);
        self.counters.admitted.inc_by(items);
        self.counters.held.inc_by(items as i64);
        if self.wants_disk(parcel.body.len()) {
            self.spill(reserved, parcel);
            return;
        }
        let waiting = Waiting::in_memory(parcel);
        let mut state = self.state.lock();
        state.reservations -= 1;
        self.wake_if_closing(&state);
        let held = if self.config.on_full == OnFull::Refuse { charge(reserved) } else { 0 };
        match &state.phase {
            Phase::Open | Phase::Closing(_) => {}
            Phase::Replaced(successor) => {
                let successor = Arc::clone(successor);
                drop(state);
                self.release(held);
                successor.adopt(vec![waiting], false);
                return;
            }
            &Phase::Dead(reason) => {
                drop(state);
                self.release(held);
                Self::forsake(&waiting.parcel, reason);
                self.count_dropped(items, reason);
                return;
            }
        }
        self.expire(&mut state);
        if !self.make_room(&mut state, held, waiting.charge()) {
            drop(state);
            self.count_dropped(items, self.why_no_room(waiting.charge()));
            return;
        }
        self.push(&mut state, waiting, false);
    }

    fn why_no_room(&self, charge: usize) -> DropReason {
        if charge > self.largest() { DropReason::TooLarge } else { DropReason::QueueFull }
    }

    /// Why a parcel would be refused now, as far as that is known without asking for room.
    pub fn is_full(&self) -> Option<Refusal> {
        if let Some(refusal) = self.disk_refuses(0) {
            return Some(refusal);
        }
        if self.config.on_full != OnFull::Refuse {
            return None;
        }
        let wanted = self.held.load(Ordering::Relaxed) + self.wanted.load(Ordering::Relaxed);
        if wanted > self.limit() {
            return Some(self.refusal());
        }
        let is_stale = self.config.max_age.is_some() && self.is_stale(&self.state.lock());
        is_stale.then(|| self.stale())
    }

    /// How many bytes the largest parcel may have that would be taken now.
    pub fn room(&self) -> usize {
        let held = match self.config.on_full {
            OnFull::Refuse | OnFull::DropNewest => self.held.load(Ordering::Relaxed),
            // What waits gives way.
            OnFull::DropOldest => 0,
        };
        self.limit().saturating_sub(held).saturating_sub(OVERHEAD)
    }

    fn refusal(&self) -> Refusal {
        let delay = Duration::from_millis(self.hint.load(Ordering::Relaxed));
        Refusal::unavailable(
            delay,
            format!(
                "the queue of {} is full ({} bytes): its back end takes less than is sent; try again in {} s",
                self.shown,
                self.config.max_bytes,
                delay.as_secs_f32().ceil()
            ),
        )
    }

    // === room ===

    /// The largest parcel, as it is charged, that is taken: by an empty queue, one that is larger than the queue. What receivers let in has
    /// room, even if it has grown in the chain.
    fn largest(&self) -> usize {
        self.limit().saturating_mul(2)
    }

    fn take(&self, bytes: usize) -> bool {
        let (limit, largest) = (self.limit(), self.largest());
        let fits = |held: usize| {
            let sum = held.checked_add(bytes)?;
            (sum <= limit || (held == 0 && bytes <= largest)).then_some(sum)
        };
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if taken {
            self.counters.holds(bytes as i64);
        }
        taken
    }

    fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.counters.holds(-(bytes as i64));
    }

    fn force(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.counters.holds(bytes as i64);
    }

    /// Turns what was reserved into what is needed, by the queue's policy. Answers whether there is room.
    fn make_room(&self, state: &mut State, reserved: usize, needed: usize) -> bool {
        match self.config.on_full {
            OnFull::Refuse => {
                if needed > reserved {
                    self.force(needed - reserved);
                } else {
                    self.release(reserved - needed);
                }
                true
            }
            OnFull::DropNewest => !self.is_stale(state) && self.take(needed),
            OnFull::DropOldest => {
                // What is being sent is not called back: where there would be no room even behind it, nothing gives way in vain.
                let waiting = state.bytes + OVERHEAD * state.waiting.len();
                let sending = self.held.load(Ordering::Relaxed).saturating_sub(waiting);
                let most = if sending == 0 { self.largest() } else { self.limit() };
                if sending.saturating_add(needed) > most {
                    return false;
                }
                while !self.take(needed) {
                    let Some(oldest) = state.pop() else { return false };
                    self.drop_waiting(oldest, DropReason::QueueFull);
                }
                true
            }
        }
    }

    /// Gives up a parcel that has been taken off the list.
    fn drop_waiting(&self, waiting: Waiting, reason: DropReason) {
        self.release(waiting.charge());
        self.count_dropped(waiting.items(), reason);
        Ticket::settle(waiting.ticket);
    }

    fn push(&self, state: &mut State, waiting: Waiting, front: bool) {
        let (bytes, items) = (state.bytes, state.items);
        let was_empty = state.waiting.is_empty();
        state.bytes += waiting.parcel.body.len();
        state.items += u64::from(waiting.parcel.items);
        let is_due = |bytes, items| bytes >= self.batch.max_bytes || items >= u64::from(self.batch.max_items);
        // The sender that waits needs to hear of a new timer and of a batch that is large enough, of nothing else.
        let news = was_empty || (!is_due(bytes, items) && is_due(state.bytes, state.items));
        if front {
            state.waiting.push_front(waiting);
        } else {
            state.waiting.push_back(waiting);
        }
        if news {
            self.news.notify_one();
        }
    }

    fn count_dropped(&self, items: u64, reason: DropReason) {
        self.counters.dropped(reason).inc_by(items);
        self.counters.held.dec_by(items as i64);
        if let DropReason::Shutdown | DropReason::Removed = reason {
            self.lost.fetch_add(items, Ordering::Relaxed);
        }
    }

    // === what senders ask ===

    /// The next batch, when it is due; `None` once the queue is closed and empty.
    pub async fn next(self: &Arc<Self>) -> Option<Batch> {
        let _turn = self.turn.lock().await;
        loop {
            let again = self.refill().await;
            let due = {
                let mut state = self.state.lock();
                self.expire(&mut state);
                let closing = !matches!(state.phase, Phase::Open);
                match state.waiting.front() {
                    None if closing && state.reservations == 0 => return None,
                    None => None,
                    Some(first) => {
                        let due = first.since + self.batch.timeout;
                        if closing
                            || state.bytes >= self.batch.max_bytes
                            || state.items >= u64::from(self.batch.max_items)
                            || due <= Instant::now()
                        {
                            return Some(self.gather(&mut state));
                        }
                        Some(due)
                    }
                }
            };
            match due.into_iter().chain(again).min() {
                // Whether time or news ends the wait, the queue is looked at again.
                Some(due) => drop(tokio::time::timeout_at(due, self.news.notified()).await),
                None => self.news.notified().await,
            }
        }
    }

    /// Takes as many parcels off the front as make a batch: at least one.
    fn gather(self: &Arc<Self>, state: &mut State) -> Batch {
        let mut batch = Batch::new(Arc::clone(self));
        let mut bytes = 0usize;
        while let Some(first) = state.waiting.front() {
            if let Some(head) = batch.head()
                && (bytes + first.parcel.body.len() > self.batch.max_bytes
                    || batch.items() + u64::from(first.parcel.items) > u64::from(self.batch.max_items)
                    || !self.may_join(head, &first.parcel))
            {
                break;
            }
            bytes += first.parcel.body.len();
            let waiting = state.pop().expect("there is a front");
            batch.add(waiting);
        }
        batch
    }

    /// What refused senders are told: `None` while the back end answers, else when it is tried again.
    pub fn set_retry_hint(&self, delay: Option<Duration>) {
        let delay = delay.unwrap_or(SHORTEST_HINT).clamp(SHORTEST_HINT, LONGEST_HINT);
        self.hint.store(delay.as_millis() as u64, Ordering::Relaxed);
    }

    /// Bytes reserved, waiting and being sent.
    pub fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
