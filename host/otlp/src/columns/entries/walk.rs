//! Walking the values of a row, or of what rows share, in the order in which entries show them.
//!
//! One walk serves both the column and finding an entry again when it is edited, so that both count alike.

use crate::batch::{Batch, Part, Run, Span};
use crate::index::{event_field, link_field};
use crate::path::Path;
use crate::value::{self, Value};
use crate::wire::{Payload, Reader, Slice};

/// Where a value stands, keys apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Base {
    Name,
    TraceState,
    StatusMessage,
    Attribute,
    EventName,
    EventTime,
    EventAttribute,
    LinkTraceId,
    LinkSpanId,
    LinkTraceState,
    LinkAttribute,
    ScopeName,
    ScopeVersion,
    ScopeSchemaUrl,
    ScopeAttribute,
    ResourceSchemaUrl,
    ResourceAttribute,
}

/// The place of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'n, 'b> {
    pub(crate) base: Base,
    /// The attribute's key.
    pub(crate) key: &'b [u8],
    /// The keys of nested maps.
    pub(crate) nested: &'n [&'b [u8]],
    /// Of the attribute, event or link: its place in the batch's list.
    pub(crate) part: u32,
}

/// What is done with each value.
pub(crate) trait Visit<'b> {
    /// `at` is where the value stands in its attribute's value, its event or its link: the body of an `AnyValue`, or a
    /// whole field where there is no `AnyValue`.
    fn value(&mut self, place: &Place<'_, 'b>, value: Value<'_>, at: Slice);
}

/// Which attributes of a list are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys<'p> {
    None,
    All,
    One(&'p [u8]),
}

/// What a path for many places shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shows<'p> {
    texts: bool,
    /// Numbers, booleans and bytes too.
    all_types: bool,
    attributes: Keys<'p>,
    event_names: bool,
    /// Times of events and ids of links, and names even if they are empty.
    whole_parts: bool,
    event_attributes: Keys<'p>,
    link_states: bool,
    link_attributes: Keys<'p>,
    scope: Keys<'p>,
    resource: Keys<'p>,
}

impl<'p> Shows<'p> {
    pub(crate) fn of(path: &'p Path) -> Self {
        let nothing = Self {
            texts: false,
            all_types: true,
            attributes: Keys::None,
            event_names: false,
            whole_parts: false,
            event_attributes: Keys::None,
            link_states: false,
            link_attributes: Keys::None,
            scope: Keys::None,
            resource: Keys::None,
        };
        match path {
            Path::Attributes => Self { attributes: Keys::All, ..nothing },
            Path::Attribute(key) => Self { attributes: Keys::One(key.as_bytes()), ..nothing },
            Path::ResourceAttributes => Self { resource: Keys::All, ..nothing },
            Path::ResourceAttribute(key) => Self { resource: Keys::One(key.as_bytes()), ..nothing },
            Path::ScopeAttributes => Self { scope: Keys::All, ..nothing },
            Path::ScopeAttribute(key) => Self { scope: Keys::One(key.as_bytes()), ..nothing },
            Path::Events => Self { event_names: true, whole_parts: true, event_attributes: Keys::All, ..nothing },
            Path::EventName => Self { event_names: true, ..nothing },
            Path::EventAttribute(key) => Self { event_attributes: Keys::One(key.as_bytes()), ..nothing },
            Path::Links => Self { link_states: true, whole_parts: true, link_attributes: Keys::All, ..nothing },
            Path::LinkAttribute(key) => Self { link_attributes: Keys::One(key.as_bytes()), ..nothing },
            Path::Strings | Path::Values => Self {
                texts: true,
                all_types: *path == Path::Values,
                attributes: Keys::All,
                event_names: true,
                whole_parts: false,
                event_attributes: Keys::All,
                link_states: true,
                link_attributes: Keys::All,
                scope: Keys::All,
                resource: Keys::All,
            },
            _ => nothing,
        }
    }

    pub(crate) fn shows_scopes(&self) -> bool {
        self.scope != Keys::None
    }

    pub(crate) fn shows_resources(&self) -> bool {
        self.resource != Keys::None
    }

    pub(crate) fn all_types(&self) -> bool {
        self.all_types
    }
}

