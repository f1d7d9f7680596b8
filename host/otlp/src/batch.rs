//! A batch: the bytes of one or more requests, an index over them, and where edits have put what is new.
//!
//! The bytes never change. The index says where each part of each span stands; an edit writes what is new into the
//! arena and turns the index there, so that later readers see the new value, and [`crate::encode`] copies what was not
//! touched and splices the rest. A batch is reused: [`Batch::load`] clears it and keeps its memory.
//!
//! Invariant: whatever the index holds has been checked (lengths, nesting, wire types), and values are canonical.

use std::sync::Arc;

use bytes::Bytes;

use crate::index::{self, Malformed};
use crate::wire::Slice;

/// Offsets from here on lie in the arena.
pub(crate) const ARENA: u32 = 1 << 31;
/// How many bytes the arena may hold, so that every offset and every end in it fits 32 bits.
///
/// Invariant: what is put into the arena ends in [`Batch::put`] or [`Batch::since`], and so it never holds more.
pub(crate) const MOST_ARENA: usize = (u32::MAX - ARENA) as usize;

/// How many bytes each of a batch's lists keeps for the next one: what 512 large spans or 16,384 usual ones take.
const KEPT: usize = 4 << 20;

/// What came with a request beside its spans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// The tenant that the request is for, if one was named.
    pub tenant: Option<Box<str>>,
    /// Who sent it: an address, without the port.
    pub peer: Box<str>,
    /// The headers that the configuration keeps: lower-case names and their values.
    pub headers: Vec<(Box<str>, Box<str>)>,
}

/// The rows that came with one request.
#[derive(Debug, Clone)]
pub struct RequestRows {
    /// What came with it.
    pub context: Arc<RequestContext>,
    /// Its rows.
    pub rows: Run,
    /// Its bytes in the batch's.
    pub body: Slice,
    /// What came in it, in [`Batch::resources`].
    pub resources: Run,
}

/// A run of elements of one of the batch's flat lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Run {
    /// The first element.
    pub start: u32,
    /// How many.
    pub len: u32,
}

impl Run {
    /// As a range of indices.
    #[inline]
    #[must_use]
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// One attribute of a span, a resource or a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// Its key.
    pub key: Slice,
    /// The body of its canonical `AnyValue`.
    pub value: Slice,
    /// Where it comes from.
    pub origin: Origin,
}

impl Part {
    /// A slot into which a list in front of it may grow.
    pub(crate) const FREE: Self = Self { body: Slice::EMPTY, origin: Origin::FREE };
}

impl Attribute {
    /// A slot into which a list in front of it may grow.
    pub(crate) const FREE: Self = Self { key: Slice::EMPTY, value: Slice::EMPTY, origin: Origin::FREE };
}

/// A span's event or link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its body: canonical, that is with each known field at most once (attributes apart) and canonical attributes.
    pub body: Slice,
    /// Where it comes from.
    pub origin: Origin,
}

/// Which occurrence of its field on the wire an element was, whether it is still what stands there, and whether its place
/// can be told from its key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(u32);

impl Origin {
    const CHANGED: u32 = 1 << 31;
    /// Not [`Origin::short`].
    const LONG: u32 = 1 << 30;
    /// Of an element that an edit added.
    pub const ADDED: Self = Self(u32::MAX);
    /// Of a slot that is not in use.
    const FREE: Self = Self(u32::MAX - 1);

    /// The `ordinal`-th occurrence in its owner, unchanged.
    #[must_use]
    pub fn at(ordinal: u32) -> Self {
        Self(ordinal | Self::LONG)
    }

    /// The same, of an attribute that [`crate::value::next_short_pair`] has read.
    #[inline]
    pub(crate) fn short(ordinal: u32) -> Self {
        Self(ordinal)
    }

    /// Whether it was made by [`Origin::short`], of which its key and what has changed say where it stands.
    #[inline]
    pub(crate) fn is_short(self) -> bool {
        self.0 & Self::LONG == 0
    }

    /// Which occurrence it was; `None` for an added element.
    #[must_use]
    pub fn ordinal(self) -> Option<u32> {
        (self != Self::ADDED).then_some(self.0 & !(Self::CHANGED | Self::LONG))
    }

    /// Whether the bytes on the wire are no longer what it is.
    #[must_use]
    pub fn is_changed(self) -> bool {
        self.0 & Self::CHANGED != 0
    }

    /// The same, changed.
    #[must_use]
    pub fn changed(self) -> Self {
        Self(self.0 | Self::CHANGED)
    }
}

/// What an edit has changed of a span, a scope or a resource, as bits. Nothing set: its bytes leave as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes(pub u32);

