//! What of a queue is on disk: records in segments, written by one thread of its own, read by whoever may wait for a disk.
//!
//! A segment is a file that is written once from front to back and removed when all its records are done with: no byte is written twice,
//! and the space comes back at once. Embedded stores were measured and do neither; see "Decisions" in `ARCHITECTURE.md`.
//! Knows nothing of destinations, of what is sent and in which order.
//!
//! Invariant: a record that was reported as written is there at the next start, unless it was reported as done.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::metrics::disk::DiskCounters;
use crate::log_gate::Gate;

mod open;
mod output;
mod quarantine;
mod record;
mod scan;
mod segment;
mod steps;
#[cfg(test)]
mod tests;
mod writer;

pub use open::StoreError;
#[cfg(test)]
pub(super) use output::Faults;
pub(super) use record::{HEAD, Head, Prepared};
pub(super) use scan::{Found, Scan};
pub(super) use segment::Segment;

use quarantine::Quarantine;
use writer::Writer;

/// Segments are about as large; smaller ones in small queues, so that space comes back in pieces.
const SMALLEST: u64 = 64 << 10;
const LARGEST: u64 = 64 << 20;
/// For so long nothing is tried after a disk has failed.
const PAUSE: Duration = Duration::from_millis(500);

/// One folder's records.
#[derive(Debug)]
pub(super) struct Store {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    _lock: File,
}

/// What the writer and the others share.
#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    segment_bytes: u64,
    inbox: Mutex<Inbox>,
    news: Condvar,
    segments: Mutex<BTreeMap<u64, Arc<Segment>>>,
    /// Bytes of all segments.
    disk: AtomicU64,
    /// What the gauge knows of these.
    shown: AtomicI64,
    trouble: Mutex<Option<Trouble>>,
    quarantine: Quarantine,
    counters: DiskCounters,
    warnings: Gate,
    #[cfg(test)]
    faults: Arc<Faults>,
}

#[derive(Debug, Clone)]
struct Trouble {
    what: Arc<str>,
    until: Instant,
}

#[derive(Debug, Default)]
struct Inbox {
    work: Work,
    /// Of the records that wait to be written.
    bytes: usize,
    next: u64,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Work {
    appends: Vec<Append>,
    done: Vec<(Arc<Segment>, u64)>,
    flushes: Vec<Sender<()>>,
}

/// Where a record is.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub segment: Arc<Segment>,
    pub sequence: u64,
    pub at: u64,
    pub len: usize,
}

/// A record that was not written, and why.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub sequence: u64,
    pub why: Arc<str>,
}

/// What is called on the writer's thread when a record is written, or is not.
pub(super) type Then = Box<dyn FnOnce(Result<Slot, Unwritten>) + Send>;

struct Append {
    record: Prepared,
    sequence: u64,
    /// Whether it counts as written only once it is on the disk.
    sync: bool,
    then: Then,
}

impl Append {
    fn fail(self, why: &Arc<str>) {
        (self.then)(Err(Unwritten { sequence: self.sequence, why: Arc::clone(why) }));
    }
}

impl std::fmt::Debug for Append {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Append").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

/// Records, as sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub records: u64,
    pub items: u64,
    pub bytes: u64,
}

impl Sum {
    pub fn add(&mut self, head: &Head) {
        self.records += 1;
        self.items += u64::from(head.items);
        self.bytes += head.len() as u64;
    }
}

/// What a folder held when it was opened.
#[derive(Debug)]
pub(super) struct Backlog {
    pub segments: Vec<Arc<Segment>>,
    pub sum: Sum,
}