/// Walks a span's own values.
#[inline]
pub(crate) fn span<'b, V: Visit<'b>>(batch: &'b Batch, span: &Span, shows: &Shows<'_>, visit: &mut V) {
    if shows.texts {
        text(batch, Base::Name, span.name, visit);
        text(batch, Base::TraceState, span.trace_state, visit);
        text(batch, Base::StatusMessage, span.status_message, visit);
    }
    attributes(batch, Base::Attribute, span.attributes, shows.attributes, shows.all_types, visit);
    if span.events.len > 0 && (shows.event_names || shows.event_attributes != Keys::None) {
        for at in span.events.range() {
            event(batch, at as u32, batch.events[at], shows, visit);
        }
    }
    if span.links.len > 0 && (shows.link_states || shows.link_attributes != Keys::None) {
        for at in span.links.range() {
            link(batch, at as u32, batch.links[at], shows, visit);
        }
    }
}

/// Walks the values of a scope.
pub(crate) fn scope<'b, V: Visit<'b>>(batch: &'b Batch, number: u32, shows: &Shows<'_>, visit: &mut V) {
    let scope = &batch.scopes[number as usize];
    if shows.texts {
        text(batch, Base::ScopeName, scope.name, visit);
        text(batch, Base::ScopeVersion, scope.version, visit);
        text(batch, Base::ScopeSchemaUrl, scope.schema_url, visit);
    }
    attributes(batch, Base::ScopeAttribute, scope.attributes, shows.scope, shows.all_types, visit);
}

/// Walks the values of a resource.
pub(crate) fn resource<'b, V: Visit<'b>>(batch: &'b Batch, number: u32, shows: &Shows<'_>, visit: &mut V) {
    let resource = &batch.resources[number as usize];
    if shows.texts {
        text(batch, Base::ResourceSchemaUrl, resource.schema_url, visit);
    }
    attributes(batch, Base::ResourceAttribute, resource.attributes, shows.resource, shows.all_types, visit);
}

#[inline]
fn text<'b, V: Visit<'b>>(batch: &'b Batch, base: Base, text: Slice, visit: &mut V) {
    if !text.is_empty() {
        let place = Place { base, key: &[], nested: &[], part: 0 };
        visit.value(&place, Value::Text(batch.get(text)), Slice::EMPTY);
    }
}

#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "each visitor has its own loop, and calls from it cost more than what they do"
)]
fn attributes<'b, V: Visit<'b>>(
    batch: &'b Batch,
    base: Base,
    run: Run,
    keys: Keys<'_>,
    all_types: bool,
    visit: &mut V,
) {
    if keys == Keys::None {
        return;
    }
    for at in run.range() {
        let attribute = &batch.attributes[at];
        let key = batch.get(attribute.key);
        if let Keys::One(one) = keys
            && one != key
        {
            continue;
        }
        let body = batch.get(attribute.value);
        let place = Place { base, key, nested: &[], part: at as u32 };
        any(&place, body, Slice { at: 0, len: attribute.value.len }, all_types, visit);
    }
}

/// Walks the `AnyValue` at `at` of a part.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `attributes`")]
fn any<'b, V: Visit<'b>>(place: &Place<'_, 'b>, part: &'b [u8], at: Slice, all_types: bool, visit: &mut V) {
    let body = &part[at.at as usize..at.end() as usize];
    match value::read(body) {
        Value::Empty => {}
        value @ Value::Text(_) => visit.value(place, value, at),
        Value::Array(list) => nested(place, part, list, false, all_types, visit),
        Value::Map(list) => nested(place, part, list, true, all_types, visit),
        value if all_types => visit.value(place, value, at),
        _ => {}
    }
}

#[cold]
fn nested<'b, V: Visit<'b>>(
    place: &Place<'_, 'b>,
    part: &'b [u8],
    list: &'b [u8],
    map: bool,
    all_types: bool,
    visit: &mut V,
) {
    // The list lies in the part, so this is where.
    let from = (list.as_ptr().addr() - part.as_ptr().addr()) as u32;
    let moved = |slice: Slice| Slice { at: slice.at + from, len: slice.len };
    if map {
        for (key, value) in value::pairs(list) {
            let key = &list[key.at as usize..key.end() as usize];
            let keys: Vec<&'b [u8]> = place.nested.iter().copied().chain([key]).collect();
            // An absent value's place is of no account, but it must not be moved beyond the part.
            let value = if value.is_empty() { value } else { moved(value) };
            any(&Place { nested: &keys, ..*place }, part, value, all_types, visit);
        }
    } else {
        for element in value::elements(list) {
            any(place, part, moved(element), all_types, visit);
        }
    }
}

