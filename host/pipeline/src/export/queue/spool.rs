//! Which records of a queue on disk are in memory too, and which are still to be read. It outlives the queue: a reload hands it on.
//!
//! The log is one sequence. Records before the cursor are in memory, being sent, or done with; those from it on are on disk alone. Without a
//! cursor nothing is on disk alone, and what is written goes straight to the senders. A record that is written but of which
//! others have not decided yet (another destination's disk) is staged: it is not read before that.
//!
//! Invariant: each record goes to the senders once. Memory does not grow with the number of records on disk.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::super::Parcel;
use super::super::store::{Backlog, Found, HEAD, Head, Prepared, Scan, Segment, Slot, Store, Sum, Then};
use super::Ticket;
use super::disk::now;

/// How much is read at once.
const CHUNK: usize = 512 << 10;
/// How often a place is tried before the rest of its segment is given up.
const TRIES: u32 = 3;

/// The records of one store.
#[derive(Debug)]
pub(in super::super) struct Spool {
    store: Arc<Store>,
    state: Mutex<State>,
    reader: Mutex<Reader>,
    /// When the first of what is on disk alone was taken, in milliseconds since the Unix epoch; 0 while nothing is, or before it was read
    /// for the first time.
    oldest: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    cursor: Option<Cursor>,
    /// The last record that went to memory, read or not. Nothing before it is ever left to be read: the reader would come by it again.
    newest: u64,
    staged: BTreeSet<u64>,
    /// Given up before they were read.
    skipped: BTreeSet<u64>,
    /// What is on disk alone.
    unread: Sum,
    /// What an earlier run has left behind ends in this segment.
    restored: Option<u64>,
}

/// The next record to read: the first from `at` on.
#[derive(Debug, Clone)]
struct Cursor {
    segment: Arc<Segment>,
    at: u64,
    /// It is not before this.
    sequence: u64,
}

#[derive(Debug, Default)]
struct Reader {
    open: Option<Open>,
    /// One after another.
    failures: u32,
}

#[derive(Debug)]
struct Open {
    segment: u64,
    scan: Scan,
    done: HashSet<u64>,
}

/// Where a record is to be sent from.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Place {
    Memory,
    Disk,
}

/// What was read.
#[derive(Debug, Default)]
pub(in super::super) struct Piece {
    pub parcels: Vec<Read>,
    /// Spans of records that could not be read, and their bytes.
    pub lost: Sum,
    /// Uncompressed.
    pub bytes: usize,
}

/// A record in memory again.
#[derive(Debug)]
pub(in super::super) struct Read {
    pub parcel: Parcel,
    pub ticket: Ticket,
    /// When it was taken, in milliseconds since the Unix epoch.
    pub time: u64,
}

impl Spool {
    pub fn new(store: Arc<Store>, backlog: &Backlog) -> Arc<Self> {
        let mut state = State { unread: backlog.sum, ..State::default() };
        if let Some(first) = backlog.segments.first() {
            state.cursor = Some(Cursor { segment: Arc::clone(first), at: Segment::START, sequence: 0 });
            state.restored = backlog.segments.last().map(|last| last.id());
        }
        Arc::new(Self { store, state: Mutex::new(state), reader: Mutex::default(), oldest: AtomicU64::new(0) })
    }

    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Whether there is something to read.
    pub fn has_unread(&self) -> bool {
        self.state.lock().cursor.is_some()
    }

    /// Whether what comes now would come before what is on disk, or on its way there.
    pub fn is_in_use(&self) -> bool {
        let state = self.state.lock();
        state.cursor.is_some() || !state.staged.is_empty()
    }

    /// What is on disk alone.
    pub fn unread(&self) -> Sum {
        self.state.lock().unread
    }

    /// When the first of that was taken, in milliseconds since the Unix epoch, as far as it is known. Asks for no lock.
    pub fn oldest(&self) -> Option<u64> {
        Some(self.oldest.load(Ordering::Relaxed)).filter(|&time| time > 0)
    }

    /// Runs something with what is on disk alone, while nothing is published or read.
    pub fn frozen(&self, run: impl FnOnce(Sum)) {
        let state = self.state.lock();
        run(state.unread);
    }

    // === writing ===

    /// Has a record written, and then, on the writer's thread, `then` called, which must publish or abandon it. `false` if nothing is
    /// written any more, and `then` is not called.
    pub fn stage(&self, record: Prepared, sync: bool, then: Then) -> bool {
        // The lock is held so that the record is known as staged before anybody can find it in its segment.
        let mut state = self.state.lock();
        let Some(sequence) = self.store.append(record, sync, then) else { return false };
        state.staged.insert(sequence)
    }

