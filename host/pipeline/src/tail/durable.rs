//! Spans on the disk before they are acknowledged, and back after a crash. A batch is a record of a log; when all of its spans are settled it is done
//! with. What was decided before the crash is known from the [`journal`](super::journal), so that what comes back follows it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use otlp::batch::{Batch, Incoming};
use parking_lot::Mutex;

use super::budget::{Pressure, Room};
use super::intake::{Held, Intaken, Sorter, late};
use super::outbox::Ledger;
use super::{Inner, Metrics};
use crate::custody::{Custody, Fate};
use crate::export::log::{Entry, Log};
use crate::export::{Parcel, StoreError};
use crate::request::Refusal;

/// From this share of its room on, in per cent, traces are decided early, to this much. Room comes back by segments, each an eighth of it.
const FULL: u64 = 90;
const RELIEVED: u64 = 75;

/// The log, and what of it has yet to go to the shards.
pub(super) struct Durable {
    log: Log,
    inbox: Mutex<VecDeque<Logged>>,
    /// Whether all that an earlier run has left was read, and how many batches of it are on their way to the shards.
    is_read: AtomicBool,
    returning: Arc<AtomicUsize>,
    relief: Mutex<Relief>,
    /// How many bytes all batches have that are not done with, and how many they have on the disk, where they are packed.
    plain: Arc<AtomicU64>,
    packed: Arc<AtomicU64>,
    ledger: Ledger,
}

/// How much each shard has decided early for its room, in bytes of the disk. The room comes back later: what was asked for is not asked for again.
#[derive(Debug, Default)]
struct Relief {
    asked: Vec<u64>,
    /// How many bytes there were then.
    bytes: u64,
}

/// Of a batch that comes back, until it is in the shards.
struct Returning(Arc<AtomicUsize>);

impl Returning {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A batch that is lasting.
struct Logged {
    parcel: Parcel,
    custody: Arc<Custody>,
    /// Until it is in the shards, which count for themselves.
    room: Room,
    _returning: Option<Returning>,
}

/// Hears, on some thread that must not be kept for long, whether a batch is held.
pub(crate) type Then = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

impl Durable {
    /// Opens the log in a folder.
    pub(super) fn open(folder: &Path, most: u64, ledger: Ledger) -> Result<Self, StoreError> {
        let log = Log::open(&folder.join("log"), most, ledger.tail.log_counters())?;
        let is_read = AtomicBool::new(log.is_restored());
        let (inbox, relief) = (Mutex::default(), Mutex::default());
        let (plain, packed) = (Arc::default(), Arc::default());
        Ok(Self { log, inbox, is_read, returning: Arc::default(), relief, plain, packed, ledger })
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.log.disk_bytes()
    }

    fn is_full(&self) -> bool {
        self.log.disk_bytes() >= self.log.most() / 100 * FULL
    }

    /// By how many bytes of spans it is fuller than it should be, for this one of so many shards: as much may go with the oldest traces.
    pub(super) fn excess(&self, shard: usize, shards: usize) -> usize {
        let (bytes, most) = (self.log.disk_bytes(), self.log.most());
        let mut relief = self.relief.lock();
        let Relief { asked, bytes: before } = &mut *relief;
        asked.resize(shards, 0);
        let freed = before.saturating_sub(bytes) / shards as u64;
        for asked in asked.iter_mut() {
            *asked = asked.saturating_sub(freed);
        }
        *before = bytes;
        if !self.is_full() {
            asked.fill(0);
            return 0;
        }
        let share = bytes.saturating_sub(most / 100 * RELIEVED) / shards as u64;
        scaled(share.saturating_sub(asked[shard]), &self.plain, &self.packed).try_into().unwrap_or(usize::MAX)
    }

    /// Traces of so many bytes of that shard go for it.
    pub(super) fn relieved(&self, shard: usize, spans: usize) {
        if let Some(asked) = self.relief.lock().asked.get_mut(shard) {
            *asked += scaled(spans as u64, &self.packed, &self.plain);
        }
    }

    /// Why nothing is taken now.
    pub(super) fn refuses(&self) -> Option<String> {
        self.log.refuses()
    }

    pub(super) fn flush(&self) {
        self.log.flush();
    }

    /// Has a batch written; then it is held, and on its way to the shards. `woken` wakes who brings it there.
    pub(super) fn take(
        self: &Arc<Self>,
        parcel: &Parcel,
        custody: Option<Arc<Custody>>,
        room: Room,
        woken: impl FnOnce() + Send + 'static,
        then: Then,
    ) {
        let (durable, kept) = (Arc::clone(self), parcel.clone());
        self.log.append(parcel, move |written| match written {
            Ok(entry) => {
                // The disk answers for it from here on.
                drop(custody);
                durable.put(kept, entry, room, None);
                then(Ok(()));
                woken();
            }
            Err(why) => {
                drop(room);
                then(Err(super::intake::refusal(&format!("the trace buffer cannot take more: {why}"))));
            }
        });
    }

