//! Which traces were decided, and how, in files: known again after a restart. The oldest files go when newer ones hold as much as is to be remembered.
//!
//! A file is a row of blocks, each with its length and checksum; a block that was not written to its end, and what follows it, counts for nothing.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use otlp::edit::Sampling;
use parking_lot::Mutex;

use super::key::Key;
use super::verdict::{Fate, Mark, Verdict};

const PREFIX: &str = "decisions-";
/// Length and checksum.
const HEAD: usize = 8;
/// No block is larger.
const MOST: usize = 16 << 20;

/// With more, as of rates that change by the second, another file begins.
const MOST_VERDICTS: usize = 1024;

const DROPPED: u8 = 0;
const KEPT: u8 = 1;
/// Says what a verdict's number stands for in this file.
const VERDICT: u8 = 2;

/// The folder's files, shared by the shards.
#[derive(Debug)]
pub(super) struct Journals {
    folder: PathBuf,
    /// Bytes of all files together with which nothing has to be remembered longer.
    most: u64,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    next: u64,
    /// Oldest first, with their sizes.
    old: Vec<(u64, u64)>,
}

/// What one shard writes.
#[derive(Debug)]
pub(super) struct Journal {
    journals: Arc<Journals>,
    open: Option<Open>,
    /// A file is about as large.
    share: u64,
    block: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    file: File,
    bytes: u64,
    /// The verdicts that it has told, in the order of their numbers: there are few.
    known: Vec<Arc<Verdict>>,
}

impl Journals {
    /// Opens a folder that remembers about so many decisions.
    pub(super) fn open(folder: &Path, decisions: u64) -> io::Result<Arc<Self>> {
        std::fs::create_dir_all(folder)?;
        let mut old = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| u64::from_str_radix(name.strip_prefix(PREFIX)?, 16).ok());
            if let Some(number) = number {
                old.push((number, entry.metadata()?.len()));
            }
        }
        old.sort_unstable();
        let next = old.last().map_or(0, |(number, _)| number + 1);
        let most = decisions * (Key::BYTES as u64 + 5);
        Ok(Arc::new(Self { folder: folder.to_owned(), most, files: Mutex::new(Files { next, old }) }))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells all decisions that are known, the oldest first.
    pub(super) fn read(&self, mut each: impl FnMut(Key, Option<&Verdict>)) -> io::Result<()> {
        let files: Vec<u64> = self.files.lock().old.iter().map(|(number, _)| *number).collect();
        for number in files {
            let mut file = File::open(self.path(number))?;
            let mut verdicts = HashMap::new();
            loop {
                let is_read = match next_block(&mut file)? {
                    Next::End => break,
                    Next::Block(block) => read_block(&block, &mut verdicts, &mut each).is_some(),
                    Next::Damaged => false,
                };
                if !is_read {
                    tracing::warn!(file = %self.path(number).display(), "decisions that cannot be read are left out");
                    break;
                }
            }
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{number:016x}"))
    }

    fn begin(&self) -> io::Result<(u64, File)> {
        let number = {
            let mut files = self.files.lock();
            files.next += 1;
            files.next - 1
        };
        Ok((number, File::options().write(true).create_new(true).open(self.path(number))?))
    }

    /// A file is as large as it becomes: older ones may go.
    fn ended(&self, number: u64, bytes: u64) {
        let mut files = self.files.lock();
        files.old.push((number, bytes));
        files.old.sort_unstable();
        while let Some(&(oldest, size)) = files.old.first() {
            let rest: u64 = files.old.iter().map(|(_, size)| size).sum::<u64>() - size;
            if rest < self.most {
                return;
            }
            files.old.remove(0);
            if let Err(error) = std::fs::remove_file(self.path(oldest)) {
                tracing::warn!(%error, file = %self.path(oldest).display(), "an old file of decisions stays");
            }
        }
    }
}

impl Journal {
    /// Of one of so many shards.
    pub(super) fn new(journals: Arc<Journals>, shards: usize) -> Self {
        let share = (journals.most / shards as u64 / 4).max(64 << 10);
        Self { journals, open: None, share, block: Vec::new() }
    }

    /// Writes decisions; they outlive the process from then on.
    pub(super) fn write<'d>(&mut self, decisions: impl Iterator<Item = (Key, &'d Arc<Verdict>)>) -> io::Result<()> {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        block.resize(HEAD, 0);
        let open = if let Some(open) = &mut self.open {
            open
        } else {
            let (number, file) = self.journals.begin()?;
            self.open.insert(Open { number, file, bytes: 0, known: Vec::new() })
        };
        let told = open.known.len();
        for (key, verdict) in decisions {
            match verdict.fate {
                Fate::Drop => block.push(DROPPED),
                Fate::Keep(_) => {
                    let number = open.number_of(verdict, &mut block);
                    block.push(KEPT);
                    block.extend_from_slice(&number.to_le_bytes());
                }
            }
            block.extend_from_slice(&key.to_bytes());
        }
        let written = if block.len() > HEAD { open.append(&mut block) } else { Ok(()) };
        self.block = block;
        // A file goes on behind what it holds whole: with a full disk there would be another one for each turn.
        let is_broken = written.is_err() && open.take_back(told).is_err();
        if is_broken || open.bytes >= self.share || open.known.len() >= MOST_VERDICTS {
            self.end();
        }
        written
    }

    fn end(&mut self) {
        if let Some(Open { number, bytes, .. }) = self.open.take() {
            self.journals.ended(number, bytes);
        }
    }
}

