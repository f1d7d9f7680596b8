//! A log of parcels on a disk, for who holds items for longer than a queue does, and lets go of them one by one: the trace buffer.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Parcel;
use super::metrics::disk::DiskCounters;
use super::queue::{Ticket, now};
use super::store::{Found, HEAD, Head, Prepared, Scan, Segment, Slot, Store, StoreError, Unwritten};

/// What waits for the disk is not more than this: it is not keeping up.
const UNWRITTEN: usize = 32 << 20;
/// How much is read back at once.
const PIECE: usize = 4 << 20;
const CHUNK: usize = 512 << 10;

/// A folder's log.
pub(crate) struct Log {
    store: Arc<Store>,
    most: u64,
    /// What an earlier run has left: what is written now goes to other segments.
    backlog: Mutex<Backlog>,
}

#[derive(Default)]
struct Backlog {
    segments: VecDeque<Arc<Segment>>,
    /// The first of them, as far as it was read, and what of it was done with.
    open: Option<(Scan, HashSet<u64>)>,
}

/// A parcel's place in the log. Dropped, the parcel stays there, and comes back with the next start.
#[derive(Debug)]
pub(crate) struct Entry(Ticket);

impl Entry {
    /// How many bytes it has there.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// It is never needed again.
    pub(crate) fn settle(self) {
        Ticket::settle([self.0]);
    }
}

impl Log {
    /// Opens a folder, which nobody else has open, for about `most` bytes.
    pub(crate) fn open(folder: &Path, most: u64, counters: DiskCounters) -> Result<Self, StoreError> {
        let (store, backlog) = Store::open(folder, usize::try_from(most).unwrap_or(usize::MAX), counters)?;
        let backlog = Backlog { segments: backlog.segments.into(), open: None };
        Ok(Self { store, most, backlog: Mutex::new(backlog) })
    }

    /// How many bytes its files may have.
    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// Whether all that an earlier run has left was read.
    pub(crate) fn is_restored(&self) -> bool {
        self.backlog.lock().segments.is_empty()
    }

    /// Reads back some of what an earlier run has left, oldest first. Answers how many items could not be read; after an error the rest of a segment is
    /// left out. Waits for the disk.
    pub(crate) fn restore(&self, mut each: impl FnMut(Parcel, Entry)) -> io::Result<u64> {
        let mut backlog = self.backlog.lock();
        let backlog = &mut *backlog;
        let (mut bytes, mut lost) = (0, 0);
        while bytes < PIECE
            && let Some(segment) = backlog.segments.front().map(Arc::clone)
        {
            let mut kept = |parcel: Parcel, entry| {
                bytes += parcel.body.len();
                each(parcel, entry);
            };
            match self.step(&segment, &mut backlog.open, &mut kept) {
                Ok(Some(items)) => lost += items,
                Ok(None) => backlog.next(),
                Err(error) => {
                    backlog.next();
                    return Err(error);
                }
            }
        }
        Ok(lost)
    }

    /// Reads one record. `None` at the end of the segment; otherwise how many items are lost.
    fn step(
        &self,
        segment: &Arc<Segment>,
        open: &mut Option<(Scan, HashSet<u64>)>,
        each: &mut impl FnMut(Parcel, Entry),
    ) -> io::Result<Option<u64>> {
        let (scan, done) = match open {
            Some(open) => open,
            None => open.insert((segment.scan(Segment::START, CHUNK)?, segment.done())),
        };
        match scan.next()? {
            None => Ok(None),
            Some(Found::Record { head, .. }) if done.contains(&head.sequence) => Ok(Some(0)),
            Some(Found::Record { at, head }) => self.take(segment, at, &head, scan, each).map(Some),
            Some(Found::Damaged { at, len }) => self.set_aside(segment, at, len, scan),
            Some(Found::Torn { at }) => self.set_aside(segment, at, segment.len() - at, scan),
        }
    }

    fn take(
        &self,
        segment: &Arc<Segment>,
        at: u64,
        head: &Head,
        scan: &mut Scan,
        each: &mut impl FnMut(Parcel, Entry),
    ) -> io::Result<u64> {
        let body = scan.bytes(at + HEAD as u64, head.body())?;
        match head.parcel(body) {
            Ok(parcel) => {
                let slot = Slot { segment: Arc::clone(segment), sequence: head.sequence, at, len: head.len() };
                each(parcel, Entry(Ticket::new(Arc::clone(&self.store), slot)));
                Ok(0)
            }
            Err(error) => {
                let whole = scan.bytes(at, head.len())?;
                self.store.set_aside(segment, at, whole, &error.to_string());
                self.store.done([(Arc::clone(segment), head.sequence)]);
                Ok(u64::from(head.items))
            }
        }
    }

    fn set_aside(&self, segment: &Segment, at: u64, len: u64, scan: &mut Scan) -> io::Result<Option<u64>> {
        let bytes = scan.bytes(at, usize::try_from(len).unwrap_or(usize::MAX))?;
        self.store.set_aside(segment, at, bytes, "its head is not what was written");
        Ok(Some(0))
    }

    /// Why nothing can be appended now.
    pub(crate) fn refuses(&self) -> Option<String> {
        if let Some(why) = self.store.trouble() {
            return Some(format!("its disk cannot be written: {why}"));
        }
        if self.store.waiting() > UNWRITTEN {
            return Some("its disk is not keeping up".to_owned());
        }
        (self.store.disk_bytes() >= self.most).then(|| "its folder is full".to_owned())
    }

    /// Has a parcel written. `then` hears, on the writer's thread, when it is lasting, or why it is not.
    pub(crate) fn append(&self, parcel: &Parcel, then: impl FnOnce(Result<Entry, Arc<str>>) + Send + 'static) {
        let then = Arc::new(Mutex::new(Some(then)));
        let (store, called) = (Arc::downgrade(&self.store), Arc::clone(&then));
        let written = move |written: Result<Slot, Unwritten>| {
            let Some(then) = called.lock().take() else { return };
            match (written, store.upgrade()) {
                (Ok(slot), Some(store)) => then(Ok(Entry(Ticket::new(store, slot)))),
                (Err(unwritten), _) => then(Err(unwritten.why)),
                (_, None) => then(Err("it is closed".into())),
            }
        };
        let is_open = self.store.append(Prepared::of(parcel, now()), true, Box::new(written)).is_some();
        if !is_open && let Some(then) = then.lock().take() {
            then(Err("it is closed".into()));
        }
    }

    /// Waits until all that was appended is written.
    pub(crate) fn flush(&self) {
        self.store.flush();
    }

    /// Bytes of its files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.store.disk_bytes()
    }
}

impl Backlog {
    fn next(&mut self) {
        self.segments.pop_front();
        self.open = None;
    }
}
