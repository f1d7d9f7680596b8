//! A chunk: some hundred spans end to end. It is written once, then read; packed when it is not likely to be read soon, and written to
//! the disk when memory is short.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use super::spill::Spilled;

/// The level at which chunks are packed: each more costs twice the time for a few per cent.
const LEVEL: i32 = 1;

/// Where its bytes are.
#[derive(Debug)]
pub(super) enum Chunk {
    /// As they came; more may follow.
    Open(Vec<u8>),
    /// As they came, and all that will be.
    Plain(Plain),
    /// Compressed.
    Packed(Packed),
}

/// A chunk as it came; clones are the same bytes.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    bytes: Bytes,
    /// What its bytes take.
    capacity: usize,
}

impl Plain {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is the same chunk.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.bytes.as_ptr() == other.bytes.as_ptr()
    }
}

/// A compressed chunk, in memory or on the disk.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    place: Place,
    /// How many bytes it holds.
    len: usize,
}

#[derive(Debug, Clone)]
enum Place {
    Memory(Bytes),
    Disk(Arc<Spilled>),
}

/// Bytes that cannot be had back.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    /// The disk does not give them.
    #[error("cannot read what was spilled: {0}")]
    Disk(#[from] std::io::Error),
    /// They are no longer what was written.
    #[error("what was spilled is damaged: {0}")]
    Damaged(String),
}

/// A span's bytes, or where they can be had without holding anything up.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    /// In the arena of whoever asked: a piece of a chunk must not keep all of it.
    Here(Range<usize>),
    /// In a packed chunk.
    Packed(Packed, Range<usize>),
}

impl Chunk {
    /// An empty one with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self::Open(Vec::with_capacity(bytes))
    }

    /// How many bytes of memory it takes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Open(bytes) => bytes.capacity(),
            Self::Plain(plain) => plain.capacity,
            Self::Packed(packed) => packed.memory(),
        }
    }

    /// Nothing more follows.
    pub(super) fn close(&mut self) {
        if let Self::Open(bytes) = self {
            let mut bytes = std::mem::take(bytes);
            if bytes.capacity() - bytes.len() > bytes.capacity() / 8 {
                bytes.shrink_to_fit();
            }
            let capacity = bytes.capacity();
            *self = Self::Plain(Plain { bytes: bytes.into(), capacity });
        }
    }

    /// Some of its bytes; those that are at hand are put into the arena.
    pub(super) fn piece(&self, range: Range<usize>, arena: &mut Vec<u8>) -> Piece {
        match self {
            Self::Open(bytes) => here(&bytes[range], arena),
            Self::Plain(plain) => here(&plain.bytes[range], arena),
            Self::Packed(packed) => Piece::Packed(packed.clone(), range),
        }
    }

    /// Its bytes, if it is closed and not packed yet.
    pub(super) fn plain(&self) -> Option<&Plain> {
        match self {
            Self::Plain(plain) => Some(plain),
            Self::Open(_) | Self::Packed(_) => None,
        }
    }
}

/// Packs chunks. Its memory is used again.
#[derive(Default)]
pub(super) struct Packer {
    compressor: Option<Compressor<'static>>,
    scratch: Vec<u8>,
    /// How many bytes are kept for the next time.
    kept: usize,
}

impl Packer {
    /// One that keeps so many bytes of memory for the next time.
    pub(super) fn new(kept: usize) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Packs bytes.
    pub(super) fn pack(&mut self, bytes: &[u8]) -> std::io::Result<Packed> {
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(Compressor::new(LEVEL)?),
        };
        self.scratch.clear();
        self.scratch.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        compressor.compress_to_buffer(bytes, &mut self.scratch)?;
        // A copy takes what it needs and no more.
        let packed = Packed { place: Place::Memory(Bytes::copy_from_slice(&self.scratch)), len: bytes.len() };
        self.scratch.clear();
        self.scratch.shrink_to(self.kept);
        Ok(packed)
    }
}