impl Open {
    fn append(&mut self, block: &mut [u8]) -> io::Result<()> {
        let body = &block[HEAD..];
        let (len, check) = (body.len() as u32, crc32fast::hash(body));
        block[..4].copy_from_slice(&len.to_le_bytes());
        block[4..HEAD].copy_from_slice(&check.to_le_bytes());
        self.file.write_all(block)?;
        self.bytes += block.len() as u64;
        Ok(())
    }

    /// What was begun behind its blocks is not there, nor are verdicts known but the first `told`.
    fn take_back(&mut self, told: usize) -> io::Result<()> {
        self.known.truncate(told);
        self.file.set_len(self.bytes)?;
        self.file.seek(SeekFrom::Start(self.bytes)).map(drop)
    }

    /// A verdict's number in this file, which is told there first.
    fn number_of(&mut self, verdict: &Arc<Verdict>, block: &mut Vec<u8>) -> u32 {
        if let Some(at) = self.known.iter().rposition(|known| known == verdict) {
            return at as u32;
        }
        let number = self.known.len() as u32;
        block.push(VERDICT);
        block.extend_from_slice(&number.to_le_bytes());
        put_verdict(verdict, block);
        self.known.push(Arc::clone(verdict));
        number
    }
}

/// What comes next in a file.
#[derive(Debug, PartialEq)]
enum Next {
    Block(Vec<u8>),
    /// Nothing, or what was being written when the process ended: a length that was damaged may look like that.
    End,
    Damaged,
}

fn next_block(file: &mut File) -> io::Result<Next> {
    let mut head = [0; HEAD];
    if !read_whole(file, &mut head)? {
        return Ok(Next::End);
    }
    let [len, check] = [0, 4].map(|at| u32::from_le_bytes(head[at..at + 4].try_into().expect("4 bytes")));
    if len as usize > MOST {
        return Ok(Next::Damaged);
    }
    let mut body = vec![0; len as usize];
    if !read_whole(file, &mut body)? {
        return Ok(Next::End);
    }
    Ok(if crc32fast::hash(&body) == check { Next::Block(body) } else { Next::Damaged })
}

