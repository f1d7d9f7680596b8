//! Bytes to index, in one pass: where each part of each span stands. Refuses what is malformed, with the reason.
//!
//! Reads fields in any order, merges sub-messages that came in pieces, lets the last of a repeated scalar win, as
//! protobuf asks. What is unknown is skipped here and stays in the bytes.

use crate::batch::{Attribute, Batch, Changes, Incoming, Origin, Part, RequestRows, Resource, Run, Scope, Span};
use crate::value;
use crate::wire::{Field, Reader, Slice, WireError, WireFault, tag};

pub(crate) mod parts;

pub(crate) use parts::{event_field, link_field};

/// Field numbers of the trace messages.
pub mod field {
    /// `ExportTraceServiceRequest.resource_spans`
    pub const RESOURCE_SPANS: u32 = 1;
    /// `ResourceSpans.resource` and `ScopeSpans.scope`
    pub const OWNER: u32 = 1;
    /// `ResourceSpans.scope_spans` and `ScopeSpans.spans`
    pub const CHILDREN: u32 = 2;
    /// `ResourceSpans.schema_url` and `ScopeSpans.schema_url`
    pub const SCHEMA_URL: u32 = 3;
    /// `Resource.attributes`
    pub const RESOURCE_ATTRIBUTES: u32 = 1;
    /// `Resource.dropped_attributes_count`
    pub const RESOURCE_DROPPED: u32 = 2;
    /// `InstrumentationScope.name`
    pub const SCOPE_NAME: u32 = 1;
    /// `InstrumentationScope.version`
    pub const SCOPE_VERSION: u32 = 2;
    /// `InstrumentationScope.attributes`
    pub const SCOPE_ATTRIBUTES: u32 = 3;
    /// `InstrumentationScope.dropped_attributes_count`
    pub const SCOPE_DROPPED: u32 = 4;
    /// `Span.trace_id`
    pub const TRACE_ID: u32 = 1;
    /// `Span.span_id`
    pub const SPAN_ID: u32 = 2;
    /// `Span.trace_state`
    pub const TRACE_STATE: u32 = 3;
    /// `Span.parent_span_id`
    pub const PARENT_SPAN_ID: u32 = 4;
    /// `Span.name`
    pub const NAME: u32 = 5;
    /// `Span.kind`
    pub const KIND: u32 = 6;
    /// `Span.start_time_unix_nano`
    pub const START_TIME: u32 = 7;
    /// `Span.end_time_unix_nano`
    pub const END_TIME: u32 = 8;
    /// `Span.attributes`
    pub const ATTRIBUTES: u32 = 9;
    /// `Span.dropped_attributes_count`
    pub const DROPPED_ATTRIBUTES: u32 = 10;
    /// `Span.events`
    pub const EVENTS: u32 = 11;
    /// `Span.dropped_events_count`
    pub const DROPPED_EVENTS: u32 = 12;
    /// `Span.links`
    pub const LINKS: u32 = 13;
    /// `Span.dropped_links_count`
    pub const DROPPED_LINKS: u32 = 14;
    /// `Span.status`
    pub const STATUS: u32 = 15;
    /// `Span.flags`
    pub const FLAGS: u32 = 16;
    /// `Status.message`
    pub const STATUS_MESSAGE: u32 = 2;
    /// `Status.code`
    pub const STATUS_CODE: u32 = 3;
}

/// Why a request is not OTLP trace data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed OTLP trace data: {error}, in {place}")]
pub struct Malformed {
    /// What is wrong, and at which byte of the uncompressed request.
    pub error: WireError,
    /// In which message.
    pub place: &'static str,
}

/// How many bytes the index of a request may take for each byte of it. Spans with no more than their ids take five, empty
/// ones seventy.
pub const MOST_FOR_EACH_BYTE: usize = 8;
/// What the index of the smallest request may take, in bytes.
pub const LEAST_MOST: usize = 64 << 10;