impl Changes {
    /// Attributes were set, moved or removed.
    pub const ATTRIBUTES: Self = Self(1);
    /// Events were edited, added or removed.
    pub const EVENTS: Self = Self(1 << 1);
    /// Links were edited or removed.
    pub const LINKS: Self = Self(1 << 2);
    /// `name` (of a span or a scope).
    pub const NAME: Self = Self(1 << 3);
    /// `kind`
    pub const KIND: Self = Self(1 << 4);
    /// `trace_state`
    pub const TRACE_STATE: Self = Self(1 << 5);
    /// `start_time_unix_nano`
    pub const START: Self = Self(1 << 6);
    /// `end_time_unix_nano`
    pub const END: Self = Self(1 << 7);
    /// `status`
    pub const STATUS: Self = Self(1 << 8);
    /// `scope.version`
    pub const VERSION: Self = Self(1 << 9);
    /// `schema_url`
    pub const SCHEMA_URL: Self = Self(1 << 10);
    /// Of a scope or resource: a row below it was dropped, changed, or given another scope, so that it cannot be copied whole.
    pub const BELOW: Self = Self(1 << 11);
    /// Attributes were added; those that came with it are a matter of [`Changes::ATTRIBUTES`].
    pub const ADDED_ATTRIBUTES: Self = Self(1 << 12);
    /// Events were added; those that came with it are a matter of [`Changes::EVENTS`].
    pub const ADDED_EVENTS: Self = Self(1 << 13);
    /// Attributes of a span that are short (see [`Origin`]) got other values. Their keys, and which there are, is a matter of
    /// [`Changes::ATTRIBUTES`].
    pub const VALUES: Self = Self(1 << 14);

    /// Each of both.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `which` does not name.
    #[must_use]
    pub const fn without(self, which: Self) -> Self {
        Self(self.0 & !which.0)
    }

    /// Whether nothing is changed.
    #[inline]
    #[must_use]
    pub fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether one of `which` is changed.
    #[inline]
    #[must_use]
    pub fn has(self, which: Self) -> bool {
        self.0 & which.0 != 0
    }

    /// Notes that `which` is changed.
    #[inline]
    pub fn add(&mut self, which: Self) {
        self.0 |= which.0;
    }
}

/// One span: where its parts stand, and its numbers.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// The whole field in its `ScopeSpans`, tag and length included: always in the original bytes.
    pub field: Slice,
    /// Its body: always in the original bytes.
    pub body: Slice,
    /// `trace_id`, as it came: 16 bytes if [`Span::valid_ids`].
    pub trace_id: Slice,
    /// `span_id`, as it came: 8 bytes if [`Span::valid_ids`].
    pub span_id: Slice,
    /// `parent_span_id`, as it came: 8 bytes or none if [`Span::valid_ids`].
    pub parent_span_id: Slice,
    /// `trace_state`
    pub trace_state: Slice,
    /// `name`
    pub name: Slice,
    /// `status.message`
    pub status_message: Slice,
    /// Nanoseconds since the Unix epoch.
    pub start_time: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_time: u64,
    /// `status.code`, OTLP's number.
    pub status_code: i32,
    /// `kind`, OTLP's number.
    pub kind: i32,
    /// `flags`
    pub flags: u32,
    /// `dropped_attributes_count`
    pub dropped_attributes: u32,
    /// `dropped_events_count`
    pub dropped_events: u32,
    /// `dropped_links_count`
    pub dropped_links: u32,
    /// In [`Batch::attributes`].
    pub attributes: Run,
    /// In [`Batch::events`].
    pub events: Run,
    /// In [`Batch::links`].
    pub links: Run,
    /// In [`Batch::scopes`].
    pub scope: u32,
    /// In [`Batch::requests`].
    pub request: u32,
    /// What edits have changed.
    pub changes: Changes,
    /// Whether its trace and span id have the right lengths and are not all zero, and its parent id is whole or absent.
    pub valid_ids: bool,
    /// Whether a plugin has dropped it, or it was refused.
    pub dropped: bool,
    /// Whether that was by sampling: other spans stand for it then, by their weight.
    pub sampled_out: bool,
    /// How many spans stand behind it since a plugin that chooses by itself has said so; 0 where none has. See [`weight`](crate::weight).
    pub weighed: f32,
}

/// One `ScopeSpans`, or a copy that an edit of some of its spans has made.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// The whole field in its `ResourceSpans`.
    pub field: Slice,
    /// The body of the `ScopeSpans`.
    pub body: Slice,
    /// `scope.name`
    pub name: Slice,
    /// `scope.version`
    pub version: Slice,
    /// `schema_url` of the `ScopeSpans`.
    pub schema_url: Slice,
    /// In [`Batch::attributes`].
    pub attributes: Run,
    /// In how many pieces the `InstrumentationScope` came.
    pub pieces: u32,
    /// In [`Batch::resources`].
    pub resource: u32,
    /// The rows that came in it; a copy has those of its original.
    pub rows: Run,
    /// Which scope it is a copy of: its own number if it is none.
    pub original: u32,
    /// What edits have changed.
    pub changes: Changes,
}

