//! OTLP/HTTP: a path for each signal, two encodings, and answers in the encoding of the request.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use otlp::signal::Signal;

use super::body::Held;
use super::context::Peer;
use super::inflate::Encoding;
use super::metrics::Protocol;
use super::reply::Reply;
use super::status::Failure;
use super::{Shared, body, cors, response};
use crate::paths;
use crate::request::Accepted;

/// How a request, and so its answer, is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

impl Format {
    fn of(head: &Parts) -> Option<Self> {
        let kind = head.headers.get(CONTENT_TYPE)?.as_bytes();
        let kind = kind.split(|&byte| byte == b';').next()?.trim_ascii();
        if kind.eq_ignore_ascii_case(b"application/x-protobuf") {
            Some(Self::Protobuf)
        } else if kind.eq_ignore_ascii_case(b"application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

/// Answers one request.
pub(super) async fn answer(shared: &Shared, peer: &Peer, request: Request<Incoming>) -> Response<Reply> {
    let Some(policy) = &shared.cors else { return take(shared, peer, request).await };
    let page = policy.page(request.headers());
    let is_preflight = cors::is_preflight(&request);
    let mut response = if is_preflight { policy.preflight(&page) } else { take(shared, peer, request).await };
    page.mark(&mut response);
    response
}

async fn take(shared: &Shared, peer: &Peer, request: Request<Incoming>) -> Response<Reply> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path();
    let signal = Signal::ALL.into_iter().find(|signal| path == paths::http(*signal));
    let counters = shared.metrics.of(Protocol::http, signal);
    let format = Format::of(&head);
    match export(shared, peer, signal, &head, format, &mut body).await {
        Ok(accepted) => {
            counters.done(super::outcome(&accepted));
            let signal = signal.expect("what was taken had a signal");
            success(signal, format.expect("what was taken had a format"), &accepted)
        }
        Err(failure) => {
            counters.refused(failure.reason, &peer.context.peer, &failure.message);
            drain(&head, &mut body).await;
            // Who names no format that we know is likely a person with a tool: JSON can be read.
            refusal(format.unwrap_or(Format::Json), &head, &failure)
        }
    }
}

async fn export(
    shared: &Shared,
    peer: &Peer,
    signal: Option<Signal>,
    head: &Parts,
    format: Option<Format>,
    body: &mut Incoming,
) -> Result<Accepted, Failure> {
    let granted = shared.authenticate(&head.headers).await?;
    let Some(signal) = signal else {
        let [traces, metrics, logs] = Signal::ALL.map(paths::http);
        let message = format!("nothing is at this path; traces go to {traces}, metrics to {metrics}, logs to {logs}");
        return Err(Failure::unsupported(StatusCode::NOT_FOUND, message));
    };
    shared.served(signal)?;
    if head.method != Method::POST {
        return Err(Failure::unsupported(StatusCode::METHOD_NOT_ALLOWED, format!("{signal} are sent by POST")));
    }
    let Some(format) = format else {
        let message = "the content type is neither application/x-protobuf nor application/json";
        return Err(Failure::unsupported(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    };
    let declared = head.headers.get(CONTENT_ENCODING);
    let encoding = declared.map_or(Some(Encoding::Identity), |name| Encoding::named(name.as_bytes()));
    let Some(encoding) = encoding else {
        let message = "the content encoding is not one of identity, gzip, zstd";
        return Err(Failure::unsupported(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    };
    shared.ready(signal)?;
    let held = shared.in_time(body::whole(body, &shared.payer(peer, head, &granted), &shared.limits)).await?;
    shared.metrics.of(Protocol::http, Some(signal)).bytes(held.bytes.len());
    let held = if held.bytes.is_empty() { held } else { body::inflated(encoding, held, &shared.limits)? };
    let held = match format {
        Format::Protobuf => held,
        Format::Json => from_json(shared, signal, held)?,
    };
    shared.handle(signal, held, peer, &head.headers, &granted).await
}

/// JSON becomes protobuf here, once. An empty body is an empty request, as it is in protobuf.
fn from_json(shared: &Shared, signal: Signal, held: Held) -> Result<Held, Failure> {
    if held.bytes.is_empty() {
        return Ok(held);
    }
    let Held { bytes, mut permit } = held;
    let converted = otlp::json::to_protobuf(signal, &bytes).map_err(|error| Failure::malformed(error.to_string()))?;
    shared.metrics.lenient(converted.lenient.enum_names + converted.lenient.snake_case_keys);
    drop(bytes);
    shared.limits.cover(&mut permit, converted.body.len())?;
    Ok(Held::of_buffer(converted.body, permit))
}

fn success(signal: Signal, format: Format, accepted: &Accepted) -> Response<Reply> {
    let body = match format {
        Format::Json if response::is_full(accepted) => Bytes::from_static(b"{}"),
        Format::Json => response::to_json(signal, accepted).into(),
        Format::Protobuf => response::to_protobuf(accepted).into(),
    };
    let mut response = Response::new(Reply::new(body));
    response.headers_mut().insert(CONTENT_TYPE, format.content_type());
    response
}

fn refusal(format: Format, head: &Parts, failure: &Failure) -> Response<Reply> {
    let body = match format {
        Format::Protobuf => failure.to_protobuf(),
        Format::Json => failure.to_json(),
    };
    let mut response = Response::new(Reply::new(body));
    *response.status_mut() = failure.http;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, format.content_type());
    if let Some(seconds) = failure.whole_seconds() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(challenge) = failure.challenge {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if failure.http == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if failure.http == StatusCode::UNSUPPORTED_MEDIA_TYPE && head.headers.contains_key(CONTENT_ENCODING) {
        headers.insert(http::header::ACCEPT_ENCODING, HeaderValue::from_static("identity, gzip, zstd"));
    }
    response
}

/// Takes a small refused body off the wire and forgets it, so that the connection can go on: a sender that is still writing
/// would otherwise see a reset instead of the answer. HTTP/2 needs none of this.
async fn drain(head: &Parts, body: &mut Incoming) {
    const WORTH_IT: u64 = 1 << 20;
    const PATIENCE: Duration = Duration::from_secs(1);
    let small = body.size_hint().exact().is_some_and(|size| size <= WORTH_IT);
    if head.version >= Version::HTTP_2 || !small || head.headers.contains_key(EXPECT) {
        return;
    }
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        tracing::debug!("a refused body did not arrive in time; its connection will be closed");
    }
}