/// How deep each message stands, counted from the request.
mod depth {
    pub(super) const SPAN: u32 = 3;
    pub(super) const OWNER_ATTRIBUTE: u32 = 3;
    pub(super) const SCOPE_ATTRIBUTE: u32 = 4;
    pub(super) const SPAN_ATTRIBUTE: u32 = SPAN + 1;
    pub(super) const EVENT_ATTRIBUTE: u32 = SPAN + 2;
}

fn at(place: &'static str) -> impl Fn(WireError) -> Malformed {
    move |error| Malformed { error, place }
}

/// Indexes the request at `part` of the batch's bytes, and appends its rows. On failure the batch is as before.
pub(crate) fn append(batch: &mut Batch, part: Slice, request: &Incoming) -> Result<(), Malformed> {
    let most = batch.held_bytes() + (part.len as usize * MOST_FOR_EACH_BYTE).max(LEAST_MOST);
    append_within(batch, part, request, most)
}

/// The same, however large the index becomes.
pub(crate) fn append_any(batch: &mut Batch, part: Slice, request: &Incoming) -> Result<(), Malformed> {
    append_within(batch, part, request, usize::MAX)
}

fn append_within(batch: &mut Batch, part: Slice, request: &Incoming, most: usize) -> Result<(), Malformed> {
    let before = Mark::of(batch);
    let bytes = batch.bytes.clone();
    let outcome = Indexer { bytes: &bytes, batch, most }.request(part, request);
    match outcome {
        Ok(()) => Ok(()),
        Err(mut malformed) => {
            before.restore(batch);
            // Offsets are told as the sender counts them.
            malformed.error.offset = malformed.error.offset.saturating_sub(part.at);
            Err(malformed)
        }
    }
}

/// How long the lists were.
struct Mark {
    arena: usize,
    spans: usize,
    attributes: usize,
    events: usize,
    links: usize,
    scopes: usize,
    resources: usize,
    live: u32,
}

impl Mark {
    fn of(batch: &Batch) -> Self {
        Self {
            arena: batch.arena.len(),
            spans: batch.spans.len(),
            attributes: batch.attributes.len(),
            events: batch.events.len(),
            links: batch.links.len(),
            scopes: batch.scopes.len(),
            resources: batch.resources.len(),
            live: batch.live,
        }
    }

    fn restore(&self, batch: &mut Batch) {
        batch.arena.truncate(self.arena);
        batch.spans.truncate(self.spans);
        batch.attributes.truncate(self.attributes);
        batch.events.truncate(self.events);
        batch.links.truncate(self.links);
        batch.scopes.truncate(self.scopes);
        batch.resources.truncate(self.resources);
        batch.live = self.live;
    }
}

/// What stands in a `ResourceSpans` or `ScopeSpans` beside its children.
struct Found {
    /// The body of the `ResourceSpans` or `ScopeSpans`.
    body: Slice,
    /// The last piece of its owner, the `Resource` or `InstrumentationScope`.
    piece: Slice,
    /// In how many pieces the owner came.
    pieces: u32,
    schema_url: Slice,
}

struct Indexer<'a, 'b> {
    /// The batch's own bytes, borrowed apart from it, so that they can be read while the lists grow.
    bytes: &'a [u8],
    batch: &'b mut Batch,
    /// How many bytes the batch may hold with this request's index. Invariant: what takes more of the index than
    /// [`MOST_FOR_EACH_BYTE`] of its own bytes asks [`Indexer::room`] before the next such.
    most: usize,
}

impl Indexer<'_, '_> {
    fn request(&mut self, part: Slice, request: &Incoming) -> Result<(), Malformed> {
        let place = at("ExportTraceServiceRequest");
        if u64::from(part.at) + u64::from(part.len) >= u64::from(crate::batch::ARENA) {
            return Err(place(WireError { kind: WireFault::TooLarge, offset: part.at }));
        }
        let first = self.batch.rows();
        let first_resource = self.batch.resources.len() as u32;
        let bytes = self.bytes;
        let mut reader = Reader::within(bytes, part);
        while let Some(f) = reader.next().map_err(&place)? {
            if f.number == field::RESOURCE_SPANS {
                let body = f.bytes().map_err(&place)?;
                self.resource_spans(Slice::between(f.start, f.end), body)?;
            }
        }
        let rows = Run { start: first, len: self.batch.rows() - first };
        self.batch.live += rows.len;
        let resources = Run { start: first_resource, len: self.batch.resources.len() as u32 - first_resource };
        self.batch.requests.push(RequestRows { context: request.context.clone(), rows, body: part, resources });
        Ok(())
    }

