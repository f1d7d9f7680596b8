//! The spans on which a plugin is tried before it goes live: a small shop's, with what real spans have that plugins stumble over.
//! `probe.binpb` is made from `probe.json`; the test says how.

use std::sync::Arc;

use bytes::Bytes;
use otlp::batch::{Incoming, RequestContext};

/// The sample request.
#[must_use]
pub fn sample() -> Incoming {
    let context = RequestContext { peer: "127.0.0.1".into(), ..RequestContext::default() };
    Incoming { body: Bytes::from_static(include_bytes!("probe.binpb")), context: Arc::new(context) }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message as _;

    use super::*;

    /// With `UPDATE_GOLDEN=1` the binary is made anew.
    #[test]
    fn the_binary_is_what_the_json_says() {
        let request: ExportTraceServiceRequest = serde_json::from_str(include_str!("probe.json")).unwrap();
        let made = request.encode_to_vec();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/plugins/probe.binpb"), &made).unwrap();
            return;
        }
        assert_eq!(sample().body, made);
    }

    #[test]
    fn every_span_of_it_is_taken() {
        let mut batch = otlp::batch::Batch::default();
        let sample = sample();
        for outcome in batch.load(&[sample]) {
            outcome.unwrap();
        }
        assert!(batch.rows() >= 8);
        assert!(batch.spans().iter().all(|span| span.valid_ids));
    }
}
