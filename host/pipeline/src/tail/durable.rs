//! Spans on the disk before they are acknowledged, and back after a crash. A batch is a record of a log; when all of its spans are settled it is done
//! with. What was decided before the crash is known from the [`journal`](super::journal), so that what comes back follows it.

use std::path::Path;
use std::sync::Arc;

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

/// From this share of its room on, in per cent, traces are decided early, to this much.
const FULL: u64 = 90;
const RELIEVED: u64 = 80;

/// The log, and what of it has yet to go to the shards.
pub(super) struct Durable {
    log: Log,
    inbox: Mutex<Vec<Logged>>,
    ledger: Ledger,
}

/// A batch that is lasting.
struct Logged {
    parcel: Parcel,
    custody: Arc<Custody>,
    /// Until it is in the shards, which count for themselves.
    _room: Room,
}

/// Hears, on some thread that must not be kept for long, whether a batch is held.
pub(crate) type Then = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

impl Durable {
    /// Opens the log in a folder.
    pub(super) fn open(folder: &Path, most: u64, ledger: Ledger) -> Result<Self, StoreError> {
        let log = Log::open(&folder.join("log"), most, ledger.tail.log_counters())?;
        Ok(Self { log, inbox: Mutex::default(), ledger })
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.log.disk_bytes()
    }

    /// By how many bytes it is fuller than it should be: as much may go with the oldest traces.
    pub(super) fn excess(&self) -> usize {
        let (bytes, most) = (self.log.disk_bytes(), self.log.most());
        let is_full = bytes >= most / 100 * FULL;
        usize::try_from(if is_full { bytes.saturating_sub(most / 100 * RELIEVED) } else { 0 }).unwrap_or(usize::MAX)
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
                durable.put(kept, entry, room);
                then(Ok(()));
                woken();
            }
            Err(why) => {
                drop(room);
                then(Err(super::intake::refusal(&format!("the trace buffer cannot take more: {why}"))));
            }
        });
    }

    fn put(&self, parcel: Parcel, entry: Entry, room: Room) {
        self.ledger.tail.held.inc_by(i64::from(parcel.items));
        let custody = Custody::new(move |fate| match fate {
            Fate::Settled => entry.settle(),
            // It stays in the log.
            Fate::Failed => drop(entry),
        });
        self.inbox.lock().push(Logged { parcel, custody, _room: room });
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

impl Inner {
    /// Whether traces have to be decided early for what the log has no room for.
    pub(super) fn is_log_full(&self) -> bool {
        self.durable.as_ref().is_some_and(|durable| durable.excess() > 0)
    }

    /// Whether all that an earlier run has left is back.
    pub(super) fn is_restored(&self) -> bool {
        self.durable.as_ref().is_none_or(|durable| durable.log.is_restored())
    }

    /// Whether more of it is to be brought back now.
    pub(super) fn restores(&self) -> bool {
        self.is_open() && !self.is_restored() && self.budget().pressure() < Pressure::Spill
    }

    /// Brings a piece of what an earlier run has left back into the shards, while there is room for it. Answers whether there is more. Waits for the
    /// disk.
    pub(super) fn restore(&self, batch: &mut Batch, sorter: &mut Sorter) -> bool {
        let Some(durable) = &self.durable else { return false };
        if durable.log.is_restored() || self.budget().pressure() >= Pressure::Spill {
            return !durable.log.is_restored();
        }
        let mut spans = 0;
        let piece = durable.log.restore(|parcel, entry| {
            spans += u64::from(parcel.items);
            let room = Room::force(&durable.ledger.budget, parcel.body.len());
            durable.put(parcel, entry, room);
        });
        durable.ledger.tail.replayed.inc_by(spans);
        match piece {
            Ok(0) => {}
            Ok(lost) => {
                tracing::error!(spans = lost, "of the trace buffer's log could not be read: they are set aside");
            }
            Err(error) => tracing::error!(%error, "a part of the trace buffer's log cannot be read, and is left out"),
        }
        self.fetch(batch, sorter);
        if durable.log.is_restored() {
            tracing::info!("what an earlier run has left is back in the trace buffer");
        }
        !durable.log.is_restored()
    }

    /// Takes what is lasting into the shards.
    pub(super) fn fetch(&self, batch: &mut Batch, sorter: &mut Sorter) {
        let Some(durable) = &self.durable else { return };
        let logged = std::mem::take(&mut *durable.inbox.lock());
        let chain = self.chains.current();
        for Logged { parcel, custody, _room } in logged {
            let items = u64::from(parcel.items);
            let loaded = batch.load_again(&[Incoming { body: parcel.body, context: parcel.context }]);
            if loaded.iter().any(Result::is_err) {
                debug_assert!(false, "what was a batch is one again: {loaded:?}");
                durable.ledger.lost("log_unreadable", items);
            } else {
                // It was admitted when it was written: now it is taken, whatever the budget says.
                let Intaken { dropped, .. } = self.put(batch, &chain, Some(&custody), Held::Before, sorter);
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
