//! Any bytes as OTLP/JSON of any signal: converted or refused, never a panic; where OpenTelemetry's own types read it too, both
//! agree.

use crate::index::load;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use tracemill_otlp::json::to_protobuf;
use tracemill_otlp::signal::Signal;

/// The target.
pub fn json(data: &[u8]) -> bool {
    for signal in [Signal::Metrics, Signal::Logs] {
        if let Ok(converted) = to_protobuf(signal, data) {
            assert!(signal.count(&converted.body).is_ok(), "what was converted is no OTLP {signal}");
        }
    }
    let Ok(converted) = to_protobuf(Signal::Traces, data) else { return false };
    let body = Bytes::from(converted.body);
    assert!(load(&body).is_some(), "what was converted is no OTLP");
    let ours = ExportTraceServiceRequest::decode(body).expect("the oracle reads what was converted");
    if let Ok(theirs) = serde_json::from_slice::<ExportTraceServiceRequest>(data) {
        assert_eq!(ours.resource_spans.len(), theirs.resource_spans.len());
    }
    true
}