/// One `ResourceSpans`, or a copy that an edit of some of its spans has made.
#[derive(Debug, Clone, Copy)]
pub struct Resource {
    /// The whole field in the request.
    pub field: Slice,
    /// The body of the `ResourceSpans`.
    pub body: Slice,
    /// `schema_url` of the `ResourceSpans`.
    pub schema_url: Slice,
    /// In [`Batch::attributes`].
    pub attributes: Run,
    /// In how many pieces the `Resource` came.
    pub pieces: u32,
    /// The scopes that came in it, in [`Batch::scopes`]; a copy has those of its original.
    pub scopes: Run,
    /// The rows that came in it; a copy has those of its original.
    pub rows: Run,
    /// Which resource it is a copy of: its own number if it is none.
    pub original: u32,
    /// What edits have changed.
    pub changes: Changes,
}

/// One request to load.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// An `ExportTraceServiceRequest` (or `TracesData`) as it came, uncompressed.
    pub body: Bytes,
    /// What came with it.
    pub context: Arc<RequestContext>,
}

/// The spans of one or more requests that travel together. See the module's text.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(crate) bytes: Bytes,
    pub(crate) arena: Vec<u8>,
    pub(crate) spans: Vec<Span>,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) events: Vec<Part>,
    pub(crate) links: Vec<Part>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) requests: Vec<RequestRows>,
    pub(crate) live: u32,
    /// How many bytes the index took when the batch had been loaded.
    loaded: usize,
}

