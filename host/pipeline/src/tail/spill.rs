//! Where packed chunks go when memory is short: one file for each shard, of places that are used again. It holds nothing over a restart.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

/// Places begin at multiples of this.
const UNIT: u64 = 4096;

/// A shard's file. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Spill(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: File,
    /// How many units it may have.
    most: u64,
    space: Mutex<Space>,
}

/// Which of its units are free.
#[derive(Debug, Default)]
struct Space {
    /// How many there are.
    end: u64,
    used: u64,
    /// Start and length of what is free between them, in order.
    free: Vec<(u64, u64)>,
}

/// A chunk on the disk. Its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Spilled {
    spill: Spill,
    unit: u64,
    len: usize,
    check: u32,
}

impl Spill {
    /// Makes the file, which goes with the process whatever happens, for at most `most` bytes.
    pub(super) fn create(folder: &Path, most: u64) -> io::Result<Self> {
        let file = unnamed(folder)?;
        Ok(Self(Arc::new(Inner { file, most: most / UNIT, space: Mutex::default() })))
    }

    /// Writes a chunk; `None` where there is no room left.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<Option<Spilled>> {
        let units = units(bytes.len());
        let Some(unit) = self.0.space.lock().take(units, self.0.most) else { return Ok(None) };
        let spilled = Spilled { spill: self.clone(), unit, len: bytes.len(), check: crc32fast::hash(bytes) };
        self.0.file.write_all_at(bytes, unit * UNIT)?;
        Ok(Some(spilled))
    }

    /// Loses what is in it.
    #[cfg(test)]
    pub(super) fn spoil(&self) {
        self.0.file.set_len(0).expect("its file can be cut off");
    }

    /// How many bytes are in use.
    pub(super) fn used(&self) -> u64 {
        self.0.space.lock().used * UNIT
    }
}

impl Spilled {
    /// Reads it back.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        self.spill.0.file.read_exact_at(&mut bytes, self.unit * UNIT)?;
        if crc32fast::hash(&bytes) != self.check {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum is another"));
        }
        Ok(bytes)
    }
}

impl Drop for Spilled {
    fn drop(&mut self) {
        let mut space = self.spill.0.space.lock();
        space.give_back(self.unit, units(self.len));
        if space.used == 0 {
            *space = Space::default();
            // Given back to the file system at once; where that fails the places are used again.
            let _kept = self.spill.0.file.set_len(0);
        }
    }
}

fn units(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(UNIT).max(1)
}

/// A file without a name, so that a killed process leaves nothing behind.
fn unnamed(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!("spill-{}-{:016x}", std::process::id(), rand::random::<u64>()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

impl Space {
    fn take(&mut self, units: u64, most: u64) -> Option<u64> {
        let found = self.free.iter().position(|(_, len)| *len >= units);
        let unit = match found {
            Some(at) => {
                let (start, len) = self.free[at];
                if len == units {
                    self.free.remove(at);
                } else {
                    self.free[at] = (start + units, len - units);
                }
                start
            }
            None if self.end + units <= most => {
                self.end += units;
                self.end - units
            }
            None => return None,
        };
        self.used += units;
        Some(unit)
    }

    fn give_back(&mut self, unit: u64, units: u64) {
        self.used -= units;
        let at = self.free.partition_point(|(start, _)| *start < unit);
        self.free.insert(at, (unit, units));
        if at + 1 < self.free.len() && unit + units == self.free[at + 1].0 {
            self.free[at].1 += self.free.remove(at + 1).1;
        }
        if at > 0 && self.free[at - 1].0 + self.free[at - 1].1 == unit {
            self.free[at - 1].1 += self.free.remove(at).1;
        }
        if let Some((start, len)) = self.free.last().copied()
            && start + len == self.end
        {
            self.end = start;
            self.free.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_written_is_read_back_and_its_place_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::create(folder.path(), 4 * UNIT).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
        let one = spill.write(&[1; 5000]).unwrap().unwrap();
        let two = spill.write(&[2; 8000]).unwrap().unwrap();
        assert!(spill.write(&[3]).unwrap().is_none(), "it is full");
        assert_eq!((one.read().unwrap(), two.read().unwrap()), (vec![1; 5000], vec![2; 8000]));
        drop(one);
        let three = spill.write(&[3; 10]).unwrap().unwrap();
        assert_eq!((two.read().unwrap(), three.read().unwrap()), (vec![2; 8000], vec![3; 10]));
        assert_eq!(spill.used(), 3 * UNIT);
        drop((two, three));
        assert_eq!((spill.used(), spill.0.file.metadata().unwrap().len()), (0, 0));
    }

    #[test]
    fn what_was_damaged_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let spill = Spill::create(folder.path(), UNIT).unwrap();
        let one = spill.write(&[1; 100]).unwrap().unwrap();
        spill.0.file.write_all_at(&[9], 50).unwrap();
        assert_eq!(one.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    proptest! {
        #[test]
        fn places_never_overlap(steps in proptest::collection::vec((1_u64..9, any::<bool>(), any::<usize>()), 1..200)) {
            let mut space = Space::default();
            let mut taken: Vec<(u64, u64)> = Vec::new();
            for (units, gives, which) in steps {
                if gives && !taken.is_empty() {
                    let (unit, units) = taken.swap_remove(which % taken.len());
                    space.give_back(unit, units);
                } else if let Some(unit) = space.take(units, 64) {
                    prop_assert!(unit + units <= 64);
                    prop_assert!(taken.iter().all(|(start, len)| start + len <= unit || unit + units <= *start));
                    taken.push((unit, units));
                }
                prop_assert_eq!(space.used, taken.iter().map(|(_, len)| len).sum::<u64>());
                let free: u64 = space.free.iter().map(|(_, len)| len).sum();
                prop_assert_eq!(space.used + free, space.end);
            }
        }
    }
}
