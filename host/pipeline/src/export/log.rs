//! A log of parcels on a disk, for who holds items for longer than a queue does, and lets go of them one by one: the trace buffer.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Parcel;
use super::metrics::disk::DiskCounters;
use super::queue::{Spool, Ticket, now};
use super::store::{Prepared, Store, StoreError};

/// What waits for the disk is not more than this: it is not keeping up.
const UNWRITTEN: usize = 32 << 20;
/// How much is read back at once.
const PIECE: usize = 4 << 20;

/// A folder's log.
pub(crate) struct Log {
    spool: Arc<Spool>,
    most: u64,
}

/// A parcel's place in the log. Dropped, the parcel stays there, and comes back with the next start.
#[derive(Debug)]
pub(crate) struct Entry(Ticket);

impl Entry {
    /// It is never needed again.
    pub(crate) fn settle(self) {
        Ticket::settle([self.0]);
    }
}

impl Log {
    /// Opens a folder, which nobody else has open, for about `most` bytes.
    pub(crate) fn open(folder: &Path, most: u64, counters: DiskCounters) -> Result<Self, StoreError> {
        let (store, backlog) = Store::open(folder, usize::try_from(most).unwrap_or(usize::MAX), counters)?;
        Ok(Self { spool: Spool::new(store, &backlog), most })
    }

    /// How many items an earlier run has left.
    pub(crate) fn left(&self) -> u64 {
        self.spool.unread().items
    }

    /// Reads back what an earlier run has left, oldest first. Answers how many items could not be read. To be called before anything is appended;
    /// waits for the disk.
    pub(crate) fn restore(&self, mut each: impl FnMut(Parcel, Entry)) -> io::Result<u64> {
        let mut lost = 0;
        while self.spool.has_unread() {
            self.spool.read(PIECE, |piece| {
                lost += piece.lost.items;
                piece.parcels.into_iter().for_each(|read| each(read.parcel, Entry(read.ticket)));
            })?;
        }
        Ok(lost)
    }

    /// Why nothing can be appended now.
    pub(crate) fn refuses(&self) -> Option<String> {
        let store = self.spool.store();
        if let Some(why) = store.trouble() {
            return Some(format!("its disk cannot be written: {why}"));
        }
        if store.waiting() > UNWRITTEN {
            return Some("its disk is not keeping up".to_owned());
        }
        (store.disk_bytes() >= self.most).then(|| "its folder is full".to_owned())
    }

    /// Has a parcel written. `then` hears, on the writer's thread, when it is lasting, or why it is not.
    pub(crate) fn append(&self, parcel: &Parcel, then: impl FnOnce(Result<Entry, Arc<str>>) + Send + 'static) {
        let then = Arc::new(parking_lot::Mutex::new(Some(then)));
        let (store, called) = (Arc::downgrade(self.spool.store()), Arc::clone(&then));
        let written = move |written: Result<_, super::store::Unwritten>| {
            let Some(then) = called.lock().take() else { return };
            match (written, store.upgrade()) {
                (Ok(slot), Some(store)) => then(Ok(Entry(Ticket::new(store, slot)))),
                (Err(unwritten), _) => then(Err(unwritten.why)),
                (_, None) => then(Err("it is closed".into())),
            }
        };
        let is_open = self.spool.store().append(Prepared::of(parcel, now()), true, Box::new(written)).is_some();
        if !is_open && let Some(then) = then.lock().take() {
            then(Err("it is closed".into()));
        }
    }

    /// Waits until all that was appended is written.
    pub(crate) fn flush(&self) {
        self.spool.store().flush();
    }

    /// Bytes of its files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.spool.store().disk_bytes()
    }
}
