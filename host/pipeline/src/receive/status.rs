//! The one table from what went wrong to the words of gRPC and HTTP, and the `google.rpc.Status` that carries them.
//!
//! OTLP's rule: senders try again on `UNAVAILABLE` and 503 only; whatever would fail again must say so.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::StatusCode;
use otlp::signal::Signal;
use prost::Message as _;

use super::metrics::Reason;
use crate::admit::Full;
use crate::auth::Denied;
use crate::request::{Refusal, RefusalKind};

/// gRPC's status codes that this server gives, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Code {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

/// A request that was not taken, in the words of both protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub code: Code,
    pub http: StatusCode,
    pub message: String,
    /// Set exactly where the sender may try again after a pause.
    pub retry_after: Option<Duration>,
    /// What HTTP says to who has not said who they are.
    pub challenge: Option<&'static str>,
    pub reason: Reason,
}

/// The shortest pause that is ever asked for: `RetryInfo` must be above zero.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

impl Failure {
    /// The table.
    pub fn refused(refusal: Refusal, reason: Reason) -> Self {
        let (code, http, retry_after) = match refusal.kind {
            RefusalKind::Malformed => (Code::InvalidArgument, StatusCode::BAD_REQUEST, None),
            RefusalKind::TooLarge => (Code::ResourceExhausted, StatusCode::PAYLOAD_TOO_LARGE, None),
            RefusalKind::Unavailable { retry_after } | RefusalKind::Failed { retry_after } => {
                (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, Some(retry_after.max(SHORTEST_PAUSE)))
            }
            RefusalKind::Internal => (Code::Internal, StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        Self { code, http, message: refusal.message, retry_after, challenge: None, reason }
    }

    /// What the handler answered.
    pub fn by_handler(refusal: Refusal) -> Self {
        let reason = match refusal.kind {
            RefusalKind::Malformed => Reason::Malformed,
            RefusalKind::TooLarge => Reason::TooLarge,
            RefusalKind::Unavailable { .. } => Reason::Unavailable,
            RefusalKind::Failed { .. } | RefusalKind::Internal => Reason::Internal,
        };
        Self::refused(refusal, reason)
    }

    pub fn malformed(message: impl Into<String>) -> Self {
        Self::refused(Refusal::malformed(message), Reason::Malformed)
    }

    pub fn too_large(limit: usize) -> Self {
        let message = format!("the request is over the limit of {limit} bytes (also counted after decompression)");
        Self::refused(Refusal::too_large(message), Reason::TooLarge)
    }

    pub fn no_room(full: Full, retry_after: Duration) -> Self {
        let (reason, why) = match full {
            Full::Budget => (Reason::NoRoom, "too many bytes of requests are in flight"),
            Full::Connection => (Reason::ConnectionFull, "too many bytes of this connection's requests are in flight"),
            Full::Tenant => (Reason::TenantFull, "too many bytes of this tenant's requests are in flight"),
            Full::Share => {
                (Reason::UnfairShare, "little room is left, and this sender holds more than its share of it")
            }
        };
        let message = format!("{why}; send it again after the delay");
        Self::refused(Refusal::unavailable(retry_after, message), reason)
    }

    /// Somebody who may not send, or of whom that cannot be said now.
    pub fn denied(denied: Denied, challenge: &'static str, retry_after: Duration) -> Self {
        let message = match denied {
            Denied::Missing => format!("credentials are needed: send one header `authorization`, for {challenge}"),
            Denied::Wrong => "these credentials are not known here".to_owned(),
            Denied::Busy => {
                let message = "too many passwords are being checked; send it again after the delay";
                return Self::refused(Refusal::unavailable(retry_after, message), Reason::Unauthenticated);
            }
        };
        Self {
            code: Code::Unauthenticated,
            http: StatusCode::UNAUTHORIZED,
            message,
            retry_after: None,
            challenge: Some(challenge),
            reason: Reason::Unauthenticated,
        }
    }

    /// A slow network may pass, so this may be tried again.
    pub fn slow_body(limit: Duration, retry_after: Duration) -> Self {
        let message = format!("the request's body did not arrive within {limit:?}");
        Self::refused(Refusal::unavailable(retry_after, message), Reason::SlowBody)
    }

    pub fn deadline() -> Self {
        Self {
            code: Code::DeadlineExceeded,
            http: StatusCode::GATEWAY_TIMEOUT,
            message: "the call's own deadline passed before it was done".to_owned(),
            retry_after: None,
            challenge: None,
            reason: Reason::Deadline,
        }
    }

    /// A breach of gRPC's framing: a fault between client and server, not of the data.
    pub fn framing(message: &str) -> Self {
        Self {
            code: Code::Internal,
            http: StatusCode::BAD_REQUEST,
            message: message.to_owned(),
            retry_after: None,
            challenge: None,
            reason: Reason::Malformed,
        }
    }

    /// What this server does not offer: a path, a method, a content type, an encoding.
    pub fn unsupported(http: StatusCode, message: impl Into<String>) -> Self {
        Self {
            code: Code::Unimplemented,
            http,
            message: message.into(),
            retry_after: None,
            challenge: None,
            reason: Reason::Unsupported,
        }
    }

    /// A signal that no destination takes.
    pub fn no_destination(signal: Signal) -> Self {
        let message = format!(
            "{signal} are not taken here: no destination has `{signal}` among its signals. Add `signals: [{signal}]` to one \
             under `export`, or send them to another endpoint"
        );
        Self::unsupported(StatusCode::NOT_FOUND, message)
    }

    /// `Retry-After` knows whole seconds only: rounded up, and at least one.
    pub fn whole_seconds(&self) -> Option<u64> {
        let pause = self.retry_after?;
        Some((pause.as_secs() + u64::from(pause.subsec_nanos() > 0)).max(1))
    }

    /// Whether the data themselves are at fault, which OTLP/HTTP says with `BadRequest`.
    fn is_bad_request(&self) -> bool {
        self.code == Code::InvalidArgument
    }

    /// `google.rpc.Status` as protobuf.
    pub fn to_protobuf(&self) -> Vec<u8> {
        let bad_request = self.is_bad_request().then(|| bad_request(&self.message));
        let details = self.retry_after.map(retry_info).into_iter().chain(bad_request).collect();
        Status { code: self.code as i32, message: self.message.clone(), details }.encode_to_vec()
    }

    /// `google.rpc.Status` as protobuf's JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut status = serde_json::json!({ "code": self.code as i32, "message": self.message });
        if let Some(pause) = self.retry_after {
            let delay = format!("{}.{:09}s", pause.as_secs(), pause.subsec_nanos());
            status["details"] = serde_json::json!([{ "@type": RETRY_INFO, "retryDelay": delay }]);
        } else if self.is_bad_request() {
            let violations = [serde_json::json!({ "description": self.message })];
            status["details"] = serde_json::json!([{ "@type": BAD_REQUEST, "fieldViolations": violations }]);
        }
        status.to_string().into_bytes()
    }

    /// The value of `grpc-status-details-bin`, where there are details to give.
    pub fn details_header(&self) -> Option<String> {
        self.retry_after.map(|_| STANDARD_NO_PAD.encode(self.to_protobuf()))
    }

    /// The value of `grpc-message`: printable ASCII, the rest percent-encoded, cut where a header would grow too long.
    pub fn message_header(&self) -> String {
        const LONGEST: usize = 1024;
        let mut text = String::with_capacity(self.message.len());
        for byte in self.message.bytes().take(LONGEST) {
            match byte {
                b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
                _ => {
                    const HEX: &[u8; 16] = b"0123456789ABCDEF";
                    text.push('%');
                    text.push(char::from(HEX[usize::from(byte >> 4)]));
                    text.push(char::from(HEX[usize::from(byte & 15)]));
                }
            }
        }
        text
    }
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

fn retry_info(pause: Duration) -> prost_types::Any {
    let seconds = i64::try_from(pause.as_secs()).unwrap_or(i64::MAX);
    let delay = prost_types::Duration { seconds, nanos: pause.subsec_nanos().cast_signed() };
    prost_types::Any { type_url: RETRY_INFO.to_owned(), value: RetryInfo { retry_delay: Some(delay) }.encode_to_vec() }
}

/// The place is part of the message, in words.
fn bad_request(message: &str) -> prost_types::Any {
    let violation = FieldViolation { description: message.to_owned() };
    let value = BadRequest { field_violations: vec![violation] }.encode_to_vec();
    prost_types::Any { type_url: BAD_REQUEST.to_owned(), value }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`, without the path of a field.
#[derive(Clone, PartialEq, prost::Message)]
struct FieldViolation {
    #[prost(string, tag = "2")]
    description: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_sent_again_carries_a_delay() {
        for (refusal, code, http) in [
            (Refusal::malformed("x"), Code::InvalidArgument, 400),
            (Refusal::too_large("x"), Code::ResourceExhausted, 413),
            (Refusal { kind: RefusalKind::Internal, message: "x".to_owned() }, Code::Internal, 500),
        ] {
            let failure = Failure::by_handler(refusal);
            assert_eq!((failure.code, failure.http.as_u16()), (code, http));
            assert_eq!(failure.details_header(), None);
            assert_eq!(failure.whole_seconds(), None);
        }
        let failure = Failure::by_handler(Refusal::failed(Duration::from_secs(2), "x"));
        assert_eq!((failure.code, failure.http.as_u16()), (Code::Unavailable, 503));
        assert_eq!((failure.reason, failure.whole_seconds()), (Reason::Internal, Some(2)));
        let failure = Failure::by_handler(Refusal::unavailable(Duration::from_millis(1200), "x"));
        assert_eq!((failure.code, failure.http.as_u16()), (Code::Unavailable, 503));
        assert_eq!(failure.whole_seconds(), Some(2));
        let bytes = STANDARD_NO_PAD.decode(failure.details_header().unwrap()).unwrap();
        let status = Status::decode(&*bytes).unwrap();
        let info = RetryInfo::decode(&*status.details[0].value).unwrap();
        assert_eq!(info.retry_delay.unwrap(), prost_types::Duration { seconds: 1, nanos: 200_000_000 });
    }

    #[test]
    fn bad_data_are_said_to_be_a_bad_request_in_both_formats() {
        let failure = Failure::malformed("cut off");
        let status = Status::decode(&*failure.to_protobuf()).unwrap();
        assert_eq!(status.details[0].type_url, BAD_REQUEST);
        let bad = BadRequest::decode(&*status.details[0].value).unwrap();
        assert_eq!(bad.field_violations[0].description, "cut off");
        let json: serde_json::Value = serde_json::from_slice(&failure.to_json()).unwrap();
        assert_eq!(json["details"][0]["@type"], BAD_REQUEST);
        assert_eq!(json["details"][0]["fieldViolations"][0]["description"], "cut off");
        let other = Failure::too_large(5);
        assert!(Status::decode(&*other.to_protobuf()).unwrap().details.is_empty());
    }

    #[test]
    fn no_delay_is_zero() {
        let failure = Failure::by_handler(Refusal::unavailable(Duration::ZERO, "x"));
        assert_eq!(failure.whole_seconds(), Some(1));
        assert!(failure.retry_after.unwrap() > Duration::ZERO);
    }

    #[test]
    fn messages_fit_headers_whatever_they_hold() {
        let failure = Failure::malformed("100 %\nfür alle");
        assert_eq!(failure.message_header(), "100 %25%0Af%C3%BCr alle");
    }
}
