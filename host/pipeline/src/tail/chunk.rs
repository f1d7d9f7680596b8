//! A chunk: some hundred spans end to end. It is written once, then read; packed when it is not likely to be read soon, and written to
//! the disk when memory is short.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::spill::Spilled;

/// The level at which chunks are packed: each more costs twice the time for a few per cent.
const LEVEL: i32 = 1;

/// Where its bytes are.
#[derive(Debug)]
pub(super) enum Chunk {
    /// As they came; more may follow.
    Open(Vec<u8>),
    /// As they came, and all that will be.
    Plain(Vec<u8>),
    /// Compressed.
    Packed(Packed),
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
            Self::Plain(bytes) => bytes.capacity(),
            Self::Packed(packed) => packed.memory(),
        }
    }

    /// Nothing more follows.
    pub(super) fn close(&mut self) {
        if let Self::Open(bytes) = self {
            *self = Self::Plain(std::mem::take(bytes));
        }
    }

    /// Some of its bytes; those that are at hand are put into the arena.
    pub(super) fn piece(&self, range: Range<usize>, arena: &mut Vec<u8>) -> Piece {
        match self {
            Self::Open(bytes) | Self::Plain(bytes) => {
                let start = arena.len();
                arena.extend_from_slice(&bytes[range]);
                Piece::Here(start..arena.len())
            }
            Self::Packed(packed) => Piece::Packed(packed.clone(), range),
        }
    }

    /// Its bytes, if it is closed and not packed yet.
    pub(super) fn plain(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(bytes) => Some(bytes),
            Self::Open(_) | Self::Packed(_) => None,
        }
    }
}

impl Packed {
    /// Packs bytes.
    pub(super) fn pack(bytes: &[u8]) -> std::io::Result<Self> {
        let packed = zstd::bulk::compress(bytes, LEVEL)?;
        Ok(Self { place: Place::Memory(Bytes::from(packed)), len: bytes.len() })
    }

    /// The same, on the disk.
    pub(super) fn spilled(&self, spilled: Spilled) -> Self {
        Self { place: Place::Disk(Arc::new(spilled)), len: self.len }
    }

    /// All of its bytes. May read from the disk.
    pub(super) fn unpack(&self) -> Result<Vec<u8>, Lost> {
        let unpacked = match &self.place {
            Place::Memory(bytes) => zstd::bulk::decompress(bytes, self.len),
            Place::Disk(spilled) => zstd::bulk::decompress(&spilled.read()?, self.len),
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

/// Unpacks pieces, of which many lie in few chunks.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    recent: Vec<(Packed, Vec<u8>)>,
}

/// How many unpacked chunks are kept while pieces are read.
const RECENT: usize = 16;

impl Unpacker {
    /// Appends a piece whose arena is given. May read from the disk.
    pub(super) fn append(&mut self, piece: Piece, arena: &[u8], out: &mut Vec<u8>) -> Result<(), Lost> {
        let (packed, range) = match piece {
            Piece::Here(range) => {
                out.extend_from_slice(&arena[range]);
                return Ok(());
            }
            Piece::Packed(packed, range) => (packed, range),
        };
        if let Some((_, bytes)) = self.recent.iter().rev().find(|(known, _)| known.is(&packed)) {
            out.extend_from_slice(&bytes[range]);
            return Ok(());
        }
        let bytes = packed.unpack()?;
        out.extend_from_slice(&bytes[range]);
        if self.recent.len() == RECENT {
            self.recent.remove(0);
        }
        self.recent.push((packed, bytes));
        Ok(())
    }

    /// Lets go of what it has unpacked.
    pub(super) fn clear(&mut self) {
        self.recent.clear();
    }
}
