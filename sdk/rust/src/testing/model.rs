//! A batch inside the harness: spans whose values have identities, so that entries can be found again after edits.
//!
//! Resources and scopes stand in tables that rows point into, as spans of a request share them.

use super::span::{Attributes, Event, Link, Request, Resource, Scope, Span, Status, Value};

/// A value with its identity; 0 for one that was written during the run.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub id: u32,
    pub data: Data,
}

#[derive(Debug, Clone)]
pub(super) enum Data {
    Empty,
    Text(String),
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Bytes(Vec<u8>),
    Array(Vec<Leaf>),
    Map(Attrs),
}

pub(super) type Attrs = Vec<(String, Leaf)>;

#[derive(Debug, Clone)]
pub(super) struct EventRecord {
    pub name: Leaf,
    pub time: Leaf,
    pub attributes: Attrs,
}

#[derive(Debug, Clone)]
pub(super) struct LinkRecord {
    pub trace_id: Leaf,
    pub span_id: Leaf,
    pub trace_state: Leaf,
    pub attributes: Attrs,
}

#[derive(Debug, Clone)]
pub(super) struct ResourceRecord {
    pub attributes: Attrs,
    pub schema_url: Leaf,
}

#[derive(Debug, Clone)]
pub(super) struct ScopeRecord {
    pub name: Leaf,
    pub version: Leaf,
    pub schema_url: Leaf,
    pub attributes: Attrs,
}

/// One row. What edits cannot write stays in `plain`.
#[derive(Debug)]
pub(super) struct Record {
    pub plain: Span,
    pub name: Leaf,
    pub trace_state: Leaf,
    pub message: Leaf,
    pub kind: i64,
    pub code: i64,
    pub start: u64,
    pub end: u64,
    pub attributes: Attrs,
    pub events: Vec<EventRecord>,
    pub links: Vec<LinkRecord>,
    pub resource: usize,
    pub scope: usize,
    pub dropped: Option<String>,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub rows: Vec<Record>,
    pub resources: Vec<ResourceRecord>,
    pub scopes: Vec<ScopeRecord>,
}

impl Leaf {
    /// A value that was written during the run.
    pub fn new(data: Data) -> Self {
        Self { id: 0, data }
    }

    pub fn text(&self) -> &str {
        match &self.data {
            Data::Text(text) => text,
            _ => "",
        }
    }

    pub fn set_text(&mut self, text: &str) {
        self.data = Data::Text(text.to_owned());
    }
}

/// Gives out identities.
#[derive(Default)]
struct Loader {
    last: u32,
}

impl Loader {
    fn leaf(&mut self, data: Data) -> Leaf {
        self.last += 1;
        Leaf { id: self.last, data }
    }

    fn text(&mut self, text: &str) -> Leaf {
        self.leaf(Data::Text(text.to_owned()))
    }

    fn attributes(&mut self, attributes: &Attributes) -> Attrs {
        attributes.0.iter().map(|(key, value)| (key.clone(), self.value(value))).collect()
    }

    fn value(&mut self, value: &Value) -> Leaf {
        let data = match value {
            Value::Empty => Data::Empty,
            Value::Text(text) => Data::Text(text.clone()),
            Value::Boolean(boolean) => Data::Boolean(*boolean),
            Value::Integer(integer) => Data::Integer(*integer),
            Value::Float(float) => Data::Float(*float),
            Value::Bytes(bytes) => Data::Bytes(bytes.clone()),
            Value::Array(values) => Data::Array(values.iter().map(|value| self.value(value)).collect()),
            Value::Map(map) => Data::Map(self.attributes(map)),
        };
        self.leaf(data)
    }
}

