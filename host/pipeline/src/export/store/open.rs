//! Finds what a folder holds when a queue starts. Only the heads of records are read: bodies are looked at when they are sent.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Sum;
use super::scan::{Found, Scan};
use super::segment::{PREFACE, Preface, Segment};

/// How much is read for each head: small records come many at a time.
const CHUNK: usize = 16 << 10;

/// Bytes of damaged regions that are kept at a start.
const MOST_KEPT: u64 = 64 << 20;

/// Why a folder cannot be a queue's.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system says no.
    #[error(
        "its queue's folder {folder} cannot be used: {what}: {error}; make it a folder that this user may read and write, or name another in `queue.folder`"
    )]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What was being done.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// Somebody else works in it.
    #[error(
        "its queue's folder {0} is in use (its file `lock` is locked): end the other tracemill, or give each destination a `queue.folder` of its own"
    )]
    Locked(PathBuf),
    /// A newer version wrote it.
    #[error(
        "{file} was written by another version of tracemill (format {version}): start that version to deliver what is in it, or move the file away"
    )]
    Version {
        /// Which file.
        file: PathBuf,
        /// Its format.
        version: u32,
    },
}

/// What was found.
pub(super) struct Restored {
    /// Held as long as the queue is.
    pub lock: File,
    /// Those with records that are not done with, in order.
    pub segments: Vec<Arc<Segment>>,
    /// Of those records.
    pub sum: Sum,
    /// Of all files.
    pub disk_bytes: u64,
    /// The next sequence.
    pub next: u64,
    /// Regions of segments that hold nothing else: segment, place, bytes.
    pub damaged: Vec<(u64, u64, Vec<u8>)>,
    /// Bytes of those.
    kept: u64,
}

/// Takes a folder, making it if need be.
pub(super) fn open(folder: &Path) -> Result<Restored, StoreError> {
    let failed = |what: String| {
        let folder = folder.to_owned();
        move |error| StoreError::Io { folder, what, error }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("making it".into()))?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join("lock"));
    let lock = lock.map_err(failed("opening its file `lock`".into()))?;
    lock.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => StoreError::Locked(folder.to_owned()),
        fs::TryLockError::Error(error) => failed("locking its file `lock`".into())(error),
    })?;
    let mut ids = Vec::new();
    let mut lists = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed("listing it".into()))? {
        let path = entry.map_err(failed("listing it".into()))?.path();
        ids.extend(Segment::id_of(&path, "seg"));
        lists.extend(Segment::id_of(&path, "done").map(|id| (id, path)));
    }
    ids.sort_unstable();
    // A list without its segment was left behind by an end between two removals.
    for (_, path) in lists.iter().filter(|(id, _)| ids.binary_search(id).is_err()) {
        let _kept = fs::remove_file(path);
    }
    let mut found = Restored {
        lock,
        segments: Vec::new(),
        sum: Sum::default(),
        disk_bytes: 0,
        next: 1,
        damaged: Vec::new(),
        kept: 0,
    };
    for (i, &id) in ids.iter().enumerate() {
        let segment = Segment::new(folder, id, 0, true);
        let path = segment.path().to_owned();
        found.segment(segment, i + 1 == ids.len()).map_err(|error| match error {
            Trouble::Io(error) => failed(format!("reading {}", path.display()))(error),
            Trouble::Version(version) => StoreError::Version { file: path, version },
        })?;
    }
    Ok(found)
}

enum Trouble {
    Io(io::Error),
    Version(u32),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Restored {
    fn segment(&mut self, segment: Segment, is_newest: bool) -> Result<(), Trouble> {
        self.next = self.next.max(segment.id + 1);
        let file = File::options().read(true).write(true).open(segment.path())?;
        let len = file.metadata()?.len();
        if len < PREFACE {
            // It was being made.
            segment.remove()?;
            return Ok(());
        }
        let mut damaged = Vec::new();
        match Segment::preface(&file)? {
            Preface::Ours => {}
            Preface::Version(version) => return Err(Trouble::Version(version)),
            // Records speak for themselves.
            Preface::Damaged => self.damaged.push((segment.id, 0, Vec::new())),
        }
        let done = segment.done();
        let mut scan = Scan::new(file.try_clone()?, PREFACE, len, CHUNK);
        let mut end = len;
        let mut live = 0;
        while let Some(next) = scan.next()? {
            match next {
                Found::Record { head, .. } => {
                    self.next = self.next.max(head.sequence + 1);
                    if !done.contains(&head.sequence) {
                        live += 1;
                        self.sum.add(&head);
                    }
                }
                // What was being written when the process ended: nobody was told that it is safe.
                Found::Torn { at } if is_newest => end = at,
                Found::Damaged { at, len: bytes } if is_newest && at + bytes == len && is_zeros(&file, at, bytes)? => {
                    end = at;
                }
                Found::Torn { at } => damaged.push((at, len - at)),
                Found::Damaged { at, len } => damaged.push((at, len)),
            }
        }
        if end < len {
            tracing::info!(file = %segment.path().display(), bytes = len - end, "cut off: it was being written at the end");
            file.set_len(end)?;
        }
        if live == 0 {
            for (at, len) in damaged {
                // More than the quarantine takes is only counted: whole files may have rotted.
                let len = len.min(MOST_KEPT.saturating_sub(self.kept));
                self.kept += len;
                let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
                file.read_exact_at(&mut bytes, at)?;
                self.damaged.push((segment.id, at, bytes));
            }
            segment.remove()?;
            return Ok(());
        }
        segment.set_len(end);
        segment.live.store(live, Ordering::Relaxed);
        self.disk_bytes += end;
        self.segments.push(Arc::new(segment));
        Ok(())
    }
}

/// Where the power fails, a file may have grown without its bytes.
fn is_zeros(file: &File, at: u64, len: u64) -> io::Result<bool> {
    let mut piece = vec![0; CHUNK];
    let mut read = 0;
    while read < len {
        let most = (len - read).min(CHUNK as u64) as usize;
        file.read_exact_at(&mut piece[..most], at + read)?;
        if piece[..most].iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        read += most as u64;
    }
    Ok(true)
}
