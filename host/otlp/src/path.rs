//! Paths: the places in a span that a plugin may name, as `wit/paths.md` lists them, and the layouts that each can have.
//!
//! Owns their spelling (in [`parse`]) and what covers what; knows nothing of how a place is read or written.

use std::fmt;
use std::sync::Arc;

mod parse;
mod relate;

pub(crate) use parse::put_key;
pub use parse::{PathError, WantError};

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

/// Texts, and the numbers that repeat.
const TEXTS: &[Layout] = &[Layout::Text, Layout::Words];
const IDS: &[Layout] = &[Layout::Ids, Layout::Text, Layout::Words];
const NUMBERS: &[Layout] = &[Layout::Integers];
const ANY: &[Layout] =
    &[Layout::Text, Layout::Words, Layout::Integers, Layout::Floats, Layout::Booleans, Layout::Bytes, Layout::Entries];
const MANY: &[Layout] = &[Layout::Entries];

impl Path {
    /// The layouts that a column of it can have.
    #[must_use]
    pub fn layouts(&self) -> &'static [Layout] {
        match self {
            Self::TraceId | Self::SpanId | Self::ParentSpanId => IDS,
            Self::TraceState
            | Self::Name
            | Self::StatusMessage
            | Self::ResourceSchemaUrl
            | Self::ScopeName
            | Self::ScopeVersion
            | Self::ScopeSchemaUrl
            | Self::RequestTenant
            | Self::RequestPeer
            | Self::RequestHeader(_) => TEXTS,
            Self::Kind
            | Self::StatusCode
            | Self::Flags
            | Self::StartTime
            | Self::EndTime
            | Self::Duration
            | Self::DroppedAttributesCount
            | Self::DroppedEventsCount
            | Self::DroppedLinksCount
            | Self::Resource
            | Self::Scope => NUMBERS,
            Self::Attribute(_) | Self::ResourceAttribute(_) | Self::ScopeAttribute(_) => ANY,
            Self::Attributes
            | Self::ResourceAttributes
            | Self::ScopeAttributes
            | Self::Events
            | Self::Links
            | Self::EventName
            | Self::EventAttribute(_)
            | Self::LinkAttribute(_)
            | Self::Values
            | Self::Strings => MANY,
        }
    }

    /// Whether it stands for many places, so that it is read as entries only.
    #[must_use]
    pub fn is_many(&self) -> bool {
        self.layouts() == MANY
    }

    /// Whether it can be a column, a condition's or the source of a copy: all can.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        true
    }

    /// Whether edits can write it. Of `links` the ids cannot be written all the same.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !matches!(
            self,
            Self::TraceId
                | Self::SpanId
                | Self::ParentSpanId
                | Self::Flags
                | Self::Duration
                | Self::DroppedAttributesCount
                | Self::DroppedEventsCount
                | Self::DroppedLinksCount
                | Self::RequestTenant
                | Self::RequestPeer
                | Self::RequestHeader(_)
                | Self::Resource
                | Self::Scope
        )
    }
}

impl Layout {
    /// As the contract spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Words => "words",
            Self::Integers => "integers",
            Self::Floats => "floats",
            Self::Booleans => "booleans",
            Self::Ids => "ids",
            Self::Bytes => "bytes",
            Self::Entries => "entries",
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Want {
    /// A column of `path` in `layout`, if the path can have it.
    pub fn new(path: Path, layout: Layout) -> Result<Self, WantError> {
        if path.layouts().contains(&layout) { Ok(Self { path, layout }) } else { Err(WantError::new(path, layout)) }
    }
}

#[cfg(test)]
mod tests;
