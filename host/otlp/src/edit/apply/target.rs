//! Where a path is written.

use crate::batch::{Batch, Changes, Resource, Scope};
use crate::path::Path;
use crate::wire::Slice;

use super::attributes::Key;

/// A path that can be written, made ready for many rows.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'k> {
    /// A text of the span's own.
    Text(Text),
    /// A number of the span's own.
    Number(Number),
    /// An attribute of the span.
    Attribute(Key<'k>),
    /// Something of the span's resource or scope.
    Owner(OwnerKind, OwnerField<'k>),
    /// Something of each of the span's events or links.
    Parts(PartField<'k>),
}

/// The texts of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    TraceState,
    Name,
    StatusMessage,
}

/// The numbers of a span that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Kind,
    StatusCode,
    Start,
    End,
}

/// What spans share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnerKind {
    Resource,
    Scope,
}

/// A place in what spans share.
#[derive(Debug, Clone, Copy)]
pub(super) enum OwnerField<'k> {
    Attribute(Key<'k>),
    SchemaUrl,
    Name,
    Version,
}

/// A place in events or links.
#[derive(Debug, Clone, Copy)]
pub(super) enum PartField<'k> {
    EventName,
    EventAttribute(&'k [u8]),
    LinkAttribute(&'k [u8]),
}

impl<'k> Target<'k> {
    /// Where a path is written; `None` for one that is not, or only by entries.
    pub(super) fn of(batch: &mut Batch, path: &'k Path) -> Option<Self> {
        Some(match path {
            Path::TraceState => Self::Text(Text::TraceState),
            Path::Name => Self::Text(Text::Name),
            Path::StatusMessage => Self::Text(Text::StatusMessage),
            Path::Kind => Self::Number(Number::Kind),
            Path::StatusCode => Self::Number(Number::StatusCode),
            Path::StartTime => Self::Number(Number::Start),
            Path::EndTime => Self::Number(Number::End),
            Path::Attribute(key) => Self::Attribute(Key::new(batch, key)),
            Path::ResourceAttribute(key) => {
                Self::Owner(OwnerKind::Resource, OwnerField::Attribute(Key::new(batch, key)))
            }
            Path::ScopeAttribute(key) => Self::Owner(OwnerKind::Scope, OwnerField::Attribute(Key::new(batch, key))),
            Path::ResourceSchemaUrl => Self::Owner(OwnerKind::Resource, OwnerField::SchemaUrl),
            Path::ScopeSchemaUrl => Self::Owner(OwnerKind::Scope, OwnerField::SchemaUrl),
            Path::ScopeName => Self::Owner(OwnerKind::Scope, OwnerField::Name),
            Path::ScopeVersion => Self::Owner(OwnerKind::Scope, OwnerField::Version),
            Path::EventName => Self::Parts(PartField::EventName),
            Path::EventAttribute(key) => Self::Parts(PartField::EventAttribute(key.as_bytes())),
            Path::LinkAttribute(key) => Self::Parts(PartField::LinkAttribute(key.as_bytes())),
            _ => return None,
        })
    }

    /// Whether it takes values of any type, and not texts (or numbers) only.
    pub(super) fn takes_any(&self) -> bool {
        matches!(
            self,
            Self::Attribute(_)
                | Self::Owner(_, OwnerField::Attribute(_))
                | Self::Parts(PartField::EventAttribute(_) | PartField::LinkAttribute(_))
        )
    }

    /// Whether it takes texts only.
    pub(super) fn takes_text(&self) -> bool {
        !self.takes_any() && !matches!(self, Self::Number(_))
    }
}

impl OwnerField<'_> {
    /// The text of a resource; `None` for an attribute.
    pub(super) fn of_resource(self, resource: &mut Resource) -> Option<(&mut Slice, Changes)> {
        match self {
            Self::SchemaUrl => Some((&mut resource.schema_url, Changes::SCHEMA_URL)),
            _ => None,
        }
    }

    /// The text of a scope; `None` for an attribute.
    pub(super) fn of_scope(self, scope: &mut Scope) -> Option<(&mut Slice, Changes)> {
        match self {
            Self::SchemaUrl => Some((&mut scope.schema_url, Changes::SCHEMA_URL)),
            Self::Name => Some((&mut scope.name, Changes::NAME)),
            Self::Version => Some((&mut scope.version, Changes::VERSION)),
            Self::Attribute(_) => None,
        }
    }
}
