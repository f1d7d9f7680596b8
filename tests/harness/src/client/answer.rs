//! What a receiver answered, whatever the protocol.

use crate::wire::{self, Compression, Status};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header, response::Parts};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use std::time::Duration;

/// An answer in OTLP's terms.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Accepted, except for `rejected` spans.
    Accepted {
        /// Spans that were not taken and are not to be sent again.
        rejected: i64,
        /// What partial success says about it.
        message: String,
    },
    /// Nothing was taken.
    Refused(Refusal),
}

/// Why nothing was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// HTTP's status; 200 for gRPC.
    pub http: u16,
    /// The gRPC code; for HTTP the one in the body's `Status`.
    pub code: i32,
    /// For people.
    pub message: String,
    /// `RetryInfo` or `Retry-After`.
    pub delay: Option<Duration>,
}

impl Answer {
    /// Whether all was accepted.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Accepted { rejected: 0, .. })
    }

    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Accepted { .. } => None,
            Self::Refused(refusal) => Some(refusal),
        }
    }

    pub(super) fn from_grpc(head: &Parts, trailers: &HeaderMap, body: &Bytes) -> Result<Self> {
        ensure!(head.status == StatusCode::OK, "gRPC answered with HTTP status {}", head.status);
        // An answer without a body has its trailers in its headers.
        let trailers = if trailers.contains_key("grpc-status") { trailers } else { &head.headers };
        let code: i32 = text(trailers, "grpc-status").context("no grpc-status")?.parse()?;
        if code == 0 {
            ensure!(!body.is_empty(), "an empty answer to a call that went well");
            // Servers in Go answer compressed where the request was.
            let message = wire::unframe(body, Compression::named(text(&head.headers, "grpc-encoding"))?)?;
            return Self::accepted(&ExportTraceServiceResponse::decode(message)?);
        }
        let details = text(trailers, "grpc-status-details-bin").map(Status::from_header).transpose()?;
        let message = text(trailers, "grpc-message").map(percent_decoded).unwrap_or_default();
        let delay = details.map(|status| status.retry_delay()).transpose()?.flatten();
        Ok(Self::Refused(Refusal { http: 200, code, message, delay }))
    }

    pub(super) fn from_protobuf(head: &Parts, body: &Bytes) -> Result<Self> {
        if head.status == StatusCode::OK {
            return Self::accepted(&ExportTraceServiceResponse::decode(&body[..])?);
        }
        let status = Status::decode(&body[..]).with_context(|| format!("{}: no Status in {body:?}", head.status))?;
        Self::refused(head, &status)
    }

    pub(super) fn from_json(head: &Parts, body: &Bytes) -> Result<Self> {
        let value: serde_json::Value =
            serde_json::from_slice(body).with_context(|| format!("{}: no JSON in {body:?}", head.status))?;
        if head.status == StatusCode::OK {
            return Self::accepted(&serde_json::from_value(value)?);
        }
        let code = value["code"].as_i64().unwrap_or_default() as i32;
        let message = value["message"].as_str().unwrap_or_default();
        Self::refused(head, &Status::new(code, message, None))
    }

    fn accepted(response: &ExportTraceServiceResponse) -> Result<Self> {
        let partial = response.partial_success.clone().unwrap_or_default();
        ensure!(partial.rejected_spans >= 0, "rejected spans: {}", partial.rejected_spans);
        Ok(Self::Accepted { rejected: partial.rejected_spans, message: partial.error_message })
    }

    fn refused(head: &Parts, status: &Status) -> Result<Self> {
        let after =
            text(&head.headers, header::RETRY_AFTER.as_str()).map(str::parse).transpose().context("Retry-After")?;
        Ok(Self::Refused(Refusal {
            http: head.status.as_u16(),
            code: status.code,
            message: status.message.clone(),
            delay: after.map(Duration::from_secs).or(status.retry_delay()?),
        }))
    }
}

impl Refusal {
    /// Whether OTLP says that the sender may try again.
    pub fn is_retryable(&self) -> bool {
        const CANCELLED_TO_DATA_LOSS: [i32; 6] = [1, 4, 10, 11, 14, 15];
        const RESOURCE_EXHAUSTED: i32 = 8;
        match self.http {
            200 if self.code == RESOURCE_EXHAUSTED => self.delay.is_some(),
            200 => CANCELLED_TO_DATA_LOSS.contains(&self.code),
            status => matches!(status, 429 | 502 | 503 | 504),
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// gRPC percent-encodes messages.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