/// Indexes a request at a part of the bytes.
type Append = fn(&mut Batch, Slice, &Incoming) -> Result<(), Malformed>;

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces what the batch holds by these requests, in order, and keeps its memory. One request is taken without a
    /// copy; several are joined into one run of bytes. A malformed request contributes nothing, and the answer has its
    /// reason at its place; the others are loaded all the same. So is one whose index would take more than
    /// [`index::MOST_FOR_EACH_BYTE`] times its bytes (and more than [`index::LEAST_MOST`]), which no sender of spans with
    /// ids comes near.
    pub fn load(&mut self, requests: &[Incoming]) -> Vec<Result<(), Malformed>> {
        self.load_with(requests, index::append)
    }

    /// The same for spans that were taken before, in whatever company: how large an index may be was judged then.
    pub fn load_again(&mut self, requests: &[Incoming]) -> Vec<Result<(), Malformed>> {
        self.load_with(requests, index::append_any)
    }

    fn load_with(&mut self, requests: &[Incoming], append: Append) -> Vec<Result<(), Malformed>> {
        let outcomes = self.index(requests, append);
        self.loaded = self.index_bytes();
        outcomes
    }

    fn index(&mut self, requests: &[Incoming], append: Append) -> Vec<Result<(), Malformed>> {
        self.clear();
        if let [only] = requests {
            self.bytes = only.body.clone();
            let whole = Slice { at: 0, len: u32::try_from(only.body.len()).unwrap_or(u32::MAX) };
            return vec![append(self, whole, only)];
        }
        let mut joined = Vec::with_capacity(requests.iter().map(|request| request.body.len()).sum());
        for request in requests {
            joined.extend_from_slice(&request.body);
        }
        self.bytes = Bytes::from(joined);
        let mut at = 0usize;
        let mut outcomes = Vec::with_capacity(requests.len());
        for request in requests {
            let part = Slice {
                at: u32::try_from(at).unwrap_or(u32::MAX),
                len: u32::try_from(request.body.len()).unwrap_or(u32::MAX),
            };
            outcomes.push(append(self, part, request));
            at += request.body.len();
        }
        outcomes
    }

    /// Forgets everything, lets go of the bytes, and keeps as much memory as usual batches need.
    pub fn clear(&mut self) {
        self.bytes = Bytes::new();
        empty(&mut self.arena);
        empty(&mut self.spans);
        empty(&mut self.attributes);
        empty(&mut self.events);
        empty(&mut self.links);
        empty(&mut self.scopes);
        empty(&mut self.resources);
        empty(&mut self.requests);
        self.live = 0;
        self.loaded = 0;
    }

    /// How many bytes the index and the arena take, beside the requests' own bytes. The memory that is reserved may be
    /// twice as much.
    #[inline]
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.arena.len() + self.index_bytes()
    }

    /// How many bytes its requests have.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many bytes the arena takes, and what edits have added to the index.
    #[must_use]
    pub fn edited_bytes(&self) -> usize {
        self.arena.len() + self.index_bytes().saturating_sub(self.loaded)
    }

    #[inline]
    fn index_bytes(&self) -> usize {
        size_of_val(&self.spans[..])
            + size_of_val(&self.attributes[..])
            + size_of_val(&self.events[..])
            + size_of_val(&self.links[..])
            + size_of_val(&self.scopes[..])
            + size_of_val(&self.resources[..])
    }

    /// How many rows there are, dropped ones included.
    #[must_use]
    pub fn rows(&self) -> u32 {
        self.spans.len() as u32
    }

    /// How many rows are not dropped.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live
    }

    /// The rows, by number.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The requests that the rows came with.
    #[must_use]
    pub fn requests(&self) -> &[RequestRows] {
        &self.requests
    }

    /// The scope of a span.
    #[must_use]
    pub fn scope(&self, span: &Span) -> &Scope {
        &self.scopes[span.scope as usize]
    }

    /// The resource of a span.
    #[must_use]
    pub fn resource(&self, span: &Span) -> &Resource {
        &self.resources[self.scope(span).resource as usize]
    }

    /// The attributes of a span, a scope or a resource.
    #[must_use]
    pub fn attributes(&self, run: Run) -> &[Attribute] {
        &self.attributes[run.range()]
    }

    /// The bytes at a slice, from the original bytes or from the arena.
    #[inline]
    #[must_use]
    pub fn get(&self, slice: Slice) -> &[u8] {
        let (buffer, at) = if slice.at < ARENA {
            (&self.bytes[..], slice.at as usize)
        } else {
            (&self.arena[..], (slice.at - ARENA) as usize)
        };
        &buffer[at..at + slice.len as usize]
    }

    /// The id of a span's parent. A root has none: it is absent, or all zero as some senders write it.
    #[must_use]
    pub fn parent(&self, span: &Span) -> Option<&[u8]> {
        crate::find::id(self, span.parent_span_id)
    }

    /// Puts bytes into the arena and says where they are. What would reach beyond [`MOST_ARENA`] is not taken, and reads
    /// as empty: [`crate::edit::check`] refuses edits long before that.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Slice {
        if bytes.len() > MOST_ARENA - self.arena.len() {
            return Slice::EMPTY;
        }
        let at = self.arena_at();
        self.arena.extend_from_slice(bytes);
        Slice { at, len: bytes.len() as u32 }
    }

    /// Where the next byte of the arena will be; see [`Batch::since`].
    #[inline]
    pub(crate) fn arena_at(&self) -> u32 {
        self.arena.len() as u32 + ARENA
    }

    /// What has been appended to the arena since it ended at `at`; taken back, as by [`Batch::put`], if it is too much.
    #[inline]
    pub(crate) fn since(&mut self, at: u32) -> Slice {
        if self.arena.len() > MOST_ARENA {
            self.arena.truncate((at - ARENA) as usize);
            return Slice::EMPTY;
        }
        Slice { at, len: self.arena_at() - at }
    }

    /// Appends bytes of the batch to the arena.
    #[inline]
    pub(crate) fn append(&mut self, slice: Slice) {
        if slice.at < ARENA {
            self.arena.extend_from_slice(&self.bytes[slice.at as usize..slice.end() as usize]);
        } else {
            let at = (slice.at - ARENA) as usize;
            self.arena.extend_from_within(at..at + slice.len as usize);
        }
    }

    /// Takes a row out of the batch: it will not be encoded. Nothing happens to a row that is dropped already.
    pub fn drop_row(&mut self, row: u32) {
        let span = &mut self.spans[row as usize];
        if span.dropped {
            return;
        }
        span.dropped = true;
        self.live -= 1;
        let scope = span.scope as usize;
        self.touch_owners(scope);
    }

    /// Notes that something below a scope has changed, so that neither it nor its resource can be copied whole.
    pub(crate) fn touch_owners(&mut self, scope: usize) {
        let scope = &mut self.scopes[scope];
        scope.changes.add(Changes::BELOW);
        let (original, resource) = (scope.original as usize, scope.resource as usize);
        self.scopes[original].changes.add(Changes::BELOW);
        self.resources[resource].changes.add(Changes::BELOW);
        let original = self.resources[resource].original as usize;
        self.resources[original].changes.add(Changes::BELOW);
    }
}

/// Empties a list, and gives back what is beyond [`KEPT`].
fn empty<T>(list: &mut Vec<T>) {
    list.clear();
    list.shrink_to(KEPT / size_of::<T>());
}

#[cfg(test)]
mod tests;
