//! The bytes of waiting spans: copied into chunks that are only ever appended to, in the order in which they came, and freed whole once nothing in
//! them is wanted any more.
//!
//! A span is copied here, so that one that comes late does not pin the request that it came in. What is known of each stands in a list of its own, so
//! that to let go of a span nothing of its chunk has to be read, wherever that is.

use super::chunk::{Chunk, Packed, Piece, Plain};
use super::slab::Slab;

/// What is known of one span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The one of the same trace that came before, or [`NONE`].
    pub(super) before: u32,
    /// Under what it came: see [`Envelopes`](super::envelope::Envelopes).
    pub(super) envelope: u32,
    /// With what it came: see [`Origins`](super::origin::Origins).
    pub(super) origin: u32,
    chunk: u32,
    at: u32,
    len: u32,
}

/// The spans of one shard.
#[derive(Debug)]
pub(super) struct Spans {
    records: Slab<Record>,
    chunks: Vec<Option<Held>>,
    /// Places in `chunks` without one.
    free: Vec<u32>,
    /// To which is appended.
    open: Option<u32>,
    chunk_size: usize,
    /// What all chunks take in memory, and how much of them is wanted.
    bytes: usize,
    live: usize,
}

#[derive(Debug)]
struct Held {
    chunk: Chunk,
    /// Bytes of records that are still wanted.
    live: usize,
    /// Those that were put into it. Some may have gone, and their numbers be others'.
    records: Vec<u32>,
}

/// A chunk that may be packed or spilled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Which(u32);

impl Spans {
    /// With chunks of this size; a larger span has one of its own.
    pub(super) fn new(chunk_size: usize) -> Self {
        Self {
            records: Slab::default(),
            chunks: Vec::new(),
            free: Vec::new(),
            open: None,
            chunk_size,
            bytes: 0,
            live: 0,
        }
    }

