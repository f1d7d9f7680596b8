//! Places: parsing the contract's paths, reading what stands there, and finding every value of a path for many places.

use super::model::{Attrs, Batch, Data, Leaf, Record};
use crate::bindings::types;
use crate::path::keyed;

/// Whose attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Span,
    Resource,
    Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    TraceId,
    SpanId,
    ParentSpanId,
    TraceState,
    Name,
    Kind,
    Flags,
    StatusCode,
    StatusMessage,
    StartTime,
    EndTime,
    Duration,
    ResourceSchema,
    ScopeName,
    ScopeVersion,
    ScopeSchema,
    DroppedAttributes,
    DroppedEvents,
    DroppedLinks,
    Tenant,
    Peer,
    Resource,
    Scope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Field(Field),
    Header(String),
    Attribute(Owner, String),
    Attributes(Owner),
    Events,
    EventsName,
    EventsAttribute(String),
    Links,
    LinksAttribute(String),
    Strings,
    Values,
}

const FIELDS: [(&str, Field); 23] = [
    ("trace_id", Field::TraceId),
    ("span_id", Field::SpanId),
    ("parent_span_id", Field::ParentSpanId),
    ("trace_state", Field::TraceState),
    ("name", Field::Name),
    ("kind", Field::Kind),
    ("flags", Field::Flags),
    ("status.code", Field::StatusCode),
    ("status.message", Field::StatusMessage),
    ("start_time_unix_nano", Field::StartTime),
    ("end_time_unix_nano", Field::EndTime),
    ("duration", Field::Duration),
    ("resource.schema_url", Field::ResourceSchema),
    ("scope.name", Field::ScopeName),
    ("scope.version", Field::ScopeVersion),
    ("scope.schema_url", Field::ScopeSchema),
    ("dropped_attributes_count", Field::DroppedAttributes),
    ("dropped_events_count", Field::DroppedEvents),
    ("dropped_links_count", Field::DroppedLinks),
    ("request.tenant", Field::Tenant),
    ("request.peer", Field::Peer),
    ("resource", Field::Resource),
    ("scope", Field::Scope),
];

pub(super) fn parse(path: &str) -> Result<Place, String> {
    if let Some((_, field)) = FIELDS.iter().find(|(name, _)| *name == path) {
        return Ok(Place::Field(*field));
    }
    let many = match path {
        "attributes" => Some(Place::Attributes(Owner::Span)),
        "resource.attributes" => Some(Place::Attributes(Owner::Resource)),
        "scope.attributes" => Some(Place::Attributes(Owner::Scope)),
        "events" => Some(Place::Events),
        "events.name" => Some(Place::EventsName),
        "links" => Some(Place::Links),
        "strings" => Some(Place::Strings),
        "values" => Some(Place::Values),
        _ => None,
    };
    if let Some(many) = many {
        return Ok(many);
    }
    let with_key = path.split_once('[').and_then(|(prefix, rest)| Some((prefix, unquote(rest.strip_suffix(']')?)?)));
    match with_key {
        Some(("attributes", key)) => Ok(Place::Attribute(Owner::Span, key)),
        Some(("resource.attributes", key)) => Ok(Place::Attribute(Owner::Resource, key)),
        Some(("scope.attributes", key)) => Ok(Place::Attribute(Owner::Scope, key)),
        Some(("events.attributes", key)) => Ok(Place::EventsAttribute(key)),
        Some(("links.attributes", key)) => Ok(Place::LinksAttribute(key)),
        Some(("request.header", key)) => Ok(Place::Header(key)),
        _ => Err(format!("`{path}` is no path")),
    }
}

/// `"a\"b"` as `a"b`.
fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut key = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => key.push(characters.next()?),
            '"' => return None,
            plain => key.push(plain),
        }
    }
    Some(key)
}

impl Place {
    /// True for paths that stand for many places.
    pub fn is_many(&self) -> bool {
        !matches!(self, Self::Field(_) | Self::Header(_) | Self::Attribute(..))
    }

    /// True if edits may write it.
    pub fn is_writable(&self) -> bool {
        match self {
            Self::Header(_) => false,
            Self::Field(field) => matches!(
                field,
                Field::TraceState
                    | Field::Name
                    | Field::Kind
                    | Field::StatusCode
                    | Field::StatusMessage
                    | Field::StartTime
                    | Field::EndTime
                    | Field::ResourceSchema
                    | Field::ScopeName
                    | Field::ScopeVersion
                    | Field::ScopeSchema
            ),
            _ => true,
        }
    }
}

/// What the host checks of a plan before it takes it.
pub(super) fn check_plan(plan: &types::Plan) -> Result<(), String> {
    check_columns(&plan.columns)?;
    for path in &plan.reads {
        if parse(path)?.is_many() {
            return Err(format!("`{path}` stands for many places and cannot be copied from"));
        }
    }
    for path in &plan.writes {
        if !parse(path)?.is_writable() {
            return Err(format!("`{path}` cannot be written"));
        }
    }
    check_conditions(&plan.when)
}