    fn resource_spans(&mut self, whole: Slice, body: Slice) -> Result<(), Malformed> {
        let number = self.batch.resources.len();
        let mut resource = Resource {
            field: whole,
            body,
            schema_url: Slice::EMPTY,
            attributes: Run::default(),
            pieces: 0,
            scopes: Run { start: self.batch.scopes.len() as u32, len: 0 },
            rows: Run { start: self.batch.rows(), len: 0 },
            original: number as u32,
            changes: Changes::default(),
        };
        self.batch.resources.push(resource);
        self.room(whole.at).map_err(at("ResourceSpans"))?;
        let found = self
            .children("ResourceSpans", body, |indexer, whole, body| indexer.scope_spans(whole, body, number as u32))?;
        resource.schema_url = found.schema_url;
        resource.pieces = found.pieces;
        resource.attributes = self
            .owner(&found, field::RESOURCE_ATTRIBUTES, depth::OWNER_ATTRIBUTE, |f| {
                if f.number == field::RESOURCE_DROPPED {
                    f.varint()?;
                }
                Ok(())
            })
            .map_err(at("Resource"))?;
        resource.scopes.len = self.batch.scopes.len() as u32 - resource.scopes.start;
        resource.rows.len = self.batch.rows() - resource.rows.start;
        self.batch.resources[number] = resource;
        Ok(())
    }

    fn scope_spans(&mut self, whole: Slice, body: Slice, resource: u32) -> Result<(), Malformed> {
        let number = self.batch.scopes.len();
        let mut scope = Scope {
            field: whole,
            body,
            name: Slice::EMPTY,
            version: Slice::EMPTY,
            schema_url: Slice::EMPTY,
            attributes: Run::default(),
            pieces: 0,
            resource,
            rows: Run { start: self.batch.rows(), len: 0 },
            original: number as u32,
            changes: Changes::default(),
        };
        self.batch.scopes.push(scope);
        self.room(whole.at).map_err(at("ScopeSpans"))?;
        let request = self.batch.requests.len() as u32;
        let found = self
            .children("ScopeSpans", body, |indexer, whole, body| indexer.span(whole, body, number as u32, request))?;
        scope.schema_url = found.schema_url;
        scope.pieces = found.pieces;
        scope.attributes = self
            .owner(&found, field::SCOPE_ATTRIBUTES, depth::SCOPE_ATTRIBUTE, |f| {
                match f.number {
                    field::SCOPE_NAME => scope.name = f.bytes()?,
                    field::SCOPE_VERSION => scope.version = f.bytes()?,
                    field::SCOPE_DROPPED => drop(f.varint()?),
                    _ => {}
                }
                Ok(())
            })
            .map_err(at("InstrumentationScope"))?;
        scope.rows.len = self.batch.rows() - scope.rows.start;
        self.batch.scopes[number] = scope;
        Ok(())
    }