    /// A staged record is to be sent: from memory if there is room (asked only then) and order allows it. `settle` hears which, before
    /// anything else happens to the log.
    pub fn publish(&self, slot: &Slot, items: u32, has_room: impl FnOnce() -> bool, settle: impl FnOnce(&Place)) {
        let mut state = self.state.lock();
        let sequence = slot.sequence;
        state.staged.remove(&sequence);
        let goes_to_memory = match &state.cursor {
            Some(cursor) => sequence < cursor.sequence,
            // What comes before something that is in memory goes there too.
            None => sequence < state.newest || has_room(),
        };
        let place = if goes_to_memory {
            state.newest = state.newest.max(sequence);
            Place::Memory
        } else {
            state.cursor.get_or_insert_with(|| {
                self.oldest.store(now(), Ordering::Relaxed);
                Cursor { segment: Arc::clone(&slot.segment), at: slot.at, sequence }
            });
            state.unread.records += 1;
            state.unread.items += u64::from(items);
            state.unread.bytes += slot.len as u64;
            Place::Disk
        };
        settle(&place);
    }

    /// A staged record is not to be sent.
    pub fn abandon(&self, slot: &Slot) {
        let mut state = self.state.lock();
        state.staged.remove(&slot.sequence);
        state.skipped.insert(slot.sequence);
        state.tidy();
        self.store.done([(Arc::clone(&slot.segment), slot.sequence)]);
    }

    /// A staged record was not written.
    pub fn failed(&self, sequence: u64) {
        let mut state = self.state.lock();
        state.staged.remove(&sequence);
        state.tidy();
    }

    // === reading ===

    /// Reads records until they are about `most` bytes, uncompressed, and has them `kept`. Waits for the disk.
    pub fn read(&self, most: usize, kept: impl FnOnce(Piece)) -> io::Result<()> {
        let mut reader = self.reader.lock();
        let reader = &mut *reader;
        let mut piece = Piece::default();
        let mut outcome = Ok(());
        let mut read = Sum::default();
        while piece.bytes < most {
            match self.step(reader, &mut piece, &mut read, most) {
                Ok(true) => reader.failures = 0,
                Ok(false) => {
                    reader.failures = 0;
                    break;
                }
                Err(error) => {
                    self.note_failure(reader, &error);
                    outcome = Err(error);
                    break;
                }
            }
        }
        let mut state = self.state.lock();
        state.unread.records = state.unread.records.saturating_sub(read.records);
        state.unread.items = state.unread.items.saturating_sub(read.items);
        state.unread.bytes = state.unread.bytes.saturating_sub(read.bytes);
        self.note_end(&mut state, &mut piece);
        if state.cursor.is_none() {
            reader.open = None;
            self.oldest.store(0, Ordering::Relaxed);
        }
        // Under the lock, so that nothing that is published from now on comes before it.
        kept(piece);
        outcome
    }