/// That conditions are about places.
pub(super) fn check_conditions(lists: &[Vec<types::Condition>]) -> Result<(), String> {
    lists.iter().flatten().try_for_each(|condition| parse(&condition.path).map(|_| ()))
}

/// That columns are of places, in layouts that those can have.
pub(super) fn check_columns(columns: &[types::Want]) -> Result<(), String> {
    for want in columns {
        let place = parse(&want.path)?;
        let fits = match want.layout {
            types::Layout::Entries => place.is_many() || matches!(place, Place::Attribute(..)),
            types::Layout::Ids => {
                matches!(place, Place::Field(Field::TraceId | Field::SpanId | Field::ParentSpanId))
            }
            _ => !place.is_many(),
        };
        if !fits {
            return Err(format!("`{}` cannot have the layout {:?}", want.path, want.layout));
        }
    }
    Ok(())
}

/// True if one of a plan's `writes` covers a place.
pub(super) fn covers(writes: &[String], place: &str) -> bool {
    writes.iter().any(|write| match write.as_str() {
        "strings" | "values" => true,
        many @ ("attributes" | "resource.attributes" | "scope.attributes") => {
            place.strip_prefix(many).is_some_and(|rest| rest.starts_with('['))
        }
        many @ ("events" | "links") => place.strip_prefix(many).is_some_and(|rest| rest.starts_with('.')),
        one => place.strip_prefix(one).is_some_and(|rest| rest.is_empty() || rest.starts_with('[')),
    })
}

/// The value at a place that is one; none where it is absent.
pub(super) fn read(batch: &Batch, row: &Record, place: &Place) -> Option<Data> {
    let text = |text: &str| (!text.is_empty()).then(|| Data::Text(text.to_owned()));
    let id = |id: &str| (id.bytes().any(|digit| digit != b'0')).then(|| Data::Text(id.to_owned()));
    let number = |number: u64| Some(Data::Integer(number.cast_signed()));
    let (resource, scope) = (&batch.resources[row.resource], &batch.scopes[row.scope]);
    match place {
        Place::Field(field) => match field {
            Field::TraceId => id(&row.plain.trace_id),
            Field::SpanId => id(&row.plain.span_id),
            Field::ParentSpanId => id(&row.plain.parent_span_id),
            Field::TraceState => text(row.trace_state.text()),
            Field::Name => text(row.name.text()),
            Field::Kind => Some(Data::Integer(row.kind)),
            Field::Flags => number(u64::from(row.plain.flags)),
            Field::StatusCode => Some(Data::Integer(row.code)),
            Field::StatusMessage => text(row.message.text()),
            Field::StartTime => number(row.start),
            Field::EndTime => number(row.end),
            Field::Duration => number(row.end.saturating_sub(row.start)),
            Field::ResourceSchema => text(resource.schema_url.text()),
            Field::ScopeName => text(scope.name.text()),
            Field::ScopeVersion => text(scope.version.text()),
            Field::ScopeSchema => text(scope.schema_url.text()),
            Field::DroppedAttributes => number(u64::from(row.plain.dropped_attributes_count)),
            Field::DroppedEvents => number(u64::from(row.plain.dropped_events_count)),
            Field::DroppedLinks => number(u64::from(row.plain.dropped_links_count)),
            Field::Tenant => text(&row.plain.request.tenant),
            Field::Peer => text(&row.plain.request.peer),
            Field::Resource => number(row.resource as u64),
            Field::Scope => number(row.scope as u64),
        },
        Place::Header(name) => row.plain.request.headers.get(name).map(|value| Data::Text(value.clone())),
        Place::Attribute(owner, key) => {
            attributes(batch, row, *owner).iter().find(|(known, _)| known == key).map(|(_, leaf)| leaf.data.clone())
        }
        _ => unreachable!("paths for many places are read as entries"),
    }
}

pub(super) fn attributes<'b>(batch: &'b Batch, row: &'b Record, owner: Owner) -> &'b Attrs {
    match owner {
        Owner::Span => &row.attributes,
        Owner::Resource => &batch.resources[row.resource].attributes,
        Owner::Scope => &batch.scopes[row.scope].attributes,
    }
}

/// A value with the place where it stands.
pub(super) struct Found<'b> {
    pub place: String,
    pub leaf: &'b Leaf,
}

