//! Traces made to measure, for tests of what decides about whole traces: the same number gives the same ids.

use crate::sink::{Arrivals, spans};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use std::collections::BTreeMap;

/// 2026-01-01T00:00:00Z in nanoseconds.
const START: u64 = 1_767_225_600_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// A trace, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trace(pub u64);

impl Trace {
    /// Its id, of which the last 7 bytes are spread as evenly as random ones are.
    pub fn id(self) -> Vec<u8> {
        [self.0.to_be_bytes(), spread(self.0).to_be_bytes()].concat()
    }

    /// The last 56 bits of its id: its randomness, unless its spans say another.
    pub fn randomness(self) -> u64 {
        spread(self.0) & ((1 << 56) - 1)
    }

    /// One of its spans, which takes a millisecond. Number 0 is the root, and the parent of all others.
    pub fn span(self, number: u16) -> Span {
        let start = START + u64::from(number) * 1000;
        Span {
            trace_id: self.id(),
            span_id: self.span_id(number),
            parent_span_id: if number == 0 { Vec::new() } else { self.span_id(0) },
            name: format!("step {number}"),
            kind: if number == 0 { 2 } else { 1 },
            start_time_unix_nano: start,
            end_time_unix_nano: start + MILLISECOND,
            ..Span::default()
        }
    }

    /// A span that failed.
    pub fn error(self, number: u16) -> Span {
        Span { status: Some(Status { code: 2, message: "no answer".to_owned() }), ..self.span(number) }
    }

    /// A span that took so long.
    pub fn slow(self, number: u16, milliseconds: u64) -> Span {
        let span = self.span(number);
        Span { end_time_unix_nano: span.start_time_unix_nano + milliseconds * MILLISECOND, ..span }
    }

    /// As many spans, the root among them and last: what ends first is sent first.
    pub fn spans(self, count: u16) -> Vec<Span> {
        (0..count).rev().map(|number| self.span(number)).collect()
    }

    fn span_id(self, number: u16) -> Vec<u8> {
        ((self.0 + 1) << 16 | u64::from(number)).to_be_bytes().to_vec()
    }
}

/// A request of these spans, from one service.
pub fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// An attribute of text.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// An attribute.
pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The text of a span's attribute.
pub fn text_of<'s>(span: &'s Span, key: &str) -> Option<&'s str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// What has arrived, by trace id, each span once for each time that it came. For sinks that keep requests.
pub fn arrived(arrivals: &Arrivals) -> BTreeMap<Vec<u8>, Vec<Span>> {
    by_id(arrivals.requests.iter().flat_map(spans).cloned())
}

/// Spans by trace id.
pub fn by_id(spans: impl IntoIterator<Item = Span>) -> BTreeMap<Vec<u8>, Vec<Span>> {
    let mut traces: BTreeMap<Vec<u8>, Vec<Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id.clone()).or_default().push(span);
    }
    traces
}

/// Splitmix: neighbours have nothing in common.
fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_make_ids_that_are_distinct_and_evenly_spread() {
        let ids: std::collections::BTreeSet<_> = (0..1000).map(|number| Trace(number).id()).collect();
        assert_eq!(ids.len(), 1000);
        let low = (0..1000).filter(|number| Trace(*number).randomness() < 1 << 54).count();
        assert!((200..300).contains(&low), "{low} of 1000 are in the first quarter");
        let spans: std::collections::BTreeSet<_> =
            (0..100).flat_map(|number| Trace(number).spans(9)).map(|span| span.span_id).collect();
        assert_eq!(spans.len(), 900);
    }
}