thread_local! {
    /// A thread unpacks many chunks, and each of these takes some hundred kilobytes.
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn unpack(packed: &[u8], len: usize) -> std::io::Result<Vec<u8>> {
    UNPACKER.with_borrow_mut(|unpacker| match unpacker {
        Some(unpacker) => unpacker.decompress(packed, len),
        none => none.insert(Decompressor::new()?).decompress(packed, len),
    })
}

impl Packed {
    /// How many bytes it holds.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The same, on the disk.
    pub(super) fn spilled(&self, spilled: Spilled) -> Self {
        Self { place: Place::Disk(Arc::new(spilled)), len: self.len }
    }

    /// All of its bytes. May read from the disk.
    pub(super) fn unpack(&self) -> Result<Vec<u8>, Lost> {
        let unpacked = match &self.place {
            Place::Memory(bytes) => unpack(bytes, self.len),
            Place::Disk(spilled) => unpack(&spilled.read()?, self.len),
        };
        let unpacked = unpacked.map_err(|error| Lost::Damaged(error.to_string()))?;
        if unpacked.len() != self.len {
            return Err(Lost::Damaged(format!("{} bytes of {}", unpacked.len(), self.len)));
        }
        Ok(unpacked)
    }

    /// Whether it is the same chunk.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Place::Memory(one), Place::Memory(other)) => one.as_ptr() == other.as_ptr(),
            (Place::Disk(one), Place::Disk(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    fn address(&self) -> usize {
        match &self.place {
            Place::Memory(bytes) => bytes.as_ptr().addr(),
            Place::Disk(spilled) => Arc::as_ptr(spilled).addr(),
        }
    }

    /// Whether it takes memory that the disk could take.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// What is in memory of it.
    pub(super) fn in_memory(&self) -> Option<&Bytes> {
        match &self.place {
            Place::Memory(bytes) => Some(bytes),
            Place::Disk(_) => None,
        }
    }

    fn memory(&self) -> usize {
        match &self.place {
            Place::Memory(bytes) => bytes.len(),
            Place::Disk(_) => size_of::<Spilled>(),
        }
    }
}

fn here(bytes: &[u8], arena: &mut Vec<u8>) -> Piece {
    let start = arena.len();
    arena.extend_from_slice(bytes);
    Piece::Here(start..arena.len())
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Here(range) | Self::Packed(_, range) => range.len(),
        }
    }
}

/// Puts pieces one behind the other. Each chunk is unpacked once, one at a time, however its pieces lie. Answers where each is; what is lost is nowhere. May
/// read from the disk.
pub(super) fn gather(pieces: &[Piece], arena: &[u8], out: &mut Vec<u8>) -> Vec<Option<Range<usize>>> {
    let mut end = out.len();
    let place = |piece: &Piece| {
        let start = end;
        end += piece.len();
        Some(start..end)
    };
    let mut places: Vec<_> = pieces.iter().map(place).collect();
    out.resize(end, 0);
    let mut packed: Vec<(usize, &Packed, &Range<usize>)> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Here(range) => {
                let place = places[at].clone().expect("all have one");
                out[place].copy_from_slice(&arena[range.clone()]);
            }
            Piece::Packed(chunk, range) => packed.push((at, chunk, range)),
        }
    }
    packed.sort_by_key(|(at, chunk, _)| (chunk.address(), *at));
    for of_chunk in packed.chunk_by(|(_, one, _), (_, other, _)| one.is(other)) {
        let bytes = of_chunk[0].1.unpack();
        if let Err(error) = &bytes {
            tracing::error!(%error, spans = of_chunk.len(), "spans of the trace buffer cannot be read");
        }
        for (at, _, range) in of_chunk {
            match (&bytes, places[*at].clone()) {
                (Ok(bytes), Some(place)) => out[place].copy_from_slice(&bytes[(*range).clone()]),
                _ => places[*at] = None,
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_chunk_come_in_their_order() {
        let chunk = |byte: u8| Packer::default().pack(&vec![byte; 1000]).unwrap();
        let [one, two] = [chunk(1), chunk(2)];
        let arena = [9; 10];
        let packed = |chunk: &Packed, range| Piece::Packed(chunk.clone(), range);
        let pieces = [packed(&two, 0..3), Piece::Here(4..6), packed(&one, 5..6), packed(&two, 999..1000)];
        let mut out = vec![0];
        let places = gather(&pieces, &arena, &mut out);
        assert_eq!(out, [0, 2, 2, 2, 9, 9, 1, 2]);
        assert_eq!(places, [Some(1..4), Some(4..6), Some(6..7), Some(7..8)]);
    }

    #[test]
    fn what_is_damaged_is_lost_and_nothing_else() {
        let whole = Packer::default().pack(&[1; 1000]).unwrap();
        let mut damaged = whole.clone();
        damaged.len = 999;
        damaged.place = Place::Memory(Bytes::from_static(b"no zstd"));
        let mut out = Vec::new();
        let pieces = [Piece::Packed(damaged, 0..2), Piece::Packed(whole, 0..2)];
        assert_eq!(gather(&pieces, &[], &mut out), [None, Some(2..4)]);
    }
}
