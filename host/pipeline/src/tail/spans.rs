//! The bytes of waiting spans: copied into chunks that are only ever appended to, in the order in which they came, and freed whole once nothing in
//! them is wanted any more.
//!
//! A span is copied here, so that one that comes late does not pin the request that it came in. What is known of each stands in a list of its own, so
//! that to let go of a span nothing of its chunk has to be read, wherever that is.

use super::chunk::{Chunk, Packed, Piece, Plain};
use super::slab::{NONE, Slab};

/// What is known of one span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The one of the same trace that came after it, or [`NONE`].
    pub(super) next: u32,
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
    /// What all chunks take in memory, and how many bytes of spans are wanted of them.
    bytes: usize,
    live: usize,
    /// Likewise of those that are not packed, and of those that are packed in memory: of the latter as they were before.
    loose: Share,
    packed: Share,
    /// What the latter take now.
    packed_memory: usize,
}

/// How much of some chunks is wanted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Share {
    bytes: usize,
    live: usize,
}

impl Share {
    fn add(&mut self, bytes: usize, live: usize) {
        self.bytes += bytes;
        self.live += live;
    }

    fn remove(&mut self, bytes: usize, live: usize) {
        self.bytes -= bytes;
        self.live -= live;
    }
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
            loose: Share::default(),
            packed: Share::default(),
            packed_memory: 0,
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

    /// What spans of so many bytes take in memory, as the chunks are now: less if they are packed, and little if they are on the disk.
    pub(super) fn in_memory(&self, bytes: usize) -> usize {
        let share = self.bytes.min(self.live) as f64 / self.live.max(1) as f64;
        (bytes as f64 * share) as usize
    }

    /// What packed chunks take for spans that nobody wants any more.
    pub(super) fn wasted(&self) -> usize {
        let Share { bytes, live } = self.packed;
        let share = (bytes - live) as f64 / bytes.max(1) as f64;
        (self.packed_memory as f64 * share) as usize
    }

    /// Keeps a span, a field of its `ScopeSpans`, behind another one of its trace, and answers its record.
    pub(super) fn append(&mut self, behind: u32, envelope: u32, origin: u32, span: &[u8]) -> u32 {
        let record = self.put(envelope, origin, span);
        if behind != NONE {
            self.records.get_mut(behind).next = record;
        }
        record
    }

    fn put(&mut self, envelope: u32, origin: u32, span: &[u8]) -> u32 {
        let number = self.chunk_for(span.len());
        let held = self.chunks[number as usize].as_mut().expect("a chunk was found");
        let Chunk::Open(bytes) = &mut held.chunk else { unreachable!("one to which is appended is open") };
        let at = bytes.len() as u32;
        bytes.extend_from_slice(span);
        held.live += span.len();
        self.live += span.len();
        self.loose.live += span.len();
        let record = Record { next: NONE, envelope, origin, chunk: number, at, len: span.len() as u32 };
        let record = self.records.put(record);
        let capacity = held.records.capacity();
        held.records.push(record);
        self.bytes += (held.records.capacity() - capacity) * size_of::<u32>();
        if span.len() >= self.chunk_size {
            self.close(number);
            self.open = self.open.filter(|open| *open != number);
        }
        record
    }

    /// Nothing more is appended to a chunk.
    fn close(&mut self, number: u32) {
        let held = self.chunks[number as usize].as_mut().expect("the open one is there");
        let before = held.chunk.bytes();
        held.chunk.close();
        let given_back = before - held.chunk.bytes();
        self.bytes -= given_back;
        self.loose.bytes -= given_back;
    }

    /// How many spans there are.
    #[cfg(test)]
    pub(super) fn records(&self) -> usize {
        self.records.len()
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
        self.forget(record.chunk, record.len as usize);
        if self.held(record.chunk).live == 0 {
            self.is_empty(record.chunk);
        }
        record
    }

    /// So many bytes of a chunk are not wanted any more.
    fn forget(&mut self, number: u32, bytes: usize) {
        let held = self.chunks[number as usize].as_mut().expect("what is recorded is in a chunk");
        held.live -= bytes;
        self.live -= bytes;
        match &held.chunk {
            Chunk::Open(_) | Chunk::Plain(_) => self.loose.live -= bytes,
            Chunk::Packed(packed) if packed.is_in_memory() => self.packed.live -= bytes,
            Chunk::Packed(_) => {}
        }
    }

    /// Whether much of what is not packed is not wanted.
    pub(super) fn is_sparse(&self) -> bool {
        self.loose.bytes > self.loose.live * 2 + 8 * self.chunk_size
    }

