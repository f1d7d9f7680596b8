//! Reads a segment from one end to the other: record after record, and past what is damaged. Holds one buffer, whatever the segment's
//! size.
//!
//! Invariant: each step ends behind where it began, so no damage is ever looped on.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use super::record::{HEAD, Head};

/// What stands at one place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Found {
    /// A record; its body is there for the asking.
    Record { at: u64, head: Head },
    /// Bytes that are no record, up to the next one or to the end.
    Damaged { at: u64, len: u64 },
    /// The beginning of a record whose end is not there, up to the end.
    Torn { at: u64 },
}

/// A segment that is being read.
#[derive(Debug)]
pub(in super::super) struct Scan {
    file: File,
    /// Where the next record begins.
    at: u64,
    /// Nothing is read from here on.
    end: u64,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    from: u64,
    /// How much is read at once.
    chunk: usize,
}

impl Scan {
    /// Reads `file` from `at` to `end`, in pieces of `chunk` bytes or of the largest record.
    pub fn new(file: File, at: u64, end: u64, chunk: usize) -> Self {
        Self { file, at, end, buffer: Vec::new(), from: 0, chunk: chunk.max(HEAD) }
    }

    /// Where the next record begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The next record begins there.
    pub fn go_to(&mut self, at: u64) {
        self.at = at;
    }

    /// There may be more now.
    pub fn extend(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    /// What comes next; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Found>> {
        let (at, left) = (self.at, self.end - self.at);
        if left == 0 {
            return Ok(None);
        }
        if left < HEAD as u64 {
            self.at = self.end;
            return Ok(Some(Found::Torn { at }));
        }
        if let Some(head) = Head::read(self.bytes(at, HEAD)?) {
            if head.len() as u64 > left {
                self.at = self.end;
                return Ok(Some(Found::Torn { at }));
            }
            self.at += head.len() as u64;
            return Ok(Some(Found::Record { at, head }));
        }
        self.at = self.next_head(at + 1)?;
        Ok(Some(Found::Damaged { at, len: self.at - at }))
    }

    /// Where the next valid head is, from a place on; the end if there is none.
    fn next_head(&mut self, mut at: u64) -> io::Result<u64> {
        while self.end - at >= HEAD as u64 {
            let piece = usize::try_from(self.end - at).unwrap_or(usize::MAX).min(self.chunk.max(4096));
            let bytes = self.bytes(at, piece)?;
            let last = bytes.len() - HEAD;
            if let Some(found) = (0..=last).find(|&i| bytes[i] == b't' && Head::read(&bytes[i..]).is_some()) {
                return Ok(at + found as u64);
            }
            at += last as u64 + 1;
        }
        Ok(self.end)
    }

    /// Bytes of the segment, all of them or an error.
    pub fn bytes(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let is_there = at >= self.from && at + len as u64 <= self.from + self.buffer.len() as u64;
        if !is_there {
            let most = usize::try_from(self.end - at).unwrap_or(usize::MAX);
            self.buffer.clear();
            self.buffer.resize(len.max(self.chunk.min(most)), 0);
            // A record of many megabytes does not keep its buffer for ever.
            self.buffer.shrink_to(self.chunk * 4);
            self.from = at;
            match fill(&self.file, &mut self.buffer, at) {
                (read, _) if read >= len => self.buffer.truncate(read),
                (_, error) => {
                    self.buffer.clear();
                    return Err(error.unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
        let start = (at - self.from) as usize;
        Ok(&self.buffer[start..start + len])
    }
}

/// Reads as much as there is, and answers how much that was: an error far ahead is none yet.
fn fill(file: &File, buffer: &mut [u8], at: u64) -> (usize, Option<io::Error>) {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (read, Some(error)),
        }
    }
    (read, None)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use otlp::signal::Signal;

    use super::super::super::Parcel;
    use super::super::record::Prepared;
    use super::*;

    fn segment(records: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for sequence in 0..records {
            let parcel = Parcel {
                signal: Signal::Traces,
                body: vec![sequence as u8; 90].into(),
                items: 1,
                context: Arc::default(),
                custody: None,
            };
            Prepared::of(&parcel, 0).write(sequence, &mut bytes);
        }
        bytes
    }

    /// The sequences of whole records, and how many bytes were damaged and torn.
    fn scan(bytes: &[u8], chunk: usize) -> (Vec<u64>, u64, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut scan = Scan::new(file, 0, bytes.len() as u64, chunk);
        let (mut whole, mut damaged, mut torn) = (Vec::new(), 0, 0);
        while let Some(found) = scan.next().unwrap() {
            match found {
                Found::Record { at, head } => {
                    let body = scan.bytes(at + HEAD as u64, head.body()).unwrap();
                    match head.parcel(body) {
                        Ok(parcel) => {
                            assert_eq!(parcel.body, vec![head.sequence as u8; 90]);
                            whole.push(head.sequence);
                        }
                        Err(_) => damaged += head.len() as u64,
                    }
                }
                Found::Damaged { len, .. } => damaged += len,
                Found::Torn { at } => torn += bytes.len() as u64 - at,
            }
        }
        (whole, damaged, torn)
    }

    #[test]
    fn a_cut_at_any_byte_costs_the_record_that_it_is_in_and_no_other() {
        let bytes = segment(4);
        let each = bytes.len() / 4;
        for end in 0..=bytes.len() {
            let (whole, damaged, torn) = scan(&bytes[..end], 64);
            assert_eq!(whole, (0..(end / each) as u64).collect::<Vec<_>>());
            assert_eq!((damaged, torn), (0, (end % each) as u64));
        }
    }

    #[test]
    fn a_flip_at_any_byte_costs_the_record_that_it_is_in_and_no_other() {
        let whole = segment(4);
        let each = whole.len() / 4;
        for (at, chunk) in (0..whole.len()).zip([48, 64, 100, 4096].into_iter().cycle()) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let hit = (at / each) as u64;
            let (left, damaged, torn) = scan(&bytes, chunk);
            assert_eq!(left, (0..4).filter(|&sequence| sequence != hit).collect::<Vec<_>>(), "byte {at}");
            assert_eq!((damaged, torn), (each as u64, 0), "byte {at}");
        }
    }

    #[test]
    fn noise_between_records_is_stepped_over() {
        let mut noise = vec![0; 10_000];
        rand::fill(&mut noise[..]);
        let records = segment(2);
        let each = records.len() / 2;
        let bytes = [&noise, &records[..each], b"tmR1tttt", &records[each..], &noise[..20]].concat();
        assert_eq!(scan(&bytes, 4096), (vec![0, 1], 10_008, 20));
        assert_eq!(scan(&[0; 5000], 64), (vec![], 5000, 0));
    }
}
