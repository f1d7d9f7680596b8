//! Requests of spans as tests compare them, however they were taken apart or put together.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

/// Each span with all that it stands in.
pub(super) fn flat(body: &[u8]) -> Vec<(ResourceSpans, ScopeSpans, Span)> {
    let mut all = Vec::new();
    for mut resource in ExportTraceServiceRequest::decode(body).expect("OTLP").resource_spans {
        for mut scope in std::mem::take(&mut resource.scope_spans) {
            for span in std::mem::take(&mut scope.spans) {
                all.push((resource.clone(), scope.clone(), span));
            }
        }
    }
    all
}
