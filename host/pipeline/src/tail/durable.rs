//! Spans on the disk before they are acknowledged, and back after a crash. A batch is a record of a log; when all of its spans are settled it is done
//! with. What was decided before the crash is known from the [`journal`](super::journal), so that what comes back follows it.

use std::path::Path;
use std::sync::Arc;

use otlp::batch::{Batch, Incoming};
use parking_lot::Mutex;

use super::intake::{Held, Intaken, Sorter, late};
use super::outbox::Ledger;
use super::{Inner, Metrics, StartError};
use crate::custody::{Custody, Fate};
use crate::export::log::{Entry, Log};
use crate::export::{Parcel, StoreError};
use crate::request::Refusal;

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
    /// Room that was taken for it.
    reserved: usize,
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
        parcel: Parcel,
        custody: Option<Arc<Custody>>,
        reserved: usize,
        woken: impl FnOnce() + Send + 'static,
        then: Then,
    ) {
        let (durable, kept) = (Arc::clone(self), parcel.clone());
        self.log.append(&parcel, move |written| match written {
            Ok(entry) => {
                // The disk answers for it from here on.
                drop(custody);
                durable.put(kept, entry, reserved);
                then(Ok(()));
                woken();
            }
            Err(why) => {
                durable.ledger.budget.settle(reserved, 0);
                then(Err(super::intake::refusal(&format!("the trace buffer cannot take more: {why}"))));
            }
        });
    }

    fn put(&self, parcel: Parcel, entry: Entry, reserved: usize) {
        self.ledger.tail.held.inc_by(i64::from(parcel.items));
        let custody = Custody::new(move |fate| match fate {
            Fate::Settled => entry.settle(),
            // It stays in the log.
            Fate::Failed => drop(entry),
        });
        self.inbox.lock().push(Logged { parcel, custody, reserved });
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
    /// Brings what an earlier run has left back into the shards. Answers how many spans. Waits for the disk.
    pub(super) fn restore(&self) -> Result<u64, StartError> {
        let Some(durable) = &self.durable else { return Ok(0) };
        let left = durable.log.left();
        let (mut batch, mut sorter) = (Batch::new(), Sorter::default());
        let restored = durable.log.restore(|parcel, entry| {
            let reserved = parcel.body.len();
            durable.ledger.budget.settle(0, reserved);
            durable.put(parcel, entry, reserved);
            self.fetch(&mut batch, &mut sorter);
        });
        let lost = restored.map_err(|error| StartError::Log(format!("cannot be read: {error}")))?;
        if lost > 0 {
            tracing::error!(spans = lost, "of the trace buffer's log could not be read: they are set aside");
        }
        if left > 0 {
            tracing::info!(spans = left, "of an earlier run are back in the trace buffer");
        }
        durable.ledger.tail.replayed.inc_by(left - lost.min(left));
        Ok(left)
    }

    /// Takes what is lasting into the shards. Answers whether there was something.
    pub(super) fn fetch(&self, batch: &mut Batch, sorter: &mut Sorter) -> bool {
        let Some(durable) = &self.durable else { return false };
        let logged = std::mem::take(&mut *durable.inbox.lock());
        let is_any = !logged.is_empty();
        let chain = self.chains.current();
        for Logged { parcel, custody, reserved } in logged {
            let items = u64::from(parcel.items);
            let loaded = batch.load(&[Incoming { body: parcel.body, context: parcel.context }]);
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
            durable.ledger.budget.settle(reserved, 0);
            batch.clear();
        }
        is_any
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
