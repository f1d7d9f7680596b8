//! A segment: one file of records, and beside it the list of those that are done with. A segment tells all about itself; no other file has to
//! agree with it. Losing the list costs duplicates, nothing else.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::scan::Scan;

/// What stands before the first record: who wrote this, the version of the format, and a check of both.
pub(super) const PREFACE: u64 = 24;
const MAGIC: &[u8; 16] = b"tracemill queue\n";
const VERSION: u32 = 1;
/// One entry of the list: a record's number within the segment, and a check of both numbers.
const ENTRY: usize = 8;

/// One segment. Named after the sequence of its first record.
#[derive(Debug)]
pub(in super::super) struct Segment {
    pub(super) id: u64,
    path: PathBuf,
    /// Up to where it holds whole records.
    len: AtomicU64,
    /// Records that are not done with. Counted by the writer alone.
    pub(super) live: AtomicU64,
    /// Nothing more is written to it.
    sealed: AtomicBool,
    /// It was here at the start.
    pub(super) restored: bool,
}

/// What the first bytes of a file say.
pub(super) enum Preface {
    Ours,
    /// Another version of the format.
    Version(u32),
    Damaged,
}

impl Segment {
    pub(super) fn new(folder: &Path, id: u64, len: u64, restored: bool) -> Self {
        let path = folder.join(format!("{id:016x}.seg"));
        let sealed = AtomicBool::new(restored);
        Self { id, path, len: AtomicU64::new(len), live: AtomicU64::new(0), sealed, restored }
    }

    /// The id that a file's name stands for.
    pub(super) fn id_of(path: &Path, extension: &str) -> Option<u64> {
        let stem = path.file_stem()?.to_str().filter(|_| path.extension().is_some_and(|known| known == extension))?;
        (stem.len() == 16).then(|| u64::from_str_radix(stem, 16).ok())?
    }

    /// The sequence of its first record.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it was here at the start.
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Where the first record is.
    pub const START: u64 = PREFACE;

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the list of what is done is.
    pub(super) fn list(&self) -> PathBuf {
        self.path.with_extension("done")
    }

    /// Up to where it may be read.
    pub fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(super) fn set_len(&self, len: u64) {
        self.len.store(len, Ordering::Release);
    }

    /// Whether nothing more is written to it.
    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    pub(super) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    /// Makes the file. What it has to begin with is [`Segment::beginning`].
    pub(super) fn create(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&self.path)
    }

    /// The preface that is written.
    pub(super) fn beginning() -> Vec<u8> {
        let mut preface = Vec::with_capacity(PREFACE as usize);
        preface.extend_from_slice(MAGIC);
        preface.extend_from_slice(&VERSION.to_le_bytes());
        preface.extend_from_slice(&crc32fast::hash(&preface).to_le_bytes());
        preface
    }

    pub(super) fn preface(file: &File) -> io::Result<Preface> {
        let mut preface = [0; PREFACE as usize];
        file.read_exact_at(&mut preface, 0)?;
        let u32_at = |at: usize| u32::from_le_bytes(preface[at..at + 4].try_into().expect("four bytes"));
        let is_whole = preface.starts_with(MAGIC) && u32_at(20) == crc32fast::hash(&preface[..20]);
        Ok(match u32_at(16) {
            _ if !is_whole => Preface::Damaged,
            VERSION => Preface::Ours,
            other => Preface::Version(other),
        })
    }

    /// Reads it from a place on.
    pub fn scan(&self, at: u64, chunk: usize) -> io::Result<Scan> {
        Ok(Scan::new(File::open(&self.path)?, at, self.len(), chunk))
    }

    // === the list of what is done ===

    /// The sequences that are done with.
    pub fn done(&self) -> HashSet<u64> {
        let mut bytes = Vec::new();
        // Without the list all is sent again, which is what a list that cannot be read means too.
        let read = File::open(self.list()).and_then(|mut file| file.read_to_end(&mut bytes));
        if let Err(error) = read
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.list().display(), %error, "cannot be read: what it names is sent again");
        }
        let entry = |entry: &[u8]| {
            let (number, check) = entry.split_at(4);
            let number = u32::from_le_bytes(number.try_into().expect("four bytes"));
            (check == self.check(number)).then(|| self.id + u64::from(number))
        };
        bytes.chunks_exact(ENTRY).filter_map(entry).collect()
    }

    /// Adds to the list. Answers the file, to be synced some time.
    pub(super) fn add_done(&self, sequences: &[u64]) -> io::Result<File> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(self.list())?;
        let mut entries = Vec::with_capacity(sequences.len() * ENTRY);
        for sequence in sequences {
            let number = u32::try_from(sequence - self.id).expect("a segment has fewer records than bytes");
            entries.extend_from_slice(&number.to_le_bytes());
            entries.extend_from_slice(&self.check(number));
        }
        // An entry that was torn is written over.
        let end = file.metadata()?.len() / ENTRY as u64 * ENTRY as u64;
        file.write_all_at(&entries, end)?;
        Ok(file)
    }

    fn check(&self, number: u32) -> [u8; 4] {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.id.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        hasher.finalize().to_le_bytes()
    }

    /// Removes both files; answers how many bytes that gave back.
    pub(super) fn remove(&self) -> io::Result<u64> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        let bytes = size(&self.path) + size(&self.list());
        // The list goes last: without it all of the segment would be sent again.
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let _none = std::fs::remove_file(self.list());
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_survives_being_torn_and_flipped_and_only_forgets() {
        let folder = tempfile::tempdir().unwrap();
        let segment = Segment::new(folder.path(), 1000, 0, true);
        assert!(segment.done().is_empty());
        segment.add_done(&[1000, 1003]).unwrap();
        segment.add_done(&[1001]).unwrap();
        let all = HashSet::from([1000, 1001, 1003]);
        assert_eq!(segment.done(), all);
        let whole = std::fs::read(segment.list()).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(segment.list(), bytes).unwrap();
            let left = segment.done();
            assert!(left.len() == 2 && left.is_subset(&all), "bit {bit}: {left:?}");
        }
        for end in 0..whole.len() {
            std::fs::write(segment.list(), &whole[..end]).unwrap();
            segment.add_done(&[1002]).unwrap();
            let left = segment.done();
            assert_eq!(left.len(), end / ENTRY + 1, "cut at {end}");
            assert!(left.contains(&1002));
        }
    }

    #[test]
    fn names_stand_for_ids() {
        let segment = Segment::new(Path::new("/q"), 0xab, 0, false);
        assert_eq!(segment.path(), Path::new("/q/00000000000000ab.seg"));
        assert_eq!(Segment::id_of(segment.path(), "seg"), Some(0xab));
        for other in ["/q/ab.seg", "/q/00000000000000ab.done", "/q/00000000000000xy.seg", "/q/lock"] {
            assert_eq!(Segment::id_of(Path::new(other), "seg"), None, "{other}");
        }
    }
}
