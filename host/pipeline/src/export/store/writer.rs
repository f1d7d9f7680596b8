//! The thread that writes: everything that waits when it comes by becomes one group, with one write and one sync. What comes in the
//! meantime is the next group; nothing waits on a timer.
//!
//! Invariant: nobody is told that a record is safe unless the sync that followed its write went well. After one that failed, the segment is
//! never written to or synced again: a second sync proves nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::output::Output;
use super::segment::{PREFACE, Segment};
use super::steps::Step;
use super::{Append, Shared, Slot};

/// Bytes that are written at once.
const GROUP: usize = 8 << 20;
/// How long what is done may be known to the page cache alone. A crash of the machine brings back so much.
const LAZILY: Duration = Duration::from_secs(1);

/// A segment of which nothing is left is kept for so long, for what comes next: making a file takes a sync too.
const EMPTY_FOR: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 5000 });

/// The writer's state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    active: Option<Active>,
    buffer: Vec<u8>,
    /// Lists that were added to, to be synced by then.
    unsynced: BTreeMap<u64, File>,
    sync_by: Option<Instant>,
}

struct Active {
    segment: Arc<Segment>,
    output: Output,
    /// When it was last written to.
    written: Instant,
    /// Whether there is something that was not synced.
    unsynced: bool,
}