fn read_whole(file: &mut File, out: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(out) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// `None` where it is no block of ours.
fn read_block(
    mut bytes: &[u8],
    verdicts: &mut HashMap<u32, Verdict>,
    each: &mut impl FnMut(Key, Option<&Verdict>),
) -> Option<()> {
    let bytes = &mut bytes;
    while !bytes.is_empty() {
        match take::<1>(bytes)? {
            [DROPPED] => each(Key::from_bytes(take(bytes)?), None),
            [KEPT] => {
                let number = u32::from_le_bytes(take(bytes)?);
                let key = Key::from_bytes(take(bytes)?);
                each(key, Some(verdicts.get(&number)?));
            }
            [VERDICT] => {
                let number = u32::from_le_bytes(take(bytes)?);
                verdicts.insert(number, read_verdict(bytes)?);
            }
            _ => return None,
        }
    }
    Some(())
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

const LEAVE: u8 = 0;
const EQUALIZING: u8 = 1;
const PROPORTIONAL: u8 = 2;
const CHOSEN: u8 = 3;
const UNKNOWN: u8 = 4;

fn put_verdict(verdict: &Verdict, out: &mut Vec<u8>) {
    let Fate::Keep(mark) = verdict.fate else { unreachable!("verdicts of dropped traces are not written") };
    let (kind, number) = match mark {
        Mark::Leave => (LEAVE, 0.0),
        Mark::Sampled { probability, how: Sampling::Equalizing } => (EQUALIZING, probability),
        Mark::Sampled { probability, how: Sampling::Proportional } => (PROPORTIONAL, probability),
        Mark::Chosen(Some(probability)) => (CHOSEN, probability),
        Mark::Chosen(None) => (UNKNOWN, 0.0),
    };
    out.push(kind);
    out.extend_from_slice(&number.to_bits().to_le_bytes());
    for text in [&verdict.plugin, &verdict.reason] {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

fn read_verdict(bytes: &mut &[u8]) -> Option<Verdict> {
    let [kind] = take(bytes)?;
    let number = f64::from_bits(u64::from_le_bytes(take(bytes)?));
    let mut text = || {
        let len = u32::from_le_bytes(take(bytes)?) as usize;
        let (text, rest) = bytes.split_at_checked(len)?;
        *bytes = rest;
        Some(std::str::from_utf8(text).ok()?.into())
    };
    let (plugin, reason) = (text()?, text()?);
    let probability = (0.0..=1.0).contains(&number).then_some(number);
    let mark = match kind {
        LEAVE => Mark::Leave,
        EQUALIZING => Mark::Sampled { probability: probability?, how: Sampling::Equalizing },
        PROPORTIONAL => Mark::Sampled { probability: probability?, how: Sampling::Proportional },
        CHOSEN => Mark::Chosen(Some(probability?)),
        UNKNOWN => Mark::Chosen(None),
        _ => return None,
    };
    Some(Verdict { plugin, reason, fate: Fate::Keep(mark) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(reason: &str, fate: Fate) -> Arc<Verdict> {
        Arc::new(Verdict { plugin: "p".into(), reason: reason.into(), fate })
    }

    fn key(number: u64) -> Key {
        Key { tenant: number % 3, id: (u128::from(number)).to_be_bytes() }
    }

    fn read(folder: &Path) -> Vec<(Key, Option<Verdict>)> {
        let mut all = Vec::new();
        Journals::open(folder, 1000).unwrap().read(|key, verdict| all.push((key, verdict.cloned()))).unwrap();
        all
    }

    #[test]
    fn what_was_written_is_known_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let marks = [
            Mark::Leave,
            Mark::Sampled { probability: 0.25, how: Sampling::Equalizing },
            Mark::Sampled { probability: 1.0, how: Sampling::Proportional },
            Mark::Chosen(Some(0.5)),
            Mark::Chosen(None),
        ];
        let mut verdicts: Vec<_> = marks.into_iter().map(|mark| verdict("kept", Fate::Keep(mark))).collect();
        verdicts.push(verdict("dropped", Fate::Drop));
        let journals = Journals::open(folder.path(), 1000).unwrap();
        let mut expected = Vec::new();
        for shard in 0..2 {
            let mut journal = Journal::new(Arc::clone(&journals), 2);
            for round in 0..3 {
                let number = |at: usize| key(shard * 1000 + round * 100 + at as u64);
                journal.write(verdicts.iter().enumerate().map(|(at, verdict)| (number(at), verdict))).unwrap();
                for (at, verdict) in verdicts.iter().enumerate() {
                    let is_kept = verdict.fate != Fate::Drop;
                    expected.push((number(at), is_kept.then(|| Verdict::clone(verdict))));
                }
            }
        }
        assert_eq!(read(folder.path()), expected);
    }

    #[test]
    fn the_oldest_files_go_when_newer_ones_hold_enough() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::open(folder.path(), 10_000).unwrap();
        let mut journal = Journal::new(Arc::clone(&journals), 1);
        let dropped = verdict("dropped", Fate::Drop);
        for number in 0..1000 {
            journal.write((0..100).map(|at| (key(number * 100 + at), &dropped))).unwrap();
        }
        let known = read(folder.path());
        assert!(known.len() >= 10_000 && known.len() < 25_000, "{}", known.len());
        assert_eq!(known.last().unwrap().0, key(99_999));
        assert!(std::fs::read_dir(folder.path()).unwrap().count() < 10);
    }

    #[test]
    fn what_could_not_be_written_whole_is_taken_back_and_the_file_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::open(folder.path(), 1000).unwrap();
        let mut journal = Journal::new(Arc::clone(&journals), 1);
        let [first, second] = ["first", "second"].map(|reason| verdict(reason, Fate::Keep(Mark::Leave)));
        journal.write([(key(1), &first)].into_iter()).unwrap();
        let open = journal.open.as_mut().unwrap();
        // As a disk does that becomes full in the middle of a block.
        open.known.push(Arc::clone(&second));
        open.file.write_all(&[7; 20]).unwrap();
        open.take_back(1).unwrap();
        journal.write([(key(2), &second)].into_iter()).unwrap();
        let known: Vec<_> =
            read(folder.path()).into_iter().map(|(key, verdict)| (key, verdict.unwrap().reason)).collect();
        assert_eq!(known, [(key(1), "first".into()), (key(2), "second".into())]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_block_that_was_not_written_to_its_end_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journals = Journals::open(folder.path(), 1000).unwrap();
        let mut journal = Journal::new(Arc::clone(&journals), 1);
        let dropped = verdict("dropped", Fate::Drop);
        for number in 0..3 {
            journal.write([(key(number), &dropped)].into_iter()).unwrap();
        }
        let path = journals.path(0);
        let whole = std::fs::read(&path).unwrap();
        let block = whole.len() / 3;
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(read(folder.path()).len(), len / block, "{len} of {}", whole.len());
        }
        let mut flipped = whole.clone();
        flipped[block + HEAD + 3] ^= 1;
        std::fs::write(&path, &flipped).unwrap();
        assert_eq!(read(folder.path()).len(), 1);
        let mut file = File::open(&path).unwrap();
        assert!(matches!(next_block(&mut file).unwrap(), Next::Block(_)));
        assert_eq!(next_block(&mut file).unwrap(), Next::Damaged, "which is told of");
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut seen = 0;
            let _read = read_block(&bytes, &mut HashMap::new(), &mut |_, _| seen += 1);
            prop_assert!(seen <= bytes.len() / Key::BYTES);
        }
    }
}
