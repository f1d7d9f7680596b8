//! Any bytes as a request: indexed or refused, never a panic; what is indexed and not touched leaves as it came.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::sync::Arc;
use tracemill_otlp::batch::{Batch, Incoming, RequestContext};
use tracemill_otlp::encode::encode;
use tracemill_otlp::signal::Signal;

/// The target.
pub fn index(data: &[u8]) -> bool {
    let body = Bytes::copy_from_slice(data);
    let [counted, ..] = Signal::ALL.map(|signal| signal.count(data));
    let Some(batch) = load(&body) else { return false };
    assert_eq!(counted, Ok(batch.rows()), "what is a request to one is none to the other, or of other size");
    assert!(encode(&batch) == body, "an untouched request changed");
    // Where the oracle can read it too, both have to see the same spans.
    if let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) {
        let seen: Vec<&Span> = spans(&request).collect();
        assert_eq!(batch.rows() as usize, seen.len(), "spans");
        for (row, span) in batch.spans().iter().zip(&seen) {
            assert_eq!(batch.get(row.name), span.name.as_bytes(), "a name");
        }
    }
    // Joined with another request, neither disturbs the other.
    let mut joined = Batch::new();
    let outcomes = joined.load(&[incoming(&body), incoming(&Bytes::new())]);
    assert!(outcomes.iter().all(Result::is_ok), "a good request is refused beside another");
    assert_eq!(joined.rows(), batch.rows());
    true
}

/// The batch of one request, if it is one.
pub(crate) fn load(body: &Bytes) -> Option<Batch> {
    let mut batch = Batch::new();
    let outcomes = batch.load(&[incoming(body)]);
    outcomes[0].is_ok().then_some(batch)
}

/// All spans of a message.
pub(crate) fn spans(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans)
}

fn incoming(body: &Bytes) -> Incoming {
    Incoming { body: body.clone(), context: Arc::new(RequestContext::default()) }
}