    /// How many bytes of memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.records.bytes() + self.chunks.capacity() * size_of::<Option<Held>>()
    }

    /// By how much that may grow for so many spans of so many bytes.
    pub(super) fn growth(chunk: usize, spans: usize, bytes: usize) -> usize {
        let pages = spans / 1024 + 1;
        pages * Slab::<Record>::PAGE_BYTES + spans * size_of::<u32>() * 2 + bytes + bytes / 8 + chunk
    }

    /// Keeps a span, a field of its `ScopeSpans`, and answers its record.
    pub(super) fn append(&mut self, before: u32, envelope: u32, origin: u32, span: &[u8]) -> u32 {
        let number = self.chunk_for(span.len());
        let held = self.chunks[number as usize].as_mut().expect("a chunk was found");
        let Chunk::Open(bytes) = &mut held.chunk else { unreachable!("one to which is appended is open") };
        let at = bytes.len() as u32;
        bytes.extend_from_slice(span);
        held.live += span.len();
        self.live += span.len();
        let record = Record { before, envelope, origin, chunk: number, at, len: span.len() as u32 };
        let record = self.records.put(record);
        let capacity = held.records.capacity();
        held.records.push(record);
        self.bytes += (held.records.capacity() - capacity) * size_of::<u32>();
        if span.len() >= self.chunk_size {
            held.chunk.close();
            self.open = self.open.filter(|open| *open != number);
        }
        record
    }

    /// A record that has not been released.
    pub(super) fn get(&self, record: u32) -> &Record {
        self.records.get(record)
    }

    /// How many bytes its span has.
    pub(super) fn len_of(&self, record: u32) -> usize {
        self.records.get(record).len as usize
    }

    /// Its span.
    pub(super) fn piece(&self, record: u32, arena: &mut Vec<u8>) -> Piece {
        let Record { chunk, at, len, .. } = *self.records.get(record);
        let range = at as usize..at as usize + len as usize;
        self.held(chunk).chunk.piece(range, arena)
    }

    /// Lets go of a span, and answers what was known of it.
    pub(super) fn release(&mut self, record: u32) -> Record {
        let record = self.records.remove(record);
        let held = self.chunks[record.chunk as usize].as_mut().expect("what is recorded is in a chunk");
        held.live -= record.len as usize;
        self.live -= record.len as usize;
        if held.live == 0 {
            self.is_empty(record.chunk);
        }
        record
    }

    /// Moves what is wanted of the chunk that has the most of what is not, if that is more than half of it. Answers whether there was one.
    pub(super) fn compact(&mut self) -> bool {
        let wasted = |held: &Held| held.chunk.bytes().saturating_sub(held.live);
        let is_sparse = |held: &&Held| held.chunk.plain().is_some() && held.live * 2 < held.chunk.bytes();
        let all = (0..).zip(&self.chunks).filter_map(|(number, held)| Some((number, held.as_ref()?)));
        let Some((number, _)) = all.filter(|(_, held)| is_sparse(held)).max_by_key(|(_, held)| wasted(held)) else {
            return false;
        };
        let held = self.chunks[number as usize].as_ref().expect("it was found");
        let mut moved: Vec<u32> = held.records.iter().copied().filter(|&record| self.is_in(record, number)).collect();
        // Of a number that was used again in the same chunk there are two.
        moved.sort_unstable();
        moved.dedup();
        let mut span = Vec::new();
        for record in moved {
            let was = *self.records.get(record);
            span.clear();
            let _here = self.piece(record, &mut span);
            let copy = self.append(was.before, was.envelope, was.origin, &span);
            let to = self.records.remove(copy);
            let target = self.chunks[to.chunk as usize].as_mut().expect("it was appended there");
            *target.records.last_mut().expect("it is the last") = record;
            *self.records.get_mut(record) = to;
            let held = self.chunks[number as usize].as_mut().expect("it goes when it is empty");
            held.live -= was.len as usize;
            self.live -= was.len as usize;
        }
        self.is_empty(number);
        true
    }

    /// A closed chunk that is not packed, the oldest there is, with its bytes.
    pub(super) fn oldest_plain(&self) -> Option<(Which, &Plain)> {
        self.oldest(Chunk::plain)
    }

    /// A packed chunk in memory, likewise.
    pub(super) fn oldest_packed(&self) -> Option<(Which, &Packed)> {
        self.oldest(|chunk| match chunk {
            Chunk::Packed(packed) if packed.is_in_memory() => Some(packed),
            _ => None,
        })
    }

    /// Puts what a chunk was packed to in its place, if it is still there.
    pub(super) fn pack(&mut self, which: Which, was: &Plain, packed: Packed) {
        if self.chunk(which).and_then(Chunk::plain).is_some_and(|known| known.is(was)) {
            self.put(which, packed);
        }
    }

    /// Puts what a chunk was spilled to in its place, if it is still there.
    pub(super) fn replace(&mut self, which: Which, was: &Packed, packed: Packed) {
        if matches!(self.chunk(which), Some(Chunk::Packed(known)) if known.is(was)) {
            self.put(which, packed);
        }
    }

    fn chunk(&self, which: Which) -> Option<&Chunk> {
        self.chunks.get(which.0 as usize)?.as_ref().map(|held| &held.chunk)
    }

    fn put(&mut self, Which(number): Which, packed: Packed) {
        let held = self.chunks[number as usize].as_mut().expect("it is there");
        let before = held.chunk.bytes();
        held.chunk = Chunk::Packed(packed);
        self.bytes = self.bytes + held.chunk.bytes() - before;
    }

    /// Whether much of what is in memory is not wanted.
    pub(super) fn is_sparse(&self) -> bool {
        self.bytes > self.live * 2 + 8 * self.chunk_size
    }

    fn oldest<'s, T>(&'s self, what: impl Fn(&'s Chunk) -> Option<T>) -> Option<(Which, T)> {
        // Places are taken again, so that the order is a rough one.
        let mut all = (0..).zip(&self.chunks);
        all.find_map(|(number, held)| Some((Which(number), what(&held.as_ref()?.chunk)?)))
    }

    fn held(&self, chunk: u32) -> &Held {
        self.chunks[chunk as usize].as_ref().expect("what is recorded is in a chunk")
    }

    /// Whether a record, which may have been another's meanwhile, is in a chunk.
    fn is_in(&self, record: u32, chunk: u32) -> bool {
        self.records.is_taken(record) && self.records.get(record).chunk == chunk
    }

    fn chunk_for(&mut self, size: usize) -> u32 {
        if let Some(open) = self.open
            && let Chunk::Open(bytes) = &self.held(open).chunk
            && bytes.capacity() - bytes.len() >= size
        {
            return open;
        }
        let held = Held { chunk: Chunk::with_capacity(size.max(self.chunk_size)), live: 0, records: Vec::new() };
        self.bytes += held.chunk.bytes();
        let number = self.free.pop().unwrap_or(self.chunks.len() as u32);
        match self.chunks.get_mut(number as usize) {
            Some(free) => *free = Some(held),
            None => self.chunks.push(Some(held)),
        }
        // Of a span that fills a chunk alone nobody needs the rest.
        if size < self.chunk_size
            && let Some(closed) = self.open.replace(number)
        {
            let held = self.chunks[closed as usize].as_mut().expect("the open one is there");
            held.chunk.close();
            if held.live == 0 {
                self.is_empty(closed);
            }
        }
        number
    }

    /// Nothing in a chunk is wanted any more.
    fn is_empty(&mut self, number: u32) {
        let place = &mut self.chunks[number as usize];
        let held = place.as_mut().expect("it is there");
        if self.open == Some(number)
            && let Chunk::Open(bytes) = &mut held.chunk
        {
            // Goes on from its beginning.
            bytes.clear();
            held.records.clear();
            return;
        }
        self.bytes -= held.chunk.bytes() + held.records.capacity() * size_of::<u32>();
        *place = None;
        self.free.push(number);
    }
}

#[cfg(test)]
mod tests;
