//! OTLP/gRPC: one unary method for each signal, its framing and its words. Those of `health.rs` and `reflection.rs` go through here
//! as well.
//!
//! By hand over hyper's HTTP/2, because a general server takes what this one needs: tonic answers a message over the limit
//! with `OUT_OF_RANGE`, which senders repeat for ever, reads the first gzip member only, and copies every message into a
//! buffer of its own. What is left to do for one unary method is a prefix of five bytes and two trailers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, request::Parts};
use hyper::body::Incoming;
use otlp::signal::Signal;

use super::body::Held;
use super::context::Peer;
use super::inflate::Encoding;
use super::metrics::{Protocol, Reason};
use super::reply::Reply;
use super::status::{Code, Failure};
use super::{Limits, Shared, body, health, reflection, response};
use crate::paths;
use crate::request::Accepted;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const ENCODINGS: HeaderValue = HeaderValue::from_static("identity,gzip,zstd");
/// An empty message, framed: what a request is answered that was taken whole.
const EMPTY: &[u8] = &[0; 5];

/// Answers one call.
pub(super) async fn answer(shared: &Shared, peer: &Peer, request: Request<Incoming>) -> Response<Reply> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path();
    let signal = Signal::ALL.into_iter().find(|signal| path == paths::method(*signal));
    let counters = shared.metrics.of(Protocol::grpc, signal);
    if let Some(refused) = not_grpc(&head) {
        counters.refused(Reason::Unsupported, &peer.context.peer, "it is no gRPC call");
        return refused;
    }
    if health::is_asked(&head) {
        let answer = health::answer(shared, &head, &mut body).await;
        return answer.map_or_else(|failure| refusal(&failure), |message| success(framed(&message)));
    }
    if reflection::is_asked(&head) {
        let granted = shared.authenticate(&head.headers).await;
        return granted.map_or_else(|failure| refusal(&failure), |_| streamed(reflection::answer(body)));
    }
    let call = export(shared, peer, signal, &head, &mut body);
    let result = match head.headers.get(&TIMEOUT).map(timeout) {
        None => call.await,
        Some(Some(limit)) => tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(Failure::deadline())),
        Some(None) => Err(Failure::framing("grpc-timeout is not up to eight digits and one of H, M, S, m, u, n")),
    };
    match result {
        Ok(accepted) => {
            counters.done(super::outcome(&accepted));
            success(exported(&accepted))
        }
        Err(failure) => {
            counters.refused(failure.reason, &peer.context.peer, &failure.message);
            refusal(&failure)
        }
    }
}

async fn export(
    shared: &Shared,
    peer: &Peer,
    signal: Option<Signal>,
    head: &Parts,
    body: &mut Incoming,
) -> Result<Accepted, Failure> {
    let granted = shared.authenticate(&head.headers).await?;
    let Some(signal) = signal else {
        let (path, traces) = (head.uri.path(), paths::method(Signal::Traces));
        let message = format!("there is no method {path}; traces go to {traces}, metrics and logs likewise");
        return Err(Failure::unsupported(StatusCode::NOT_FOUND, message));
    };
    shared.served(signal)?;
    let encoding = encoding(head)?;
    shared.ready(signal)?;
    let message = shared.in_time(body::message(body, &shared.payer(peer, head, &granted), &shared.limits)).await?;
    shared.metrics.of(Protocol::grpc, Some(signal)).bytes(message.1.bytes.len());
    let held = inflated(encoding, message, &shared.limits)?;
    shared.handle(signal, held, peer, &head.headers, &granted).await
}

/// What a call says its message is compressed with, where it is.
pub(super) fn encoding(head: &Parts) -> Result<Encoding, Failure> {
    let declared = head.headers.get(&ENCODING);
    declared.map_or(Some(Encoding::Identity), |name| Encoding::named(name.as_bytes())).ok_or_else(|| {
        let message = "the message's grpc-encoding is not one of identity, gzip, zstd";
        Failure::unsupported(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    })
}

/// A message as it was before it was compressed, if it was.
pub(super) fn inflated(encoding: Encoding, (compressed, held): (bool, Held), limits: &Limits) -> Result<Held, Failure> {
    match (compressed, encoding) {
        (false, _) => Ok(held),
        (true, Encoding::Identity) => {
            Err(Failure::framing("the message says that it is compressed, but the call names no grpc-encoding"))
        }
        (true, encoding) => body::inflated(encoding, held, limits),
    }
}

/// What no gRPC client sends is answered in HTTP's own words.
fn not_grpc(head: &Parts) -> Option<Response<Reply>> {
    let mut response = Response::new(Reply::default());
    if head.method != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return Some(response);
    }
    if head.version != Version::HTTP_2 {
        // HTTP/1.1 would lose the trailers, and with them what became of the call.
        *response.status_mut() = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return Some(response);
    }
    let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let kind = kind.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if kind.eq_ignore_ascii_case(b"application/grpc") || kind.eq_ignore_ascii_case(b"application/grpc+proto") {
        return None;
    }
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Some(response)
}

fn exported(accepted: &Accepted) -> Bytes {
    if response::is_full(accepted) { Bytes::from_static(EMPTY) } else { framed(&response::to_protobuf(accepted)) }
}

pub(super) fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).expect("a response's message is cut at some kilobytes");
    [&[0][..], &length.to_be_bytes(), message].concat().into()
}

fn success(data: Bytes) -> Response<Reply> {
    streamed(Reply::with_trailers(data, trailers(None)))
}

fn streamed(reply: Reply) -> Response<Reply> {
    let mut response = Response::new(reply);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

fn refusal(failure: &Failure) -> Response<Reply> {
    let mut response = Response::new(Reply::default());
    *response.headers_mut() = trailers(Some(failure));
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// What a call ends with.
pub(super) fn trailers(failure: Option<&Failure>) -> HeaderMap {
    let Some(failure) = failure else { return HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]) };
    let text = |text: String| HeaderValue::try_from(text).expect("percent-encoded and base64 texts are header values");
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from(failure.code as u16));
    trailers.insert(MESSAGE, text(failure.message_header()));
    if let Some(details) = failure.details_header() {
        trailers.insert(DETAILS, text(details));
    }
    if failure.code == Code::Unimplemented {
        trailers.insert(ACCEPT_ENCODING, ENCODINGS);
    }
    trailers
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout(value: &HeaderValue) -> Option<Duration> {
    let (unit, digits) = value.as_bytes().split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let read = |text| timeout(&HeaderValue::from_static(text));
        assert_eq!(read("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        for wrong in ["", "S", "1", "123456789S", "-1S", "1x", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
