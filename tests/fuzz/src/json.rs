//! Any bytes as OTLP/JSON: converted or refused, never a panic; where OpenTelemetry's own types read it too, both agree.

use crate::index::load;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tracemill_otlp::json::to_protobuf;

/// The target.
pub fn json(data: &[u8]) -> bool {
    let Ok(converted) = to_protobuf(data) else { return false };
    let body = Bytes::from(converted.body);
    assert!(load(&body).is_some(), "what was converted is no OTLP");
    let ours = ExportTraceServiceRequest::decode(body).expect("the oracle reads what was converted");
    if let Ok(theirs) = serde_json::from_slice::<ExportTraceServiceRequest>(data) {
        assert_eq!(ours.resource_spans.len(), theirs.resource_spans.len());
    }
    true
}
