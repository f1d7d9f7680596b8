//! The file that is being written. In tests it can be told to fail as disks do.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
#[cfg(test)]
use std::sync::Arc;

/// An open segment.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    #[cfg(test)]
    faults: Arc<Faults>,
}

/// How the disk fails.
#[cfg(test)]
#[derive(Debug, Default)]
pub(in super::super) struct Faults {
    /// Bytes that are still written; the rest meets a full disk.
    pub room: parking_lot::Mutex<Option<usize>>,
    /// Whether syncing fails.
    pub sync: std::sync::atomic::AtomicBool,
    /// Who looks at each step.
    pub(super) watch: parking_lot::Mutex<super::steps::Watch>,
}

impl Output {
    #[cfg(not(test))]
    pub fn new(file: File) -> Self {
        Self { file }
    }

    #[cfg(test)]
    pub fn new(file: File, faults: &Arc<Faults>) -> Self {
        Self { file, faults: Arc::clone(faults) }
    }

    /// Writes all of it at a place.
    pub fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        if let Some(room) = &mut *self.faults.room.lock() {
            if bytes.len() > *room {
                // As a real one: what fits is there.
                self.file.write_all_at(&bytes[..*room], at)?;
                *room = 0;
                return Err(io::ErrorKind::StorageFull.into());
            }
            *room -= bytes.len();
        }
        self.file.write_all_at(bytes, at)
    }

    /// Waits until what was written is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        if self.faults.sync.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(io::Error::other("the disk does not sync, as the test wants"));
        }
        self.file.sync_data()
    }

    /// Cuts off what was written behind a place.
    pub fn cut(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}
