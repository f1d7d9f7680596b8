//! Finding single values of a row: an attribute by its key, a text, an owner's value looked up once per owner.

use crate::batch::{Batch, RequestContext, Run, Span};
use crate::path::Path;
use crate::value::{self, Value};
use crate::wire::Slice;

/// A key to look for, with its ends at hand: most keys are decided by their length and eight bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'k> {
    bytes: &'k [u8],
    head: u64,
    tail: u64,
}

impl<'k> Key<'k> {
    pub(crate) fn new(key: &'k str) -> Self {
        let bytes = key.as_bytes();
        Self { bytes, head: head(bytes), tail: tail(bytes) }
    }

    /// Whether `other`, which is as long, is this key.
    #[inline]
    fn is(&self, other: &[u8]) -> bool {
        match self.bytes.len() {
            0..8 => other == self.bytes,
            8..=16 => head(other) == self.head && tail(other) == self.tail,
            _ => head(other) == self.head && tail(other) == self.tail && other == self.bytes,
        }
    }

    /// The first value under this key in a run of attributes: the body of an `AnyValue`.
    #[inline]
    pub(crate) fn find(&self, batch: &Batch, run: Run) -> Option<Slice> {
        let len = self.bytes.len() as u32;
        batch
            .attributes(run)
            .iter()
            .find(|attribute| attribute.key.len == len && self.is(batch.get(attribute.key)))
            .map(|attribute| attribute.value)
    }
}

/// Several keys, looked for in one pass over a run: what has the length of none is passed by at a glance.
#[derive(Debug, Default)]
pub(crate) struct Keys<'k> {
    keys: Vec<Key<'k>>,
    /// A bit for each length that a key has; the last one stands for all that are longer.
    lengths: u64,
}

impl<'k> Keys<'k> {
    /// Adds a key and gives its number.
    pub(crate) fn add(&mut self, key: Key<'k>) -> usize {
        self.lengths |= Self::bit(key.bytes.len() as u32);
        self.keys.push(key);
        self.keys.len() - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Puts the first value under each key to its number in `values`, and answers which there were: a bit for each key, the
    /// last one for all beyond. What is not found is left as it is.
    #[inline]
    pub(crate) fn find<'b>(&self, batch: &'b Batch, run: Run, values: &mut [Option<Value<'b>>]) -> u64 {
        let mut found = 0;
        for attribute in batch.attributes(run) {
            let len = attribute.key.len;
            if self.lengths & Self::bit(len) == 0 {
                continue;
            }
            let other = batch.get(attribute.key);
            for (number, (key, value)) in self.keys.iter().zip(&mut *values).enumerate() {
                if key.bytes.len() as u32 == len && value.is_none() && key.is(other) {
                    *value = Some(value::read(batch.get(attribute.value)));
                    found |= Self::bit(number as u32);
                }
            }
        }
        found
    }

    /// The bit of a length or of a key's number.
    #[inline]
    pub(crate) fn bit(number: u32) -> u64 {
        1 << number.min(63)
    }
}

/// Whether two texts are the same: without a call, if they have the length of a usual key or none. (To compare nothing with
/// nothing by a call is dear: vector compares look at where the empty slices point, which may be no memory.)
#[inline]
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && match one.len() {
            0..4 => one.iter().zip(other).all(|(a, b)| a == b),
            4..8 => one.first_chunk::<4>() == other.first_chunk() && one.last_chunk::<4>() == other.last_chunk(),
            8..=16 => head(one) == head(other) && tail(one) == tail(other),
            17..=32 => one.first_chunk::<16>() == other.first_chunk() && one.last_chunk::<16>() == other.last_chunk(),
            _ => one == other,
        }
}