    /// Reads on in the cursor's segment. Answers whether there may be more.
    fn step(&self, reader: &mut Reader, piece: &mut Piece, read: &mut Sum, most: usize) -> io::Result<bool> {
        // All records before `end` that are not staged may be sent: whatever is written from now on is behind it.
        let (cursor, end, stop) = {
            let state = self.state.lock();
            let Some(cursor) = state.cursor.clone() else { return Ok(false) };
            let stop = state.staged.range(cursor.sequence..).next().copied();
            let end = cursor.segment.len();
            (cursor, end, stop)
        };
        let segment = &cursor.segment;
        let open = match &mut reader.open {
            Some(open) if open.segment == segment.id() => open,
            other => {
                let done = if segment.is_restored() { segment.done() } else { HashSet::new() };
                let scan = segment.scan(cursor.at, CHUNK)?;
                other.insert(Open { segment: segment.id(), scan, done })
            }
        };
        open.scan.go_to(cursor.at);
        open.scan.extend(end);
        let mut sequence = cursor.sequence;
        let mut is_stopped = false;
        let mut outcome = Ok(());
        while piece.bytes < most {
            let at = open.scan.at();
            let step = open.scan.next().and_then(|found| match found {
                None => Ok(false),
                Some(Found::Record { head, .. }) if stop.is_some_and(|stop| head.sequence >= stop) => {
                    is_stopped = true;
                    Ok(false)
                }
                Some(Found::Record { at, head }) => {
                    if !open.done.contains(&head.sequence) && !self.state.lock().skipped.remove(&head.sequence) {
                        self.take(segment, at, &head, &mut open.scan, piece)?;
                        read.add(&head);
                    }
                    // The next is not older, and known below unless it is in another segment.
                    self.oldest.store(head.time, Ordering::Relaxed);
                    sequence = head.sequence + 1;
                    Ok(true)
                }
                Some(Found::Damaged { at, len }) => self.set_aside(segment, at, len, &mut open.scan).map(|()| true),
                Some(Found::Torn { at }) => self.set_aside(segment, at, end - at, &mut open.scan).map(|()| true),
            });
            if is_stopped || step.is_err() {
                // It is read again, and nothing before it.
                open.scan.go_to(at);
            }
            match step {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        let at = open.scan.at();
        if outcome.is_ok() {
            // An error here is met again, and told, when it is read.
            if let Ok(Some(Found::Record { head, .. })) = open.scan.next() {
                self.oldest.store(head.time, Ordering::Relaxed);
            }
            open.scan.go_to(at);
        }
        let mut state = self.state.lock();
        state.newest = state.newest.max(sequence.saturating_sub(1));
        let is_at_end = at == segment.len() && segment.is_sealed() && !is_stopped && outcome.is_ok();
        let next = if is_at_end { self.store.next_segment(segment.id()) } else { None };
        let may_be_more = next.is_some();
        state.cursor = Some(match next {
            Some(next) => Cursor { segment: next, at: Segment::START, sequence },
            None => Cursor { at, sequence, ..cursor },
        });
        outcome.map(|()| may_be_more && !is_stopped)
    }

    /// What is gone, or what the disk will not give, is left behind; it counts as lost when all else has been read. What may pass, as too
    /// many open files do, is tried for as long as it takes.
    fn note_failure(&self, reader: &mut Reader, error: &io::Error) {
        reader.open = None;
        reader.failures += 1;
        let mut state = self.state.lock();
        let Some(cursor) = &mut state.cursor else { return };
        let is_gone = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof);
        let is_broken = error.raw_os_error() == Some(nix::libc::EIO) && reader.failures >= TRIES;
        if !is_gone && !is_broken {
            return;
        }
        let file = cursor.segment.path().display();
        reader.failures = 0;
        if is_broken && cursor.at + (CHUNK as u64) < cursor.segment.len() {
            tracing::error!(%file, at = cursor.at, bytes = CHUNK, %error, "cannot be read: what stands there is not sent");
            // Records begin again somewhere behind it.
            cursor.at += CHUNK as u64;
            return;
        }
        tracing::error!(%file, %error, "cannot be read: what is left in it is not sent");
        match self.store.next_segment(cursor.segment.id()) {
            Some(next) => *cursor = Cursor { sequence: next.id(), segment: next, at: Segment::START },
            None => cursor.at = cursor.segment.len(),
        }
    }

    fn take(&self, segment: &Arc<Segment>, at: u64, head: &Head, scan: &mut Scan, piece: &mut Piece) -> io::Result<()> {
        let body = scan.bytes(at + HEAD as u64, head.body())?;
        match head.parcel(body) {
            Ok(parcel) => {
                let slot = Slot { segment: Arc::clone(segment), sequence: head.sequence, at, len: head.len() };
                let ticket = Ticket::new(Arc::clone(&self.store), slot);
                piece.bytes += parcel.body.len();
                piece.parcels.push(Read { parcel, ticket, time: head.time });
            }
            Err(error) => {
                let whole = scan.bytes(at, head.len())?;
                piece.lost.add(head);
                self.store.set_aside(segment, at, whole, &error.to_string());
                self.store.done([(Arc::clone(segment), head.sequence)]);
            }
        }
        Ok(())
    }

    fn set_aside(&self, segment: &Segment, at: u64, len: u64, scan: &mut Scan) -> io::Result<()> {
        let bytes = scan.bytes(at, usize::try_from(len).unwrap_or(usize::MAX))?;
        self.store.set_aside(segment, at, bytes, "its head is not what was written");
        Ok(())
    }

    /// Whether everything has been read: then there is no cursor, and what should have been there and was not is lost.
    fn note_end(&self, state: &mut State, piece: &mut Piece) {
        let Some(cursor) = &state.cursor else { return };
        let is_behind_restored = state.restored.is_none_or(|last| cursor.segment.id() > last);
        let has_staged = state.staged.range(cursor.sequence..).next().is_some();
        let is_at_end = cursor.at >= cursor.segment.len() && self.store.next_segment(cursor.segment.id()).is_none();
        if is_at_end && !has_staged {
            let left = std::mem::take(&mut state.unread);
            piece.lost.records += left.records;
            piece.lost.items += left.items;
            piece.lost.bytes += left.bytes;
        } else if state.unread.records > 0 || !is_behind_restored {
            return;
        }
        state.cursor = None;
        state.restored = None;
        state.tidy();
    }
}

impl State {
    /// Forgets given up records that nobody can come by any more.
    fn tidy(&mut self) {
        let first = self.cursor.as_ref().map(|cursor| cursor.sequence);
        let least = first.into_iter().chain(self.staged.first().copied()).min();
        match least {
            Some(least) => self.skipped = self.skipped.split_off(&least),
            None => self.skipped.clear(),
        }
    }
}

#[cfg(test)]
mod tests;