    fn put(&self, parcel: Parcel, entry: Entry, room: Room, returning: Option<Returning>) {
        self.ledger.tail.held.inc_by(i64::from(parcel.items));
        let sizes = [(&self.plain, parcel.body.len() as u64), (&self.packed, entry.len() as u64)];
        let sizes = sizes.map(|(sum, size)| (Arc::clone(sum), size));
        for (sum, size) in &sizes {
            sum.fetch_add(*size, Ordering::Relaxed);
        }
        let custody = Custody::new(move |fate| {
            for (sum, size) in sizes {
                sum.fetch_sub(size, Ordering::Relaxed);
            }
            match fate {
                Fate::Settled => entry.settle(),
                // It stays in the log.
                Fate::Failed => drop(entry),
            }
        });
        self.inbox.lock().push_back(Logged { parcel, custody, room, _returning: returning });
    }

    /// Whether something is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.inbox.lock().is_empty()
    }

    /// What is on its way stays in the log: nobody is there any more to take it.
    pub(super) fn give_up(&self) {
        for logged in self.inbox.lock().drain(..) {
            logged.custody.fail();
        }
    }
}

/// So many bytes of what one is the sum of, in those of the other.
fn scaled(bytes: u64, to: &AtomicU64, from: &AtomicU64) -> u64 {
    let [to, from] = [to, from].map(|sum| u128::from(sum.load(Ordering::Relaxed)));
    u64::try_from(u128::from(bytes) * to / from.max(1)).unwrap_or(u64::MAX)
}

impl Inner {
    /// Whether traces have to be decided early for what the log has no room for.
    pub(super) fn is_log_full(&self) -> bool {
        self.durable.as_ref().is_some_and(|durable| durable.is_full())
    }

    /// Whether all that an earlier run has left is back.
    pub(super) fn is_restored(&self) -> bool {
        let is_back = |durable: &Arc<Durable>| {
            durable.is_read.load(Ordering::Acquire) && durable.returning.load(Ordering::Acquire) == 0
        };
        self.durable.as_ref().is_none_or(is_back)
    }

    /// Whether more of it is to be brought back now.
    pub(super) fn restores(&self) -> bool {
        let is_read = |durable: &Arc<Durable>| durable.is_read.load(Ordering::Acquire);
        let has_more = self.durable.as_ref().is_some_and(|durable| !is_read(durable));
        has_more && self.is_open() && !self.is_ending() && self.budget().pressure() < Pressure::Spill
    }

    /// Brings a piece of what an earlier run has left back into the shards. Waits for the disk.
    pub(super) fn restore(&self, batch: &mut Batch, sorter: &mut Sorter) {
        let Some(durable) = &self.durable else { return };
        let mut spans = 0;
        let piece = durable.log.restore(|parcel, entry| {
            spans += u64::from(parcel.items);
            let room = Room::force(&durable.ledger.budget, parcel.body.len());
            durable.put(parcel, entry, room, Some(Returning::new(&durable.returning)));
        });
        durable.ledger.tail.replayed.inc_by(spans);
        match piece {
            Ok(0) => {}
            Ok(lost) => {
                tracing::error!(spans = lost, "of the trace buffer's log could not be read: they are set aside");
            }
            Err(error) => tracing::error!(%error, "a part of the trace buffer's log cannot be read, and is left out"),
        }
        // Those on their way are counted before.
        durable.is_read.store(durable.log.is_restored(), Ordering::Release);
        self.fetch(batch, sorter);
        if durable.log.is_restored() {
            tracing::info!("what an earlier run has left is back in the trace buffer");
        }
    }

    /// Takes what is lasting into the shards.
    pub(super) fn fetch(&self, batch: &mut Batch, sorter: &mut Sorter) {
        let Some(durable) = &self.durable else { return };
        let chain = self.chains.current();
        // One by one: whatever goes wrong with one, the others are still there. What comes meanwhile has its own turn.
        let count = durable.inbox.lock().len();
        let next = |_| durable.inbox.lock().pop_front();
        for Logged { parcel, custody, mut room, _returning } in (0..count).map_while(next) {
            let items = u64::from(parcel.items);
            let loaded = batch.load_again(&[Incoming { body: parcel.body, context: parcel.context }]);
            if loaded.iter().any(Result::is_err) {
                debug_assert!(false, "what was a batch is one again: {loaded:?}");
                durable.ledger.lost("log_unreadable", items);
            } else {
                // It was admitted when it was written: now it is taken, whatever the budget says.
                let held = (Held::Before, &mut room);
                let Intaken { dropped, .. } = self.put(batch, &chain, Some(&custody), held, sorter);
                if dropped > 0 {
                    durable.ledger.dropped(&late(), dropped);
                }
            }
            batch.clear();
        }
    }
}

impl Metrics {
    /// What the log counts.
    fn log_counters(&self) -> crate::export::DiskCounters {
        let disk = &self.log;
        crate::export::DiskCounters {
            disk_bytes: disk.bytes.clone(),
            commits: disk.commits.clone(),
            failed_commits: disk.failed_commits.clone(),
            commit_duration: disk.commit_duration.clone(),
            quarantined: disk.quarantined.clone(),
            replayed: self.replayed.clone(),
            left: disk.left.clone(),
        }
    }
}
