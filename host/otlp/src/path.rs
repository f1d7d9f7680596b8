//! Paths: the places in a span that a plugin may name, as `wit/paths.md` lists them, and the layouts that each can have.

use std::sync::Arc;

/// A place in a span, or a set of places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Path {
    /// `trace_id`
    TraceId,
    /// `span_id`
    SpanId,
    /// `parent_span_id`
    ParentSpanId,
    /// `trace_state`
    TraceState,
    /// `name`
    Name,
    /// `kind`
    Kind,
    /// `status.code`
    StatusCode,
    /// `status.message`
    StatusMessage,
    /// `flags`
    Flags,
    /// `start_time_unix_nano`
    StartTime,
    /// `end_time_unix_nano`
    EndTime,
    /// `duration`
    Duration,
    /// `attributes[KEY]`
    Attribute(Arc<str>),
    /// `resource.attributes[KEY]`
    ResourceAttribute(Arc<str>),
    /// `scope.attributes[KEY]`
    ScopeAttribute(Arc<str>),
    /// `resource.schema_url`
    ResourceSchemaUrl,
    /// `scope.name`
    ScopeName,
    /// `scope.version`
    ScopeVersion,
    /// `scope.schema_url`
    ScopeSchemaUrl,
    /// `dropped_attributes_count`
    DroppedAttributesCount,
    /// `dropped_events_count`
    DroppedEventsCount,
    /// `dropped_links_count`
    DroppedLinksCount,
    /// `request.tenant`
    RequestTenant,
    /// `request.peer`
    RequestPeer,
    /// `request.header[KEY]`, the name in lower case
    RequestHeader(Arc<str>),
    /// `attributes`
    Attributes,
    /// `resource.attributes`
    ResourceAttributes,
    /// `scope.attributes`
    ScopeAttributes,
    /// `events`
    Events,
    /// `links`
    Links,
    /// `events.name`
    EventName,
    /// `events.attributes[KEY]`
    EventAttribute(Arc<str>),
    /// `links.attributes[KEY]`
    LinkAttribute(Arc<str>),
    /// `resource`
    Resource,
    /// `scope`
    Scope,
    /// `values`
    Values,
    /// `strings`
    Strings,
}

/// How a column is laid out; see the contract's `layout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One text per row.
    Text,
    /// One code per row into distinct words.
    Words,
    /// One 64-bit number per row.
    Integers,
    /// One double per row.
    Floats,
    /// One byte per row.
    Booleans,
    /// 16 or 8 bytes per row.
    Ids,
    /// Raw bytes per row.
    Bytes,
    /// Every value with its place.
    Entries,
}

/// A column that a plan asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Want {
    /// Of what.
    pub path: Path,
    /// In which layout.
    pub layout: Layout,
}