fn event<'b, V: Visit<'b>>(batch: &'b Batch, part: u32, event: Part, shows: &Shows<'_>, visit: &mut V) {
    let body = batch.get(event.body);
    let place = |base| Place { base, key: &[], nested: &[], part };
    if shows.event_names {
        let (name, at) = field_of(body, event_field::NAME);
        if shows.whole_parts || !name.is_empty() {
            visit.value(&place(Base::EventName), Value::Text(name), at);
        }
    }
    // Before the attributes, wherever the sender has put it.
    if shows.whole_parts
        && let Some((time, at)) = time_of(body)
    {
        visit.value(&place(Base::EventTime), Value::Integer(i64::try_from(time).unwrap_or(i64::MAX)), at);
    }
    let mut reader = Reader::new(body);
    while let Ok(Some(f)) = reader.next() {
        if let (event_field::ATTRIBUTES, Payload::Bytes(pair)) = (f.number, f.payload) {
            pair_of(Base::EventAttribute, body, part, pair, shows.event_attributes, shows.all_types, visit);
        }
    }
}

fn link<'b, V: Visit<'b>>(batch: &'b Batch, part: u32, link: Part, shows: &Shows<'_>, visit: &mut V) {
    let body = batch.get(link.body);
    let place = |base| Place { base, key: &[], nested: &[], part };
    if shows.whole_parts {
        let mut hex = Vec::with_capacity(32);
        for (base, number) in [(Base::LinkTraceId, link_field::TRACE_ID), (Base::LinkSpanId, link_field::SPAN_ID)] {
            let (id, at) = field_of(body, number);
            if base == Base::LinkTraceId || !id.is_empty() {
                hex.clear();
                crate::columns::build::put_hex(&mut hex, id);
                visit.value(&place(base), Value::Text(&hex), at);
            }
        }
    }
    if shows.link_states {
        let (state, at) = field_of(body, link_field::TRACE_STATE);
        if !state.is_empty() {
            visit.value(&place(Base::LinkTraceState), Value::Text(state), at);
        }
    }
    let mut reader = Reader::new(body);
    while let Ok(Some(f)) = reader.next() {
        if let (link_field::ATTRIBUTES, Payload::Bytes(pair)) = (f.number, f.payload) {
            pair_of(Base::LinkAttribute, body, part, pair, shows.link_attributes, shows.all_types, visit);
        }
    }
}

fn pair_of<'b, V: Visit<'b>>(
    base: Base,
    body: &'b [u8],
    part: u32,
    pair: Slice,
    keys: Keys<'_>,
    all_types: bool,
    visit: &mut V,
) {
    let (key, value) = value::key_value(body, pair);
    let key = &body[key.at as usize..key.end() as usize];
    let shown = match keys {
        Keys::None => false,
        Keys::All => true,
        Keys::One(one) => one == key,
    };
    if shown {
        any(&Place { base, key, nested: &[], part }, body, value, all_types, visit);
    }
}

/// A bytes field of a canonical part, and where the field stands; empty, at the part's beginning, where it is not there.
fn field_of(body: &[u8], number: u32) -> (&[u8], Slice) {
    let mut reader = Reader::new(body);
    while let Ok(Some(f)) = reader.next() {
        if let Payload::Bytes(slice) = f.payload
            && f.number == number
        {
            return (&body[slice.at as usize..slice.end() as usize], Slice::between(f.start, f.end));
        }
    }
    (&[], Slice::EMPTY)
}

/// The time of a canonical event, and where the field stands.
fn time_of(body: &[u8]) -> Option<(u64, Slice)> {
    let mut reader = Reader::new(body);
    while let Ok(Some(f)) = reader.next() {
        if let (event_field::TIME, Payload::Fixed64(time)) = (f.number, f.payload) {
            return Some((time, Slice::between(f.start, f.end)));
        }
    }
    None
}