impl Store {
    /// Opens a folder, which nobody else has open. `most` is the size of the queue.
    pub fn open(folder: &Path, most: usize, counters: DiskCounters) -> Result<(Arc<Self>, Backlog), StoreError> {
        let found = open::open(folder)?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            segment_bytes: (most as u64 / 8).clamp(SMALLEST, LARGEST),
            inbox: Mutex::new(Inbox { next: found.next, ..Inbox::default() }),
            news: Condvar::new(),
            segments: Mutex::new(found.segments.iter().map(|segment| (segment.id, Arc::clone(segment))).collect()),
            disk: AtomicU64::new(found.disk_bytes),
            shown: AtomicI64::new(0),
            trouble: Mutex::default(),
            quarantine: Quarantine::new(folder),
            counters,
            warnings: Gate::default(),
            #[cfg(test)]
            faults: Arc::default(),
        });
        for (segment, at, bytes) in &found.damaged {
            shared.set_aside(*segment, *at, bytes, "its head is not what was written");
        }
        shared.show();
        let writer = Writer::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("queue".into())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::Io { folder: folder.to_owned(), what: "starting its thread".into(), error })?;
        let backlog = Backlog { segments: found.segments, sum: found.sum };
        Ok((Arc::new(Self { shared, thread: Mutex::new(Some(thread)), _lock: found.lock }), backlog))
    }

    /// Whether there is something in a folder that a queue would send.
    pub fn has_records(folder: &Path) -> bool {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| Segment::id_of(&path, "seg").is_some())
    }

    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// Bytes of its segments.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.disk.load(Ordering::Relaxed)
    }

    pub fn counters(&self) -> &DiskCounters {
        &self.shared.counters
    }

    // === writing ===

    /// Has a record written. `None` if nothing is written any more. The number that it gets counts up.
    pub fn append(&self, record: Prepared, sync: bool, then: Then) -> Option<u64> {
        let mut inbox = self.shared.inbox.lock();
        if inbox.is_closed {
            return None;
        }
        let sequence = inbox.next;
        inbox.next += 1;
        inbox.bytes += record.len();
        inbox.work.appends.push(Append { record, sequence, sync, then });
        self.shared.news.notify_one();
        Some(sequence)
    }

    /// Bytes that wait to be written.
    pub fn waiting(&self) -> usize {
        self.shared.inbox.lock().bytes
    }

    /// Notes that records are never to be sent again.
    pub fn done(&self, records: impl IntoIterator<Item = (Arc<Segment>, u64)>) {
        self.shared.inbox.lock().work.done.extend(records);
        self.shared.news.notify_one();
    }

    /// What keeps records from being written now. After a while they are tried again, and this is nothing until that fails too.
    pub fn trouble(&self) -> Option<Arc<str>> {
        let trouble = self.shared.trouble.lock();
        trouble.as_ref().filter(|trouble| trouble.until > Instant::now()).map(|trouble| Arc::clone(&trouble.what))
    }

    /// Why the last record was not written, until one is.
    pub fn last_trouble(&self) -> Option<Arc<str>> {
        self.shared.trouble.lock().as_ref().map(|trouble| Arc::clone(&trouble.what))
    }

    /// Waits until all that was asked for is written and lasting.
    pub fn flush(&self) {
        let (sender, flushed) = channel();
        {
            let mut inbox = self.shared.inbox.lock();
            if inbox.is_closed {
                return;
            }
            inbox.work.flushes.push(sender);
        }
        self.shared.news.notify_one();
        let _ended = flushed.recv();
    }

    // === reading ===

    /// The segment behind this one.
    pub fn next_segment(&self, id: u64) -> Option<Arc<Segment>> {
        self.shared.segments.lock().range(id + 1..).next().map(|(_, segment)| Arc::clone(segment))
    }

    /// Sets bytes aside that are no record, counted.
    pub fn set_aside(&self, segment: &Segment, at: u64, bytes: &[u8], why: &str) {
        self.shared.set_aside(segment.id, at, bytes, why);
    }

    #[cfg(test)]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.inbox.lock().is_closed = true;
        self.shared.news.notify_one();
        if let Some(thread) = self.thread.lock().take()
            // The last to let go may be the writer itself, at the end of a group.
            && thread.thread().id() != std::thread::current().id()
        {
            let _panicked = thread.join();
        }
    }
}

impl Shared {
    /// What is to be done; `None` when the store is closed and nothing is.
    fn next(&self, by: Option<Instant>) -> Option<Work> {
        let mut inbox = self.inbox.lock();
        loop {
            let work = &mut inbox.work;
            if !(work.appends.is_empty() && work.done.is_empty() && work.flushes.is_empty()) {
                inbox.bytes = 0;
                return Some(std::mem::take(&mut inbox.work));
            }
            if inbox.is_closed {
                return None;
            }
            match by {
                None => self.news.wait(&mut inbox),
                Some(by) if self.news.wait_until(&mut inbox, by).timed_out() => return Some(Work::default()),
                Some(_) => {}
            }
        }
    }

    /// Nothing is written any more. What waits hears that nobody will.
    fn close(&self) {
        let mut inbox = self.inbox.lock();
        inbox.is_closed = true;
        let work = std::mem::take(&mut inbox.work);
        drop(inbox);
        let why: Arc<str> = "the queue is closed".into();
        for append in work.appends {
            append.fail(&why);
        }
    }

    fn succeeded(&self, took: Duration) {
        self.counters.commits.inc();
        self.counters.commit_duration.observe(took.as_secs_f64());
        if let Some(trouble) = self.trouble.lock().take() {
            tracing::info!(folder = %self.folder.display(), was = %trouble.what, "the queue's disk is written to again");
        }
        self.show();
    }

    fn failed(&self, error: &io::Error) -> Arc<str> {
        let what: Arc<str> = format!("{error} (folder {})", self.folder.display()).into();
        self.counters.failed_commits.inc();
        *self.trouble.lock() = Some(Trouble { what: Arc::clone(&what), until: Instant::now() + PAUSE });
        self.complain(error);
        what
    }

    fn complain(&self, error: &io::Error) {
        if let Some(unsaid) = self.warnings.open() {
            tracing::error!(folder = %self.folder.display(), %error, unsaid, "the queue's disk cannot be written to");
        }
    }

    fn set_aside(&self, segment: u64, at: u64, bytes: &[u8], why: &str) {
        self.counters.quarantined.inc();
        let kept = self.quarantine.keep(segment, at, bytes);
        let kept = match &kept {
            Ok(Some(file)) => file.display().to_string(),
            Ok(None) => "nowhere: the quarantine is full".to_owned(),
            Err(error) => format!("nowhere: {error}"),
        };
        if let Some(unsaid) = self.warnings.open() {
            let folder = self.folder.display();
            tracing::error!(%folder, segment = format!("{segment:016x}"), at, bytes = bytes.len(), why, kept, unsaid,
                "a record of the queue is damaged and is set aside");
        }
    }

    fn show(&self) {
        self.show_as(self.disk.load(Ordering::Relaxed) as i64);
    }

    /// Others may count to the same gauge: those of a destination's other queues.
    fn show_as(&self, bytes: i64) {
        self.counters.disk_bytes.inc_by(bytes - self.shown.swap(bytes, Ordering::Relaxed));
    }
}
