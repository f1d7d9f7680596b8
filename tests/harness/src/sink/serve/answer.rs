//! What the sink says, in the terms of who asked: gRPC, or HTTP with protobuf or JSON.

use crate::sink::behaviour::After;
use crate::wire::{self, Compression, Status};
use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message as _;
use std::convert::Infallible;
use std::time::Duration;

pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

const UNAVAILABLE: i32 = 14;
pub(super) const INVALID_ARGUMENT: i32 = 3;

/// Who is spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Grpc,
    Protobuf,
    Json,
}

/// How a request is taken.
#[derive(Clone, Copy)]
pub(super) struct Thanks {
    pub rejected: i64,
    /// Beside what has to be said.
    pub words: usize,
    pub compression: Compression,
}

impl Thanks {
    pub const FULL: Self = Self { rejected: 0, words: 0, compression: Compression::None };

    fn response(self) -> ExportTraceServiceResponse {
        let said = self.rejected != 0 || self.words > 0;
        let error_message = if self.words > 0 { "x".repeat(self.words) } else { "told to reject".to_owned() };
        let partial = ExportTracePartialSuccess { rejected_spans: self.rejected, error_message };
        ExportTraceServiceResponse { partial_success: said.then_some(partial) }
    }
}

/// How a request is refused.
pub(super) struct Refusal {
    grpc: i32,
    http: StatusCode,
    message: String,
    after: Option<After>,
}

impl Refusal {
    /// For now, or for good.
    pub fn passing(delay: Option<Duration>) -> Self {
        Self::new(UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE, delay.map(After::Delay))
    }

    pub fn new(grpc: i32, http: StatusCode, after: Option<After>) -> Self {
        Self { grpc, http, message: "the sink was told to".to_owned(), after }
    }

    pub fn invalid(message: String) -> Self {
        Self { message, ..Self::new(INVALID_ARGUMENT, StatusCode::BAD_REQUEST, None) }
    }

    fn status(&self) -> Status {
        let delay = match self.after {
            Some(After::Delay(delay)) => Some(delay),
            _ => None,
        };
        Status::new(self.grpc, &self.message, delay)
    }

    fn retry_after(&self) -> Option<HeaderValue> {
        Some(match self.after? {
            After::Delay(delay) => whole_seconds(delay).into(),
            After::Date(date) => HeaderValue::from_str(&httpdate::fmt_http_date(date)).expect("a date is plain text"),
        })
    }
}

impl Kind {
    pub fn of(headers: &HeaderMap) -> Self {
        match text(headers, "content-type").unwrap_or_default() {
            kind if kind.starts_with("application/grpc") => Self::Grpc,
            kind if kind.starts_with("application/json") => Self::Json,
            _ => Self::Protobuf,
        }
    }

    /// What was sent, without what the protocol puts around it.
    pub fn message(self, headers: &HeaderMap, body: &Bytes) -> Result<Bytes> {
        let compression = self.compression(headers)?;
        if self == Self::Grpc { wire::unframe(body, compression) } else { compression.unpack(body) }
    }

    /// How that is compressed.
    pub fn compression(self, headers: &HeaderMap) -> Result<Compression> {
        let header = if self == Self::Grpc { "grpc-encoding" } else { "content-encoding" };
        Compression::named(text(headers, header))
    }

    pub fn accept(self, thanks: Thanks) -> Result<Answer> {
        let response = thanks.response();
        let body: Bytes = match self {
            Self::Grpc | Self::Protobuf => response.encode_to_vec().into(),
            Self::Json => serde_json::to_vec(&response)?.into(),
        };
        let (mut answer, encoding) = match self {
            Self::Grpc => (
                grpc(wire::frame(&body, thanks.compression)?, &Status::default()),
                HeaderName::from_static("grpc-encoding"),
            ),
            _ => (plain(StatusCode::OK, self, thanks.compression.pack(&body)?), header::CONTENT_ENCODING),
        };
        if thanks.compression != Compression::None {
            answer.headers_mut().insert(encoding, HeaderValue::from_static(thanks.compression.name()));
        }
        Ok(answer)
    }

    pub fn refuse(self, refusal: &Refusal) -> Answer {
        let status = refusal.status();
        let mut answer = match self {
            Self::Grpc => return grpc(Bytes::new(), &status),
            Self::Protobuf => plain(refusal.http, self, status.encode_to_vec().into()),
            Self::Json => {
                let body = serde_json::json!({ "code": status.code, "message": status.message });
                plain(refusal.http, self, body.to_string().into())
            }
        };
        if let Some(after) = refusal.retry_after() {
            answer.headers_mut().insert(header::RETRY_AFTER, after);
        }
        answer
    }
}

/// Retry-After knows no fractions.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

fn grpc(body: Bytes, status: &Status) -> Answer {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.code.into());
    if status.code != 0 {
        let details = HeaderValue::from_str(&status.to_header()).expect("base64 is a header value");
        trailers.insert("grpc-status-details-bin", details);
        trailers.insert("grpc-message", HeaderValue::from_str(&status.message).expect("a plain message"));
    }
    let body = Full::new(body).with_trailers(std::future::ready(Some(Ok(trailers))));
    let mut response = Response::new(BoxBody::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn plain(code: StatusCode, kind: Kind, body: Bytes) -> Answer {
    let content_type = if kind == Kind::Json { "application/json" } else { "application/x-protobuf" };
    let mut response = Response::new(BoxBody::new(Full::new(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
