//! Spans as golden cases write them, to OTLP and back.

use backends::hex;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Otlp;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use tracemill_sdk::testing::{Attributes, Event, Link, Resource, Scope, Span, Status, Value};

/// A message, and the headers it has to come with.
#[derive(Debug, Default)]
pub struct Request {
    pub headers: Vec<(String, String)>,
    pub message: ExportTraceServiceRequest,
}

/// Cases leave ids out where they do not matter; on the way through a proxy they do.
pub fn with_ids(span: &Span, number: usize) -> Span {
    let mut span = span.clone();
    if span.trace_id.is_empty() {
        span.trace_id = format!("{:032x}", number + 1);
    }
    span.span_id = format!("{:016x}", number + 1);
    span
}

/// Neighbours that agree in what came with the request go in one; resources and scopes are shared as in the case.
pub fn requests(spans: &[Span]) -> Vec<Request> {
    spans.chunk_by(|one, other| one.request == other.request).map(request).collect()
}

fn request(spans: &[Span]) -> Request {
    let headers = spans[0].request.headers.iter();
    let resources = spans.chunk_by(|one, other| one.resource == other.resource);
    Request {
        headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        message: ExportTraceServiceRequest { resource_spans: resources.map(resource).collect() },
    }
}

fn resource(spans: &[Span]) -> otlp::ResourceSpans {
    let Resource { attributes, schema_url } = spans[0].resource.clone();
    let scopes = spans.chunk_by(|one, other| one.scope == other.scope);
    let resource = opentelemetry_proto::tonic::resource::v1::Resource {
        attributes: key_values(&attributes),
        ..Default::default()
    };
    otlp::ResourceSpans { resource: Some(resource), scope_spans: scopes.map(scope).collect(), schema_url }
}

fn scope(spans: &[Span]) -> otlp::ScopeSpans {
    let Scope { name, version, attributes, schema_url } = spans[0].scope.clone();
    let attributes = key_values(&attributes);
    let scope = InstrumentationScope { name, version, attributes, ..Default::default() };
    otlp::ScopeSpans { scope: Some(scope), spans: spans.iter().map(to_otlp).collect(), schema_url }
}

fn to_otlp(span: &Span) -> otlp::Span {
    otlp::Span {
        trace_id: bytes(&span.trace_id),
        span_id: bytes(&span.span_id),
        parent_span_id: bytes(&span.parent_span_id),
        trace_state: span.trace_state.clone(),
        name: span.name.clone(),
        kind: span.kind as i32,
        flags: span.flags,
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        status: Some(otlp::Status { code: span.status.code as i32, message: span.status.message.clone() }),
        attributes: key_values(&span.attributes),
        events: span.events.iter().map(event_to_otlp).collect(),
        links: span.links.iter().map(link_to_otlp).collect(),
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_events_count: span.dropped_events_count,
        dropped_links_count: span.dropped_links_count,
    }
}

fn event_to_otlp(event: &Event) -> otlp::span::Event {
    otlp::span::Event {
        name: event.name.clone(),
        time_unix_nano: event.time_unix_nano,
        attributes: key_values(&event.attributes),
        ..Default::default()
    }
}

fn link_to_otlp(link: &Link) -> otlp::span::Link {
    otlp::span::Link {
        trace_id: bytes(&link.trace_id),
        span_id: bytes(&link.span_id),
        trace_state: link.trace_state.clone(),
        attributes: key_values(&link.attributes),
        ..Default::default()
    }
}

fn key_values(attributes: &Attributes) -> Vec<KeyValue> {
    let one =
        |(key, value): &(String, Value)| KeyValue { key: key.clone(), value: Some(any(value)), ..Default::default() };
    attributes.0.iter().map(one).collect()
}

fn any(value: &Value) -> AnyValue {
    AnyValue {
        value: match value {
            Value::Empty => None,
            Value::Text(text) => Some(Otlp::StringValue(text.clone())),
            Value::Boolean(boolean) => Some(Otlp::BoolValue(*boolean)),
            Value::Integer(integer) => Some(Otlp::IntValue(*integer)),
            Value::Float(float) => Some(Otlp::DoubleValue(*float)),
            Value::Bytes(bytes) => Some(Otlp::BytesValue(bytes.clone())),
            Value::Array(values) => Some(Otlp::ArrayValue(ArrayValue { values: values.iter().map(any).collect() })),
            Value::Map(map) => Some(Otlp::KvlistValue(KeyValueList { values: key_values(map) })),
        },
    }
}

/// All spans of a message, each with its resource and scope.
pub fn spans(message: &ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource in &message.resource_spans {
        let attributes =
            resource.resource.as_ref().map(|resource| attributes(&resource.attributes)).unwrap_or_default();
        let shared = Resource { attributes, schema_url: resource.schema_url.clone() };
        for scope in &resource.scope_spans {
            let scope_of = from_scope(scope);
            spans.extend(scope.spans.iter().map(|span| Span {
                resource: shared.clone(),
                scope: scope_of.clone(),
                ..from_otlp(span)
            }));
        }
    }
    spans
}

fn from_scope(scope: &otlp::ScopeSpans) -> Scope {
    let of = scope.scope.clone().unwrap_or_default();
    Scope {
        name: of.name,
        version: of.version,
        attributes: attributes(&of.attributes),
        schema_url: scope.schema_url.clone(),
    }
}

fn from_otlp(span: &otlp::Span) -> Span {
    let status = span.status.clone().unwrap_or_default();
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: hex(&span.parent_span_id),
        trace_state: span.trace_state.clone(),
        name: span.name.clone(),
        kind: span.kind.into(),
        flags: span.flags,
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        status: Status { code: status.code.into(), message: status.message },
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(event_from_otlp).collect(),
        links: span.links.iter().map(link_from_otlp).collect(),
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_events_count: span.dropped_events_count,
        dropped_links_count: span.dropped_links_count,
        ..Span::default()
    }
}

fn event_from_otlp(event: &otlp::span::Event) -> Event {
    Event { name: event.name.clone(), time_unix_nano: event.time_unix_nano, attributes: attributes(&event.attributes) }
}

fn link_from_otlp(link: &otlp::span::Link) -> Link {
    Link {
        trace_id: hex(&link.trace_id),
        span_id: hex(&link.span_id),
        trace_state: link.trace_state.clone(),
        attributes: attributes(&link.attributes),
    }
}

fn attributes(all: &[KeyValue]) -> Attributes {
    Attributes(all.iter().map(|one| (one.key.clone(), one.value.as_ref().map_or(Value::Empty, value))).collect())
}

fn value(any: &AnyValue) -> Value {
    match &any.value {
        None => Value::Empty,
        Some(Otlp::StringValue(text)) => Value::Text(text.clone()),
        Some(Otlp::BoolValue(boolean)) => Value::Boolean(*boolean),
        Some(Otlp::IntValue(integer)) => Value::Integer(*integer),
        Some(Otlp::DoubleValue(float)) => Value::Float(*float),
        Some(Otlp::BytesValue(bytes)) => Value::Bytes(bytes.clone()),
        Some(Otlp::ArrayValue(array)) => Value::Array(array.values.iter().map(value).collect()),
        Some(Otlp::KvlistValue(list)) => Value::Map(attributes(&list.values)),
        Some(other) => panic!("a value that no case can write: {other:?}"),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).expect("hexadecimal digits") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