/// Every value of a path in a row. Resource and scope values only if asked for: they stand once for all who share them.
pub(super) fn leaves<'b>(
    batch: &'b Batch,
    row: &'b Record,
    place: &Place,
    with_resource: bool,
    with_scope: bool,
) -> Vec<Found<'b>> {
    let mut found = Walk(Vec::new());
    match place {
        Place::Attribute(Owner::Resource, _) | Place::Attributes(Owner::Resource) if !with_resource => {}
        Place::Attribute(Owner::Scope, _) | Place::Attributes(Owner::Scope) if !with_scope => {}
        Place::Attribute(owner, key) => {
            let leaf = attributes(batch, row, *owner).iter().find(|(known, _)| known == key);
            if let Some((_, leaf)) = leaf {
                found.value(keyed(prefix(*owner), key), leaf);
            }
        }
        Place::Attributes(owner) => found.attributes(prefix(*owner), attributes(batch, row, *owner)),
        Place::Events => found.events(row, true),
        Place::EventsName => row.events.iter().for_each(|event| found.field("events.name", &event.name)),
        Place::EventsAttribute(key) => {
            let events = row.events.iter().filter_map(|event| event.attributes.iter().find(|(known, _)| known == key));
            events.for_each(|(key, leaf)| found.value(keyed("events.attributes", key), leaf));
        }
        Place::Links => found.links(row, true),
        Place::LinksAttribute(key) => {
            let links = row.links.iter().filter_map(|link| link.attributes.iter().find(|(known, _)| known == key));
            links.for_each(|(key, leaf)| found.value(keyed("links.attributes", key), leaf));
        }
        Place::Strings | Place::Values => {
            found.everything(batch, row, with_resource, with_scope);
            if *place == Place::Strings {
                found.0.retain(|found| matches!(found.leaf.data, Data::Text(_)));
            }
        }
        Place::Field(_) | Place::Header(_) => unreachable!("fields are not read as entries"),
    }
    found.0
}

fn prefix(owner: Owner) -> &'static str {
    match owner {
        Owner::Span => "attributes",
        Owner::Resource => "resource.attributes",
        Owner::Scope => "scope.attributes",
    }
}

/// Gathers values in the order of entries.
struct Walk<'b>(Vec<Found<'b>>);

impl<'b> Walk<'b> {
    fn everything(&mut self, batch: &'b Batch, row: &'b Record, with_resource: bool, with_scope: bool) {
        self.text("name", &row.name);
        self.text("status.message", &row.message);
        self.text("trace_state", &row.trace_state);
        self.attributes("attributes", &row.attributes);
        self.events(row, false);
        self.links(row, false);
        if with_resource {
            let resource = &batch.resources[row.resource];
            self.attributes("resource.attributes", &resource.attributes);
            self.text("resource.schema_url", &resource.schema_url);
        }
        if with_scope {
            let scope = &batch.scopes[row.scope];
            self.text("scope.name", &scope.name);
            self.text("scope.version", &scope.version);
            self.attributes("scope.attributes", &scope.attributes);
            self.text("scope.schema_url", &scope.schema_url);
        }
    }

    fn events(&mut self, row: &'b Record, whole: bool) {
        for event in &row.events {
            if whole {
                self.field("events.name", &event.name);
                self.field("events.time_unix_nano", &event.time);
            } else {
                self.text("events.name", &event.name);
            }
            self.attributes("events.attributes", &event.attributes);
        }
    }

    fn links(&mut self, row: &'b Record, whole: bool) {
        for link in &row.links {
            if whole {
                self.field("links.trace_id", &link.trace_id);
                self.field("links.span_id", &link.span_id);
                self.field("links.trace_state", &link.trace_state);
            } else {
                self.text("links.trace_state", &link.trace_state);
            }
            self.attributes("links.attributes", &link.attributes);
        }
    }

    fn attributes(&mut self, prefix: &str, attributes: &'b Attrs) {
        for (key, leaf) in attributes {
            self.value(keyed(prefix, key), leaf);
        }
    }

    fn value(&mut self, place: String, leaf: &'b Leaf) {
        match &leaf.data {
            Data::Empty => {}
            Data::Array(leaves) => leaves.iter().for_each(|leaf| self.value(place.clone(), leaf)),
            Data::Map(map) => self.attributes(&place, map),
            _ => self.0.push(Found { place, leaf }),
        }
    }

    /// A text of the span's own, absent when empty.
    fn text(&mut self, place: &str, leaf: &'b Leaf) {
        if !leaf.text().is_empty() {
            self.field(place, leaf);
        }
    }

    fn field(&mut self, place: &str, leaf: &'b Leaf) {
        self.0.push(Found { place: place.to_owned(), leaf });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_parsed() {
        assert_eq!(parse("name"), Ok(Place::Field(Field::Name)));
        assert_eq!(parse(r#"attributes["a\"b\\"]"#), Ok(Place::Attribute(Owner::Span, r#"a"b\"#.to_owned())));
        assert_eq!(parse(r#"events.attributes["x"]"#), Ok(Place::EventsAttribute("x".to_owned())));
        for wrong in ["nam", "attributes[x]", r#"attributes["x"#, r#"attributes["a"b"]"#, r#"foo["x"]"#] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn writes_cover_places() {
        let writes = |path: &str| vec![path.to_owned()];
        assert!(covers(&writes("strings"), "name"));
        assert!(covers(&writes("attributes"), r#"attributes["a"]["b"]"#));
        assert!(!covers(&writes("attributes"), r#"resource.attributes["a"]"#));
        assert!(covers(&writes("events"), "events.name"));
        assert!(covers(&writes(r#"attributes["a"]"#), r#"attributes["a"]["b"]"#));
        assert!(!covers(&writes("name"), "names"));
    }
}