#[inline]
fn head(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[inline]
fn tail(bytes: &[u8]) -> u64 {
    bytes.last_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// Where the single value of a path comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'k> {
    /// A text of the span's own.
    Text(fn(&Span) -> Slice),
    /// An id of the span's, and its right length.
    Id(fn(&Span) -> Slice, usize),
    /// A number of the span's own.
    Number(fn(&Batch, &Span) -> i64),
    /// An attribute of the span.
    Attribute(Key<'k>),
    /// What the spans of a scope share.
    Shared(Shared<'k>),
    /// What came with the request.
    Request(Field<'k>),
}

/// A value that spans share.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shared<'k> {
    /// An attribute of the resource.
    Resource(Key<'k>),
    /// An attribute of the scope.
    Scope(Key<'k>),
    /// `resource.schema_url`
    ResourceSchemaUrl,
    /// `scope.name`
    ScopeName,
    /// `scope.version`
    ScopeVersion,
    /// `scope.schema_url`
    ScopeSchemaUrl,
}

/// What came with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'k> {
    /// `request.tenant`
    Tenant,
    /// `request.peer`
    Peer,
    /// `request.header[KEY]`
    Header(&'k str),
}

impl<'k> Source<'k> {
    /// Where the value of a path is found; `None` for a path that stands for many places.
    pub(crate) fn of(path: &'k Path) -> Option<Self> {
        Some(match path {
            Path::TraceId => Self::Id(|span| span.trace_id, 16),
            Path::SpanId => Self::Id(|span| span.span_id, 8),
            Path::ParentSpanId => Self::Id(|span| span.parent_span_id, 8),
            Path::TraceState => Self::Text(|span| span.trace_state),
            Path::Name => Self::Text(|span| span.name),
            Path::StatusMessage => Self::Text(|span| span.status_message),
            Path::Kind => Self::Number(|_, span| i64::from(span.kind)),
            Path::StatusCode => Self::Number(|_, span| i64::from(span.status_code)),
            Path::Flags => Self::Number(|_, span| i64::from(span.flags)),
            Path::StartTime => Self::Number(|_, span| saturating(span.start_time)),
            Path::EndTime => Self::Number(|_, span| saturating(span.end_time)),
            Path::Duration => Self::Number(|_, span| saturating(span.end_time.saturating_sub(span.start_time))),
            Path::DroppedAttributesCount => Self::Number(|_, span| i64::from(span.dropped_attributes)),
            Path::DroppedEventsCount => Self::Number(|_, span| i64::from(span.dropped_events)),
            Path::DroppedLinksCount => Self::Number(|_, span| i64::from(span.dropped_links)),
            Path::Resource => Self::Number(|batch, span| i64::from(batch.scope(span).resource)),
            Path::Scope => Self::Number(|_, span| i64::from(span.scope)),
            Path::Attribute(key) => Self::Attribute(Key::new(key)),
            Path::ResourceAttribute(key) => Self::Shared(Shared::Resource(Key::new(key))),
            Path::ScopeAttribute(key) => Self::Shared(Shared::Scope(Key::new(key))),
            Path::ResourceSchemaUrl => Self::Shared(Shared::ResourceSchemaUrl),
            Path::ScopeName => Self::Shared(Shared::ScopeName),
            Path::ScopeVersion => Self::Shared(Shared::ScopeVersion),
            Path::ScopeSchemaUrl => Self::Shared(Shared::ScopeSchemaUrl),
            Path::RequestTenant => Self::Request(Field::Tenant),
            Path::RequestPeer => Self::Request(Field::Peer),
            Path::RequestHeader(name) => Self::Request(Field::Header(name)),
            Path::Attributes
            | Path::ResourceAttributes
            | Path::ScopeAttributes
            | Path::Events
            | Path::Links
            | Path::EventName
            | Path::EventAttribute(_)
            | Path::LinkAttribute(_)
            | Path::Values
            | Path::Strings => return None,
        })
    }
}

/// Times and durations fit a signed number until the year 2262; what is beyond stays the largest.
fn saturating(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(i64::MAX)
}

/// A text that is absent when empty.
#[inline]
pub(crate) fn own_text(batch: &Batch, at: Slice) -> Option<Value<'_>> {
    (!at.is_empty()).then(|| Value::Text(batch.get(at)))
}

/// An attribute's value.
#[inline]
pub(crate) fn attribute<'b>(batch: &'b Batch, run: Run, key: &Key<'_>) -> Option<Value<'b>> {
    key.find(batch, run).map(|body| value::read(batch.get(body)))
}

/// An id as it came; absent when it is empty or all zero.
#[inline]
pub(crate) fn id(batch: &Batch, at: Slice) -> Option<&[u8]> {
    let bytes = batch.get(at);
    (bytes.iter().any(|&byte| byte != 0)).then_some(bytes)
}

impl Shared<'_> {
    /// The value for spans of scope number `scope`.
    pub(crate) fn get<'b>(&self, batch: &'b Batch, scope: u32) -> Option<Value<'b>> {
        let scope = &batch.scopes[scope as usize];
        let resource = &batch.resources[scope.resource as usize];
        match self {
            Self::Resource(key) => attribute(batch, resource.attributes, key),
            Self::Scope(key) => attribute(batch, scope.attributes, key),
            Self::ResourceSchemaUrl => own_text(batch, resource.schema_url),
            Self::ScopeName => own_text(batch, scope.name),
            Self::ScopeVersion => own_text(batch, scope.version),
            Self::ScopeSchemaUrl => own_text(batch, scope.schema_url),
        }
    }
}

impl Field<'_> {
    /// The value in a request's context.
    pub(crate) fn get<'b>(&self, context: &'b RequestContext) -> Option<Value<'b>> {
        let text: &str = match self {
            Self::Tenant => context.tenant.as_deref().filter(|tenant| !tenant.is_empty())?,
            Self::Peer => Some(&*context.peer).filter(|peer| !peer.is_empty())?,
            Self::Header(name) => &context.headers.iter().find(|(header, _)| &**header == *name)?.1,
        };
        Some(Value::Text(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_any_length_are_the_same_only_if_every_byte_is() {
        for len in 0..40 {
            let text: Vec<u8> = (0..len).collect();
            assert!(same(&text, &text.clone()));
            assert!(!same(&text, &[&text[..], b"x"].concat()));
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!same(&text, &other), "byte {at} of {len}");
            }
        }
    }
}