impl Writer {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, active: None, buffer: Vec::new(), unsynced: BTreeMap::new(), sync_by: None }
    }

    /// Writes until the store is closed and nothing waits.
    pub fn run(mut self) {
        let _end = End(Arc::clone(&self.shared));
        while let Some(work) = self.shared.next(self.sync_by.into_iter().chain(self.empty_by()).min()) {
            self.append(work.appends);
            self.forget(work.done);
            let is_flushed = !work.flushes.is_empty();
            if self.empty_by().is_some_and(|by| is_flushed || by <= Instant::now()) {
                self.seal();
            }
            if is_flushed {
                self.sync_active();
            }
            if is_flushed || self.sync_by.is_some_and(|by| by <= Instant::now()) {
                self.sync_lists();
            }
            self.shared.show();
            for flushed in work.flushes {
                let _gone = flushed.send(());
            }
        }
        self.seal();
        self.sync_lists();
        // Nobody has them open any more.
        self.shared.show_as(0);
    }

    fn append(&mut self, appends: Vec<Append>) {
        let mut rest = appends.into_iter().peekable();
        let mut failed: Option<Arc<str>> = None;
        while rest.peek().is_some() {
            if let Some(error) = &failed {
                for append in rest.by_ref() {
                    append.fail(error);
                }
                return;
            }
            // Whatever fits into the segment, and one in any case.
            let mut bytes = self.active.as_ref().map_or(PREFACE, |active| active.segment.len());
            let mut group = Vec::new();
            let mut size = 0;
            while let Some(next) = rest.peek() {
                let len = next.record.len();
                if !group.is_empty() && (bytes + len as u64 > self.shared.segment_bytes || size + len > GROUP) {
                    break;
                }
                bytes += len as u64;
                size += len;
                group.extend(rest.next());
            }
            let started = Instant::now();
            match self.write(&group) {
                Ok(slots) => {
                    self.shared.succeeded(started.elapsed());
                    for (append, slot) in group.into_iter().zip(slots) {
                        (append.then)(Ok(slot));
                    }
                    self.shared.reached(Step::Answered);
                }
                Err(error) => {
                    let error = self.shared.failed(&error);
                    for append in group {
                        append.fail(&error);
                    }
                    failed = Some(error);
                }
            }
            let is_large = |active: &Active| active.segment.len() >= self.shared.segment_bytes;
            if self.active.as_ref().is_some_and(is_large) {
                self.seal();
            }
        }
    }

    /// Writes a group, all of it or nothing.
    fn write(&mut self, group: &[Append]) -> io::Result<Vec<Slot>> {
        let Some(first) = group.first() else { return Ok(Vec::new()) };
        if self.active.is_none() {
            self.active = Some(self.open(first.sequence)?);
        }
        let active = self.active.as_mut().expect("it was just opened");
        let start = active.segment.len();
        self.buffer.clear();
        let mut slots = Vec::with_capacity(group.len());
        for append in group {
            slots.push(Slot {
                segment: Arc::clone(&active.segment),
                sequence: append.sequence,
                at: start + self.buffer.len() as u64,
                len: append.record.len(),
            });
            append.record.write(append.sequence, &mut self.buffer);
        }
        if let Err(error) = active.output.write(&self.buffer, start) {
            // What came before is safe. A full disk has room again when that is done with: nothing more may be added to it.
            let _left = active.output.cut(start);
            self.seal();
            return Err(error);
        }
        self.shared.reached(Step::Written);
        let syncs = group.iter().any(|append| append.sync);
        active.unsynced = !syncs;
        if syncs && let Err(error) = active.output.sync() {
            // Cut off as far as that goes: what comes back of it after a crash was refused, and is sent twice at worst.
            let _left = active.output.cut(start);
            self.seal();
            return Err(error);
        }
        self.shared.reached(Step::Synced);
        active.written = Instant::now();
        active.segment.live.fetch_add(group.len() as u64, Ordering::Relaxed);
        active.segment.set_len(start + self.buffer.len() as u64);
        self.shared.disk.fetch_add(self.buffer.len() as u64, Ordering::Relaxed);
        self.buffer.shrink_to(GROUP);
        Ok(slots)
    }

    fn open(&self, id: u64) -> io::Result<Active> {
        // Somebody may have tidied up.
        std::fs::create_dir_all(&self.shared.folder)?;
        let segment = Arc::new(Segment::new(&self.shared.folder, id, PREFACE, false));
        let file = segment.create()?;
        self.shared.reached(Step::Made);
        #[cfg(not(test))]
        let output = Output::new(file);
        #[cfg(test)]
        let output = Output::new(file, &self.shared.faults);
        let begun = output.write(&Segment::beginning(), 0);
        self.shared.reached(Step::Begun);
        // A file that its folder does not know of is gone after a crash.
        if let Err(error) = begun.and_then(|()| File::open(&self.shared.folder)?.sync_all()) {
            // Without its beginning it would only be in the way.
            let _left = segment.remove();
            return Err(error);
        }
        self.shared.reached(Step::Listed);
        self.shared.disk.fetch_add(PREFACE, Ordering::Relaxed);
        self.shared.segments.lock().insert(id, Arc::clone(&segment));
        Ok(Active { segment, output, written: Instant::now(), unsynced: false })
    }

    fn seal(&mut self) {
        self.sync_active();
        if let Some(active) = self.active.take() {
            active.segment.seal();
            self.remove_if_done(&active.segment);
        }
    }

    /// Makes lasting what was written without anybody waiting for that.
    fn sync_active(&mut self) {
        let Some(active) = self.active.as_mut().filter(|active| active.unsynced) else { return };
        active.unsynced = false;
        if let Err(error) = active.output.sync() {
            self.shared.complain(&error);
        }
    }

    /// Notes what is done, and removes segments of which nothing is left.
    fn forget(&mut self, mut done: Vec<(Arc<Segment>, u64)>) {
        done.sort_unstable_by_key(|(segment, sequence)| (segment.id, *sequence));
        for of_one in done.chunk_by(|one, other| one.0.id == other.0.id) {
            let segment = &of_one[0].0;
            let left = segment.live.fetch_sub(of_one.len() as u64, Ordering::Relaxed) - of_one.len() as u64;
            if left == 0 && segment.is_sealed() {
                self.remove_if_done(segment);
                continue;
            }
            let sequences: Vec<u64> = of_one.iter().map(|(_, sequence)| *sequence).collect();
            match segment.add_done(&sequences) {
                Ok(file) => {
                    self.shared.reached(Step::Noted);
                    self.unsynced.insert(segment.id, file);
                    self.sync_by.get_or_insert_with(|| Instant::now() + LAZILY);
                }
                // They would be sent again after a restart: no reason to stop.
                Err(error) => self.shared.complain(&error),
            }
        }
    }

    fn remove_if_done(&mut self, segment: &Segment) {
        if segment.live.load(Ordering::Relaxed) > 0 {
            return;
        }
        self.unsynced.remove(&segment.id);
        match segment.remove() {
            Ok(_) => {
                self.shared.reached(Step::Removed);
                self.shared.segments.lock().remove(&segment.id);
                self.shared.disk.fetch_sub(segment.len(), Ordering::Relaxed);
                self.sync_by.get_or_insert_with(|| Instant::now() + LAZILY);
            }
            Err(error) => self.shared.complain(&error),
        }
    }

    /// When the segment that is written to goes because nothing in it is left: so an idle queue leaves nothing behind.
    fn empty_by(&self) -> Option<Instant> {
        let active = self.active.as_ref()?;
        (active.segment.live.load(Ordering::Relaxed) == 0).then_some(active.written + EMPTY_FOR)
    }

    /// Makes lasting what is done, and that segments are gone.
    fn sync_lists(&mut self) {
        if self.sync_by.take().is_none() {
            return;
        }
        for (_, file) in std::mem::take(&mut self.unsynced) {
            // Without it, more is sent twice after a crash of the machine.
            let _lost = file.sync_data();
        }
        let _lost = File::open(&self.shared.folder).and_then(|folder| folder.sync_all());
    }
}

/// However the thread ends, nobody waits for it in vain.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}