impl Batch {
    pub fn load(spans: &[Span]) -> Self {
        let mut loader = Loader::default();
        let mut batch = Self { rows: Vec::new(), resources: Vec::new(), scopes: Vec::new() };
        let mut known: Vec<(&Resource, usize)> = Vec::new();
        let mut known_scopes: Vec<(usize, &Scope, usize)> = Vec::new();
        for span in spans {
            let resource = known.iter().find(|(resource, _)| **resource == span.resource).map(|(_, index)| *index);
            let resource = resource.unwrap_or_else(|| {
                batch.resources.push(ResourceRecord {
                    attributes: loader.attributes(&span.resource.attributes),
                    schema_url: loader.text(&span.resource.schema_url),
                });
                known.push((&span.resource, batch.resources.len() - 1));
                batch.resources.len() - 1
            });
            let scope = known_scopes.iter().find(|(of, scope, _)| *of == resource && **scope == span.scope);
            let scope = if let Some((_, _, index)) = scope {
                *index
            } else {
                batch.scopes.push(ScopeRecord {
                    name: loader.text(&span.scope.name),
                    version: loader.text(&span.scope.version),
                    schema_url: loader.text(&span.scope.schema_url),
                    attributes: loader.attributes(&span.scope.attributes),
                });
                known_scopes.push((resource, &span.scope, batch.scopes.len() - 1));
                batch.scopes.len() - 1
            };
            batch.rows.push(Record {
                name: loader.text(&span.name),
                trace_state: loader.text(&span.trace_state),
                message: loader.text(&span.status.message),
                kind: span.kind,
                code: span.status.code,
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                attributes: loader.attributes(&span.attributes),
                events: span.events.iter().map(|event| load_event(&mut loader, event)).collect(),
                links: span.links.iter().map(|link| load_link(&mut loader, link)).collect(),
                resource,
                scope,
                dropped: None,
                plain: span.clone(),
            });
        }
        batch
    }

    /// The spans as they are now, with the reason of those that were dropped.
    pub fn unload(self) -> impl Iterator<Item = (Span, Option<String>)> {
        let Self { rows, resources, scopes } = self;
        rows.into_iter().map(move |row| {
            let (resource, scope) = (&resources[row.resource], &scopes[row.scope]);
            let span = Span {
                trace_id: row.plain.trace_id,
                span_id: row.plain.span_id,
                parent_span_id: row.plain.parent_span_id,
                flags: row.plain.flags,
                dropped_attributes_count: row.plain.dropped_attributes_count,
                dropped_events_count: row.plain.dropped_events_count,
                dropped_links_count: row.plain.dropped_links_count,
                request: Request { ..row.plain.request },
                trace_state: row.trace_state.text().to_owned(),
                name: row.name.text().to_owned(),
                kind: row.kind,
                start_time_unix_nano: row.start,
                end_time_unix_nano: row.end,
                status: Status { code: row.code, message: row.message.text().to_owned() },
                attributes: unload(&row.attributes),
                events: row.events.iter().map(unload_event).collect(),
                links: row.links.iter().map(unload_link).collect(),
                resource: Resource {
                    attributes: unload(&resource.attributes),
                    schema_url: resource.schema_url.text().to_owned(),
                },
                scope: Scope {
                    name: scope.name.text().to_owned(),
                    version: scope.version.text().to_owned(),
                    attributes: unload(&scope.attributes),
                    schema_url: scope.schema_url.text().to_owned(),
                },
            };
            (span, row.dropped)
        })
    }
}

fn load_event(loader: &mut Loader, event: &Event) -> EventRecord {
    EventRecord {
        name: loader.text(&event.name),
        time: loader.leaf(Data::Integer(event.time_unix_nano.cast_signed())),
        attributes: loader.attributes(&event.attributes),
    }
}

fn load_link(loader: &mut Loader, link: &Link) -> LinkRecord {
    LinkRecord {
        trace_id: loader.text(&link.trace_id),
        span_id: loader.text(&link.span_id),
        trace_state: loader.text(&link.trace_state),
        attributes: loader.attributes(&link.attributes),
    }
}

fn unload_event(event: &EventRecord) -> Event {
    let Data::Integer(time) = event.time.data else { unreachable!("the time of an event stays a number") };
    Event {
        name: event.name.text().to_owned(),
        time_unix_nano: time.cast_unsigned(),
        attributes: unload(&event.attributes),
    }
}

fn unload_link(link: &LinkRecord) -> Link {
    Link {
        trace_id: link.trace_id.text().to_owned(),
        span_id: link.span_id.text().to_owned(),
        trace_state: link.trace_state.text().to_owned(),
        attributes: unload(&link.attributes),
    }
}

fn unload(attributes: &Attrs) -> Attributes {
    Attributes(attributes.iter().map(|(key, leaf)| (key.clone(), unload_value(leaf))).collect())
}

fn unload_value(leaf: &Leaf) -> Value {
    match &leaf.data {
        Data::Empty => Value::Empty,
        Data::Text(text) => Value::Text(text.clone()),
        Data::Boolean(boolean) => Value::Boolean(*boolean),
        Data::Integer(integer) => Value::Integer(*integer),
        Data::Float(float) => Value::Float(*float),
        Data::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Data::Array(leaves) => Value::Array(leaves.iter().map(unload_value).collect()),
        Data::Map(map) => Value::Map(unload(map)),
    }
}