    /// Moves what is wanted of the chunk that has the most of what is not, if that is more than half of it. Answers whether there was one.
    pub(super) fn compact(&mut self) -> bool {
        let all = (0..).zip(&self.chunks).filter_map(|(number, held)| Some((number, held.as_ref()?)));
        let sparse = all.filter_map(|(number, held)| {
            let plain = held.chunk.plain().filter(|_| held.live * 2 < held.chunk.bytes())?;
            Some((held.chunk.bytes() - held.live, number, plain))
        });
        let Some((_, number, plain)) = sparse.max_by_key(|(wasted, ..)| *wasted) else { return false };
        let plain = plain.clone();
        self.move_out(number, plain.bytes());
        true
    }

    /// The packed chunk of which the least is wanted, if much of what is packed is not: much less where memory `is_short`.
    pub(super) fn sparse_packed(&self, is_short: bool) -> Option<(Which, &Packed)> {
        let (times, chunks) = if is_short { (2, 1) } else { (4, 8) };
        if self.packed.bytes <= self.packed.live * times + chunks * self.chunk_size {
            return None;
        }
        let all = (0..).zip(&self.chunks).filter_map(|(number, held)| Some((number, held.as_ref()?)));
        let packed = all.filter_map(|(number, held)| match &held.chunk {
            Chunk::Packed(packed) if packed.is_in_memory() => Some((packed.len() - held.live, number, packed)),
            _ => None,
        });
        packed.max_by_key(|(wasted, ..)| *wasted).map(|(_, number, packed)| (Which(number), packed))
    }

    /// Moves what is wanted of a packed chunk, of which these are the bytes, if it is still there.
    pub(super) fn unpack(&mut self, which: Which, was: &Packed, bytes: &[u8]) {
        if matches!(self.chunk(which), Some(Chunk::Packed(known)) if known.is(was)) {
            self.move_out(which.0, bytes);
        }
    }

    /// Moves what is wanted of a chunk that is not the open one, of which these are the bytes.
    fn move_out(&mut self, number: u32, bytes: &[u8]) {
        let held = self.held(number);
        let mut moved: Vec<u32> = held.records.iter().copied().filter(|&record| self.is_in(record, number)).collect();
        // Of a number that was used again in the same chunk there are two.
        moved.sort_unstable();
        moved.dedup();
        for record in moved {
            let was = *self.records.get(record);
            let copy = self.put(was.envelope, was.origin, &bytes[was.at as usize..][..was.len as usize]);
            let to = Record { next: was.next, ..self.records.remove(copy) };
            let target = self.chunks[to.chunk as usize].as_mut().expect("it was put there");
            *target.records.last_mut().expect("it is the last") = record;
            *self.records.get_mut(record) = to;
            self.forget(number, was.len as usize);
        }
        self.is_empty(number);
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
            self.exchange(which, packed);
        }
    }

    /// Puts what a chunk was spilled to in its place, if it is still there.
    pub(super) fn replace(&mut self, which: Which, was: &Packed, packed: Packed) {
        if matches!(self.chunk(which), Some(Chunk::Packed(known)) if known.is(was)) {
            self.exchange(which, packed);
        }
    }

    fn chunk(&self, which: Which) -> Option<&Chunk> {
        self.chunks.get(which.0 as usize)?.as_ref().map(|held| &held.chunk)
    }

    fn exchange(&mut self, Which(number): Which, packed: Packed) {
        let held = self.chunks[number as usize].as_mut().expect("it is there");
        let was = std::mem::replace(&mut held.chunk, Chunk::Packed(packed));
        let (live, now) = (held.live, held.chunk.bytes());
        self.bytes = self.bytes + now - was.bytes();
        self.leave(&was, live);
        self.enter(number);
    }

    /// A chunk counts to its kind.
    fn enter(&mut self, number: u32) {
        let Held { chunk, live, .. } = self.chunks[number as usize].as_ref().expect("it is there");
        match chunk {
            Chunk::Open(_) | Chunk::Plain(_) => self.loose.add(chunk.bytes(), *live),
            Chunk::Packed(packed) if packed.is_in_memory() => {
                self.packed.add(packed.len(), *live);
                self.packed_memory += chunk.bytes();
            }
            Chunk::Packed(_) => {}
        }
    }

    /// One of which so much is wanted does not any more.
    fn leave(&mut self, chunk: &Chunk, live: usize) {
        match chunk {
            Chunk::Open(_) | Chunk::Plain(_) => self.loose.remove(chunk.bytes(), live),
            Chunk::Packed(packed) if packed.is_in_memory() => {
                self.packed.remove(packed.len(), live);
                self.packed_memory -= chunk.bytes();
            }
            Chunk::Packed(_) => {}
        }
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
        self.enter(number);
        // Of a span that fills a chunk alone nobody needs the rest.
        if size < self.chunk_size
            && let Some(closed) = self.open.replace(number)
        {
            self.close(closed);
            if self.held(closed).live == 0 {
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
        let Some(held) = place.take() else { return };
        self.bytes -= held.chunk.bytes() + held.records.capacity() * size_of::<u32>();
        self.leave(&held.chunk, held.live);
        self.free.push(number);
    }
}

#[cfg(test)]
mod tests;
