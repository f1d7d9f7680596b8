//! What on disk is no record any more is set aside, for people to look at: so much of it, and no more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

/// Bytes that are kept; what is beyond is counted and let go.
const MOST: u64 = 64 << 20;

/// The folder `quarantine` beside the segments.
#[derive(Debug)]
pub(super) struct Quarantine {
    folder: PathBuf,
    bytes: Mutex<Option<u64>>,
}

impl Quarantine {
    pub fn new(queue: &Path) -> Self {
        Self { folder: queue.join("quarantine"), bytes: Mutex::new(None) }
    }

    /// Keeps bytes under the place where they stood. Answers where they are now, if they are.
    pub fn keep(&self, segment: u64, at: u64, bytes: &[u8]) -> io::Result<Option<PathBuf>> {
        let mut kept = self.bytes.lock();
        let before = *kept.get_or_insert_with(|| size(&self.folder));
        let file = self.folder.join(format!("{segment:016x}-{at}.bin"));
        // After a restart the same bytes may be found once more.
        let replaced = fs::metadata(&file).map_or(0, |meta| meta.len());
        let after = before - replaced.min(before) + bytes.len() as u64;
        if after > MOST {
            return Ok(None);
        }
        fs::create_dir_all(&self.folder)?;
        fs::write(&file, bytes)?;
        *kept = Some(after);
        Ok(Some(file))
    }
}

fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_is_bounded_also_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let half = vec![1; MOST as usize / 2];
        let quarantine = Quarantine::new(folder.path());
        let kept = quarantine.keep(1, 24, &half).unwrap().unwrap();
        assert_eq!(fs::read(kept).unwrap(), half);
        // The same once more takes no more room.
        assert!(quarantine.keep(1, 24, &half).unwrap().is_some());
        let again = Quarantine::new(folder.path());
        assert!(again.keep(2, 24, &half).unwrap().is_some());
        assert!(again.keep(3, 24, b"x").unwrap().is_none());
        assert!(Quarantine::new(folder.path()).keep(3, 24, b"x").unwrap().is_none());
    }
}
