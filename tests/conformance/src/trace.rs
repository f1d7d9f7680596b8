//! Requests written by hand, field by field: in an unusual order and with one unknown field at each level, because a server
//! has to take both.

use bytes::Bytes;

/// A field number that no message of OTLP has.
const UNKNOWN: u32 = 1900;

/// The ids of one span.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    /// Trace id.
    pub trace: [u8; 16],
    /// Span id.
    pub span: [u8; 8],
}

impl Ids {
    /// Unlike any other.
    pub fn fresh() -> Self {
        Self { trace: rand::random(), span: rand::random() }
    }

    /// The trace id as JSON writes it.
    pub fn trace_hex(&self) -> String {
        hex(&self.trace)
    }

    /// The span id as JSON writes it.
    pub fn span_hex(&self) -> String {
        hex(&self.span)
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).expect("four bits are one digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A varint without a tag.
fn number(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A varint field.
pub fn varint(field: u32, value: u64) -> Vec<u8> {
    [number(u64::from(field) << 3), number(value)].concat()
}

/// A fixed64 field.
pub fn fixed64(field: u32, value: u64) -> Vec<u8> {
    [number((u64::from(field) << 3) | 1), value.to_le_bytes().to_vec()].concat()
}

/// A fixed32 field.
pub fn fixed32(field: u32, value: u32) -> Vec<u8> {
    [number((u64::from(field) << 3) | 5), value.to_le_bytes().to_vec()].concat()
}

/// A length-delimited field: a text, bytes or a message.
pub fn bytes(field: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [&number((u64::from(field) << 3) | 2)[..], &number(content.len() as u64), content].concat()
}

/// A field that nobody knows, with a text that can be looked for.
pub fn unknown(text: &str) -> Vec<u8> {
    bytes(UNKNOWN, text)
}

/// `KeyValue` with a text.
pub fn attribute(key: &str, value: &str) -> Vec<u8> {
    [bytes(2, bytes(1, value)), bytes(1, key)].concat()
}

/// A span's fields and `more`.
pub fn span_with(ids: &Ids, name: &str, more: &[u8]) -> Vec<u8> {
    [
        &fixed64(8, 1_767_225_600_000_000_001)[..],
        &bytes(5, name),
        more,
        &unknown("of a span"),
        &bytes(2, ids.span),
        &varint(6, 2),
        &fixed64(7, 1_767_225_600_000_000_000),
        &bytes(1, ids.trace),
    ]
    .concat()
}

/// `ScopeSpans`: the spans first, then the scope.
pub fn scope_spans(name: &str, spans: &[Vec<u8>]) -> Vec<u8> {
    let spans: Vec<u8> = spans.iter().flat_map(|span| bytes(2, span)).collect();
    [spans, unknown("of a scope's spans"), bytes(1, [unknown("of a scope"), bytes(1, name)].concat())].concat()
}

/// `ResourceSpans`: the scopes first, then the resource.
pub fn resource_spans(service: &str, scopes: &[Vec<u8>]) -> Vec<u8> {
    let scopes: Vec<u8> = scopes.iter().flat_map(|scope| bytes(2, scope)).collect();
    let resource = [unknown("of a resource"), bytes(1, attribute("service.name", service))].concat();
    [scopes, unknown("of a resource's spans"), bytes(1, resource)].concat()
}

/// A request of these `ResourceSpans`.
pub fn request_of(resources: &[Vec<u8>]) -> Bytes {
    let resources: Vec<u8> = resources.iter().flat_map(|each| bytes(1, each)).collect();
    [unknown("of a request"), resources].concat().into()
}

/// A request of one span.
pub fn request(ids: &Ids) -> Bytes {
    request_with(ids, &[])
}

/// A request of one span that has `more` fields.
pub fn request_with(ids: &Ids, more: &[u8]) -> Bytes {
    let scope = scope_spans("conformance", &[span_with(ids, "conformance", more)]);
    request_of(&[resource_spans("conformance", &[scope])])
}

/// A request of exactly `size` bytes, at least some kilobytes: many spans, none of which is too large for a back end.
pub fn request_of_size(ids: &Ids, size: usize) -> Bytes {
    const LARGEST: usize = 256 << 10;
    let filled = |ids: &Ids, filling: usize| {
        bytes(2, span_with(ids, "filled", &bytes(9, attribute("filling", &"a".repeat(filling)))))
    };
    let mut spans = Vec::with_capacity(size);
    while spans.len() + 2 * LARGEST < size {
        spans.extend(filled(&Ids::fresh(), LARGEST - 1024));
    }
    let with_last = |filling: usize| {
        let scope = [&spans[..], &filled(ids, filling), &bytes(1, bytes(1, "filled"))].concat();
        let resource = [bytes(1, bytes(1, attribute("service.name", "filled"))), bytes(2, scope)].concat();
        Bytes::from(bytes(1, resource))
    };
    let mut filling = size - spans.len() - 1024;
    let mut made = with_last(filling);
    // Lengths have lengths of their own: a second step meets it.
    while made.len() != size {
        filling = filling + size - made.len();
        made = with_last(filling);
    }
    made
}

/// The same span as JSON, with `more` keys (each with its comma before it).
pub fn json_with(ids: &Ids, more: &str) -> String {
    json_of(&format!(
        r#""unknown":[{{"a":[1,"b",null]}}],"name":"conformance","spanId":"{}","traceId":"{}"{more}"#,
        ids.span_hex(),
        ids.trace_hex()
    ))
}

/// A request of one span as JSON, of which the keys are given.
pub fn json_of(span: &str) -> String {
    format!(
        r#"{{"unknown":{{}},"resourceSpans":[{{"scopeSpans":[{{"unknown":1,"spans":[{{{span}}}],"scope":{{"unknown":[],"name":"conformance"}}}}],"resource":{{"unknown":null,"attributes":[{{"value":{{"stringValue":"conformance"}},"key":"service.name"}}]}}}}]}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;

    #[test]
    fn what_is_written_by_hand_is_otlp() {
        let ids = Ids::fresh();
        let json: ExportTraceServiceRequest = serde_json::from_str(&json_with(&ids, "")).unwrap();
        for request in [ExportTraceServiceRequest::decode(request(&ids)).unwrap(), json] {
            let span = harness::sink::spans(&request).next().unwrap();
            assert_eq!((&span.trace_id[..], &span.span_id[..]), (&ids.trace[..], &ids.span[..]));
            assert_eq!(request.resource_spans[0].resource.as_ref().unwrap().attributes[0].key, "service.name");
            assert_eq!(request.resource_spans[0].scope_spans[0].scope.as_ref().unwrap().name, "conformance");
        }
    }

    #[test]
    fn sizes_are_met_exactly() {
        for size in [16 << 10, (1 << 20) + 1, 3 << 20] {
            let made = request_of_size(&Ids::fresh(), size);
            assert_eq!(made.len(), size);
            ExportTraceServiceRequest::decode(made).unwrap();
        }
    }
}
