//! OTLP's `ExportTraceServiceResponse`, and what metrics and logs have in its place: nothing at all for full success, else the
//! partial success. In protobuf they are the same, in JSON each has a key of its own.

use otlp::signal::Signal;
use prost::Message as _;

use crate::request::Accepted;

/// Responses are to stay below 4 MiB; a message that long helps nobody.
const LONGEST_MESSAGE: usize = 4096;

/// Whether there is anything to say.
pub(super) fn is_full(accepted: &Accepted) -> bool {
    accepted.rejected == 0 && accepted.message.is_empty()
}

/// As protobuf: empty for full success.
pub(super) fn to_protobuf(accepted: &Accepted) -> Vec<u8> {
    let partial_success = (!is_full(accepted)).then(|| PartialSuccess {
        rejected: i64::try_from(accepted.rejected).unwrap_or(i64::MAX),
        error_message: shortened(&accepted.message).to_owned(),
    });
    Response { partial_success }.encode_to_vec()
}

/// As protobuf's JSON: `{}` for full success; 64-bit numbers are strings.
pub(super) fn to_json(signal: Signal, accepted: &Accepted) -> Vec<u8> {
    if is_full(accepted) {
        return b"{}".to_vec();
    }
    let mut partial = serde_json::Map::new();
    if accepted.rejected > 0 {
        let key = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
        };
        partial.insert(key.to_owned(), accepted.rejected.to_string().into());
    }
    if !accepted.message.is_empty() {
        partial.insert("errorMessage".to_owned(), shortened(&accepted.message).into());
    }
    serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
}

fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(LONGEST_MESSAGE)]
}

/// `ExportTraceServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_success_says_nothing() {
        assert!(to_protobuf(&Accepted::default()).is_empty());
        assert_eq!(to_json(Signal::Logs, &Accepted::default()), b"{}");
    }

    #[test]
    fn partial_success_says_how_many_and_why_within_bounds() {
        let some = Accepted { rejected: 3, message: "bad ids".to_owned() };
        let expected = br#"{"partialSuccess":{"errorMessage":"bad ids","rejectedSpans":"3"}}"#;
        assert_eq!(to_json(Signal::Traces, &some), expected);
        let expected = br#"{"partialSuccess":{"errorMessage":"bad ids","rejectedDataPoints":"3"}}"#;
        assert_eq!(to_json(Signal::Metrics, &some), expected);
        assert_eq!(to_protobuf(&some), b"\x0a\x0b\x08\x03\x12\x07bad ids");
        let long = Accepted { rejected: 0, message: "ü".repeat(1 << 20) };
        assert!(to_protobuf(&long).len() < LONGEST_MESSAGE + 16);
    }
}
