//! What a sink remembers.

use bytes::Bytes;
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::HashMap;
use std::time::Instant;

/// How much is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// How many requests, spans and bytes; nothing is decoded for that, so it costs little.
    Counts,
    /// That, and for each span id how often it came and under which generations.
    Ids,
    /// That, every request, and every attempt to deliver one.
    Requests,
}

/// A request of traces as it came, whether it was accepted or not.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// When it was there.
    pub at: Instant,
    /// Where it went.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The ids of its spans.
    pub ids: Vec<u64>,
    /// Bytes of the message, decompressed.
    pub bytes: usize,
}

/// The attribute that `plugins.note_generation` puts on spans.
pub const GENERATION: &str = "tracemill.generation";

/// The attribute that the guest `stamp` puts on spans.
const STAMP: &str = "stamp.version";

/// What is known of one span id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived {
    /// How often it came.
    pub times: u32,
    /// The generations noted on it, one element for each note.
    pub generations: Vec<i64>,
    /// What the guest `stamp` wrote on it.
    pub stamp: Option<String>,
}

impl Arrived {
    /// Notes that the span has come once more.
    pub fn note(&mut self, span: &Span) {
        self.times += 1;
        for attribute in &span.attributes {
            match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
                Some(Value::IntValue(generation)) if attribute.key == GENERATION => self.generations.push(*generation),
                Some(Value::StringValue(stamp)) if attribute.key == STAMP => self.stamp = Some(stamp.clone()),
                _ => {}
            }
        }
    }
}

/// All that has arrived and was accepted.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Export calls.
    pub calls: u64,
    /// Spans, doubles included.
    pub spans: u64,
    /// Bytes of messages, decompressed.
    pub bytes: u64,
    /// Bytes of bodies as they came.
    pub wire_bytes: u64,
    /// By span id.
    pub ids: HashMap<u64, Arrived>,
    /// In the order of arrival.
    pub requests: Vec<ExportTraceServiceRequest>,
    /// The same as the bytes that came, decompressed.
    pub messages: Vec<Bytes>,
    /// Requests of metrics, in the order of arrival: the bytes that came, decompressed. They count among nothing else here.
    pub metrics: Vec<Bytes>,
    /// Likewise of logs.
    pub logs: Vec<Bytes>,
    /// Requests of traces in the order of arrival, refused ones too.
    pub attempts: Vec<Attempt>,
    /// Calls that were not accepted.
    pub refused_calls: u64,
    /// Bodies that were no OTLP at all: a proxy must never send one.
    pub unreadable: Vec<String>,
}

impl Arrivals {
    /// Every span of the requests that were kept.
    pub fn all_spans(&self) -> impl Iterator<Item = &Span> {
        self.requests.iter().flat_map(spans)
    }

    /// When a span was tried to be delivered.
    pub fn attempts_of(&self, id: u64) -> Vec<Instant> {
        self.attempts.iter().filter(|attempt| attempt.ids.contains(&id)).map(|attempt| attempt.at).collect()
    }

    pub(super) fn count(&mut self, spans: u64, bytes: usize, wire_bytes: usize) {
        self.calls += 1;
        self.spans += spans;
        self.bytes += bytes as u64;
        self.wire_bytes += wire_bytes as u64;
    }

    pub(super) fn take(&mut self, keep: Keep, request: ExportTraceServiceRequest, message: &Bytes, wire_bytes: usize) {
        self.count(spans(&request).count() as u64, message.len(), wire_bytes);
        if keep != Keep::Counts {
            spans(&request).for_each(|span| self.ids.entry(id(span)).or_default().note(span));
        }
        if keep == Keep::Requests {
            self.requests.push(request);
            self.messages.push(message.clone());
        }
    }
}

/// All spans of a request.
pub fn spans(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans)
}

/// A span's id as a number; 0 where it has not 8 bytes.
pub fn id(span: &Span) -> u64 {
    <[u8; 8]>::try_from(&span.span_id[..]).map_or(0, u64::from_be_bytes)
}
