//! Which paths hold which: for permissions, and for what a write makes stale.

use super::Path;

impl Path {
    /// Whether naming `self` names `other` too: equal, or `self` stands for many places and `other` is among them.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        match self {
            Self::Attributes => matches!(other, Self::Attribute(_)),
            Self::ResourceAttributes => matches!(other, Self::ResourceAttribute(_)),
            Self::ScopeAttributes => matches!(other, Self::ScopeAttribute(_)),
            Self::Events => matches!(other, Self::EventName | Self::EventAttribute(_)),
            Self::Links => matches!(other, Self::LinkAttribute(_)),
            Self::Strings => other.can_hold_text(),
            Self::Values => other.can_hold_text() || other.is_attribute_list() || *other == Self::Strings,
            _ => false,
        }
    }

    /// Whether a write to `written` can change what a column of `self` shows.
    #[must_use]
    pub fn is_changed_by(&self, written: &Self) -> bool {
        if self.covers(written) || written.covers(self) {
            return true;
        }
        match self {
            Self::Duration => matches!(written, Self::StartTime | Self::EndTime),
            // Writing to some of the spans that share one gives those a copy, which has another number.
            Self::Scope => written.is_of_scope() || written.is_of_resource(),
            Self::Resource => written.is_of_resource(),
            Self::Strings | Self::Values => {
                written.is_attribute_list()
                    || matches!(written, Self::Events | Self::Links | Self::Strings | Self::Values)
            }
            Self::Attributes
            | Self::ResourceAttributes
            | Self::ScopeAttributes
            | Self::Events
            | Self::Links
            | Self::EventName
            | Self::EventAttribute(_)
            | Self::LinkAttribute(_) => matches!(written, Self::Strings | Self::Values),
            _ => false,
        }
    }

    /// Whether it is one of the places that `strings` stands for.
    fn can_hold_text(&self) -> bool {
        matches!(
            self,
            Self::Name
                | Self::StatusMessage
                | Self::TraceState
                | Self::ResourceSchemaUrl
                | Self::ScopeName
                | Self::ScopeVersion
                | Self::ScopeSchemaUrl
                | Self::EventName
                | Self::Attribute(_)
                | Self::ResourceAttribute(_)
                | Self::ScopeAttribute(_)
                | Self::EventAttribute(_)
                | Self::LinkAttribute(_)
        )
    }

    fn is_attribute_list(&self) -> bool {
        matches!(self, Self::Attributes | Self::ResourceAttributes | Self::ScopeAttributes)
    }

    fn is_of_resource(&self) -> bool {
        matches!(
            self,
            Self::ResourceAttribute(_)
                | Self::ResourceAttributes
                | Self::ResourceSchemaUrl
                | Self::Strings
                | Self::Values
        )
    }

    fn is_of_scope(&self) -> bool {
        matches!(
            self,
            Self::ScopeAttribute(_)
                | Self::ScopeAttributes
                | Self::ScopeName
                | Self::ScopeVersion
                | Self::ScopeSchemaUrl
                | Self::Strings
                | Self::Values
        )
    }
}