    /// Reads a `ResourceSpans` or `ScopeSpans`, whose fields have the same numbers: hands over each child, whole and its
    /// body, and says what else stands there.
    #[inline]
    fn children(
        &mut self,
        name: &'static str,
        body: Slice,
        mut child: impl FnMut(&mut Self, Slice, Slice) -> Result<(), Malformed>,
    ) -> Result<Found, Malformed> {
        let place = at(name);
        let mut found = Found { body, piece: Slice::EMPTY, pieces: 0, schema_url: Slice::EMPTY };
        let mut reader = Reader::within(self.bytes, body);
        while let Some(f) = reader.next().map_err(&place)? {
            match f.number {
                field::OWNER => {
                    found.piece = f.bytes().map_err(&place)?;
                    found.pieces += 1;
                }
                field::CHILDREN => {
                    let body = f.bytes().map_err(&place)?;
                    child(self, Slice::between(f.start, f.end), body)?;
                }
                field::SCHEMA_URL => found.schema_url = f.bytes().map_err(&place)?,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Reads a `Resource` or an `InstrumentationScope` after what is below it, so that its attributes stand together however
    /// many pieces it came in: pieces merge. Hands over its other fields, and says where its attributes are.
    fn owner(
        &mut self,
        found: &Found,
        attributes: u32,
        depth: u32,
        mut other: impl FnMut(Field) -> Result<(), WireError>,
    ) -> Result<Run, WireError> {
        let mut run = Run { start: self.batch.attributes.len() as u32, len: 0 };
        let mut piece = |indexer: &mut Self, piece: Slice| {
            let mut reader = Reader::within(indexer.bytes, piece);
            while let Some(f) = reader.next()? {
                if f.number == attributes {
                    indexer.attribute(f.bytes()?, depth, run.len)?;
                    run.len += 1;
                } else {
                    other(f)?;
                }
            }
            Ok(())
        };
        if found.pieces <= 1 {
            piece(self, found.piece)?;
        } else {
            let mut reader = Reader::within(self.bytes, found.body);
            while let Some(f) = reader.next()? {
                if f.number == field::OWNER {
                    piece(self, f.bytes()?)?;
                }
            }
        }
        Ok(run)
    }

    #[inline]
    fn attribute(&mut self, part: Slice, depth: u32, ordinal: u32) -> Result<(), WireError> {
        let (key, value) = match value::plain_pair(self.bytes, part) {
            Some(pair) => pair,
            None => self.odd_attribute(part, depth)?,
        };
        self.batch.attributes.push(Attribute { key, value, origin: Origin::at(ordinal) });
        Ok(())
    }

    /// Any attribute: checked, and brought into canonical form. The plain ones are so already, and not nested deep.
    #[cold]
    fn odd_attribute(&mut self, part: Slice, depth: u32) -> Result<(Slice, Slice), WireError> {
        self.room(part.at)?;
        if let Some(pair) = value::check_pair(self.bytes, part, depth)? {
            return Ok(pair);
        }
        let body = &self.bytes[part.at as usize..part.end() as usize];
        let (key, value) = value::canonical::split_pair(body);
        Ok((self.batch.put(&key), self.batch.put(&value)))
    }

    /// Whether the index may grow further; `at` is where it has grown last.
    #[inline]
    fn room(&self, at: u32) -> Result<(), WireError> {
        if self.batch.held_bytes() <= self.most {
            return Ok(());
        }
        Err(WireError { kind: WireFault::TooManyParts, offset: at })
    }

    fn span(&mut self, whole: Slice, body: Slice, scope: u32, request: u32) -> Result<(), Malformed> {
        let place = at("Span");
        let mut span = Span {
            field: whole,
            body,
            trace_id: Slice::EMPTY,
            span_id: Slice::EMPTY,
            parent_span_id: Slice::EMPTY,
            trace_state: Slice::EMPTY,
            name: Slice::EMPTY,
            status_message: Slice::EMPTY,
            start_time: 0,
            end_time: 0,
            status_code: 0,
            kind: 0,
            flags: 0,
            dropped_attributes: 0,
            dropped_events: 0,
            dropped_links: 0,
            attributes: Run { start: self.batch.attributes.len() as u32, len: 0 },
            events: Run { start: self.batch.events.len() as u32, len: 0 },
            links: Run { start: self.batch.links.len() as u32, len: 0 },
            scope,
            request,
            changes: Changes::default(),
            valid_ids: false,
            dropped: false,
            sampled_out: false,
            weighed: 0.0,
        };
        let bytes = self.bytes;
        let mut reader = Reader::within(bytes, body);
        head(&mut reader, &mut span);
        loop {
            // Attributes are most of a span's fields, and short ones most of them.
            while let Some((key, value)) = value::next_short_pair(&mut reader, tag(field::ATTRIBUTES, 2)) {
                self.batch.attributes.push(Attribute { key, value, origin: Origin::short(span.attributes.len) });
                span.attributes.len += 1;
            }
            if let Some(pair) = reader.short_bytes(tag(field::ATTRIBUTES, 2)) {
                self.attribute(pair, depth::SPAN_ATTRIBUTE, span.attributes.len).map_err(&place)?;
                span.attributes.len += 1;
                continue;
            }
            let Some(f) = reader.next().map_err(&place)? else { break };
            (|| {
                match f.number {
                    field::ATTRIBUTES => {
                        self.attribute(f.bytes()?, depth::SPAN_ATTRIBUTE, span.attributes.len)?;
                        span.attributes.len += 1;
                    }
                    field::TRACE_ID => span.trace_id = f.bytes()?,
                    field::SPAN_ID => span.span_id = f.bytes()?,
                    field::TRACE_STATE => span.trace_state = f.bytes()?,
                    field::PARENT_SPAN_ID => span.parent_span_id = f.bytes()?,
                    field::NAME => span.name = f.bytes()?,
                    field::KIND => span.kind = f.varint()? as i32,
                    field::START_TIME => span.start_time = f.fixed64()?,
                    field::END_TIME => span.end_time = f.fixed64()?,
                    field::DROPPED_ATTRIBUTES => span.dropped_attributes = f.varint()? as u32,
                    field::EVENTS => {
                        let body = parts::event(self.batch, bytes, f.bytes()?)?;
                        self.batch.events.push(Part { body, origin: Origin::at(span.events.len) });
                        span.events.len += 1;
                    }
                    field::DROPPED_EVENTS => span.dropped_events = f.varint()? as u32,
                    field::LINKS => {
                        let body = parts::link(self.batch, bytes, f.bytes()?)?;
                        self.batch.links.push(Part { body, origin: Origin::at(span.links.len) });
                        span.links.len += 1;
                    }
                    field::DROPPED_LINKS => span.dropped_links = f.varint()? as u32,
                    field::STATUS => parts::status(bytes, f.bytes()?, &mut span)?,
                    field::FLAGS => span.flags = f.fixed32()?,
                    _ => {}
                }
                Ok(())
            })()
            .map_err(&place)?;
        }
        span.valid_ids = is_id::<16>(bytes, span.trace_id)
            && is_id::<8>(bytes, span.span_id)
            && (span.parent_span_id.is_empty() || span.parent_span_id.len == 8);
        self.batch.spans.push(span);
        self.room(whole.at).map_err(place)
    }
}

/// Reads what senders write first, if it stands there in the order of the numbers: without asking of each field which it is.
#[inline]
fn head(reader: &mut Reader<'_>, span: &mut Span) {
    for (number, slot) in [
        (field::TRACE_ID, &mut span.trace_id),
        (field::SPAN_ID, &mut span.span_id),
        (field::TRACE_STATE, &mut span.trace_state),
        (field::PARENT_SPAN_ID, &mut span.parent_span_id),
        (field::NAME, &mut span.name),
    ] {
        if let Some(bytes) = reader.short_bytes(tag(number, 2)) {
            *slot = bytes;
        }
    }
    if let Some(kind) = reader.short_varint(tag(field::KIND, 0)) {
        span.kind = kind.into();
    }
    if let Some(time) = reader.short_fixed64(tag(field::START_TIME, 1)) {
        span.start_time = time;
    }
    if let Some(time) = reader.short_fixed64(tag(field::END_TIME, 1)) {
        span.end_time = time;
    }
}

/// Whether an id has its length and is not all zero.
#[inline]
fn is_id<const LEN: usize>(bytes: &[u8], id: Slice) -> bool {
    id.len as usize == LEN && bytes[id.at as usize..].first_chunk::<LEN>().is_some_and(|id| *id != [0; LEN])
}

#[cfg(test)]
mod tests;
