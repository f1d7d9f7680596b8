//! The sink's server: HTTP/1.1 and HTTP/2 on one port, gRPC told by its content type.

use super::{Behaviour, Keep, Shared, count};
use crate::client::{GRPC_PATH, HTTP_PATH};
use crate::wire::{self, Compression, Status};
use anyhow::{Context as _, Result};
use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Collected, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const UNAVAILABLE: i32 = 14;
const INVALID_ARGUMENT: i32 = 3;

/// Serves until it is aborted; then all its connections are closed.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(accepted(stream, tls.clone(), Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn accepted(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    match tls {
        None => connection(stream, shared).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                connection(stream, shared).await;
            }
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(|request| call(request, Arc::clone(&shared)));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
    // A client that goes away, or a behaviour that breaks connections, is nothing to report.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

async fn call(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<BoxBody<Bytes, Infallible>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.context("reading the request")?;
    let kind = Kind::of(&head);
    match verdict(&shared).await {
        Verdict::Break => anyhow::bail!("the connection was to be broken"),
        Verdict::Refuse(status) => {
            shared.arrivals.lock().refused_calls += 1;
            Ok(kind.refuse(&status))
        }
        Verdict::Take { rejected } => Ok(match take(&shared, kind, &head, body) {
            Ok(()) => kind.accept(rejected),
            Err(error) => {
                shared.arrivals.lock().unreadable.push(format!("{error:#}"));
                kind.refuse(&Status::new(INVALID_ARGUMENT, &format!("{error:#}"), None))
            }
        }),
    }
}

enum Verdict {
    Take { rejected: i64 },
    Refuse(Status),
    Break,
}

async fn verdict(shared: &Shared) -> Verdict {
    let mut heard = shared.behaviour.clone();
    loop {
        let behaviour = heard.borrow_and_update().clone();
        return match behaviour {
            Behaviour::Accept => Verdict::Take { rejected: 0 },
            Behaviour::Partial(rejected) => Verdict::Take { rejected },
            Behaviour::Break => Verdict::Break,
            Behaviour::Invalid => Verdict::Refuse(Status::new(INVALID_ARGUMENT, "the sink was told to", None)),
            Behaviour::Unavailable(delay) => Verdict::Refuse(Status::new(UNAVAILABLE, "the sink was told to", delay)),
            Behaviour::Slow(delay) => {
                tokio::time::sleep(delay).await;
                Verdict::Take { rejected: 0 }
            }
            Behaviour::Hang => match heard.changed().await {
                Ok(()) => continue,
                Err(_) => Verdict::Break,
            },
        };
    }
}

fn take(shared: &Shared, kind: Kind, head: &Parts, body: Collected<Bytes>) -> Result<()> {
    if shared.keep == Keep::Counts && kind != Kind::Json && [GRPC_PATH, HTTP_PATH].contains(&head.uri.path()) {
        return count(shared, kind, head, body);
    }
    let body = &body.to_bytes();
    let message = kind.message(head, body)?;
    match head.uri.path() {
        path if path.contains("metrics") => {
            ExportMetricsServiceRequest::decode(message.clone())?;
            shared.arrivals.lock().metrics.push(message);
            return Ok(());
        }
        path if path.contains("logs") => {
            ExportLogsServiceRequest::decode(message.clone())?;
            shared.arrivals.lock().logs.push(message);
            return Ok(());
        }
        _ => {}
    }
    let request = match kind {
        Kind::Json => serde_json::from_slice(&message)?,
        Kind::Grpc | Kind::Protobuf => ExportTraceServiceRequest::decode(message.clone())?,
    };
    shared.arrivals.lock().take(shared.keep, request, &message, body.len());
    Ok(())
}

/// Takes spans as a number alone; what is not compressed is not even copied.
fn count(shared: &Shared, kind: Kind, head: &Parts, body: Collected<Bytes>) -> Result<()> {
    let (spans, bytes, wire_bytes) = if kind.compression(head)? == Compression::None {
        let mut body = body.aggregate();
        let wire_bytes = body.remaining();
        if kind == Kind::Grpc {
            wire::step_into_frame(&mut body)?;
        }
        let bytes = body.remaining();
        (count::spans(body)?, bytes, wire_bytes)
    } else {
        let body = body.to_bytes();
        let message = kind.message(head, &body)?;
        (count::spans(&message[..])?, message.len(), body.len())
    };
    shared.arrivals.lock().count(spans, bytes, wire_bytes);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grpc,
    Protobuf,
    Json,
}

impl Kind {
    fn of(head: &Parts) -> Self {
        match text(&head.headers, "content-type").unwrap_or_default() {
            kind if kind.starts_with("application/grpc") => Self::Grpc,
            kind if kind.starts_with("application/json") => Self::Json,
            _ => Self::Protobuf,
        }
    }

    fn compression(self, head: &Parts) -> Result<Compression> {
        let header = if self == Self::Grpc { "grpc-encoding" } else { "content-encoding" };
        Compression::named(text(&head.headers, header))
    }

    fn message(self, head: &Parts, body: &Bytes) -> Result<Bytes> {
        let compression = self.compression(head)?;
        if self == Self::Grpc { wire::unframe(body, compression) } else { compression.unpack(body) }
    }

    fn accept(self, rejected: i64) -> Response<BoxBody<Bytes, Infallible>> {
        let partial =
            ExportTracePartialSuccess { rejected_spans: rejected, error_message: "told to reject".to_owned() };
        let response = ExportTraceServiceResponse { partial_success: (rejected != 0).then_some(partial) };
        match self {
            Self::Grpc => {
                let framed = wire::frame(&response.encode_to_vec().into(), Compression::None);
                grpc(framed.expect("a small message fits a frame"), &Status::default())
            }
            Self::Protobuf => plain(StatusCode::OK, self, response.encode_to_vec()),
            Self::Json => plain(StatusCode::OK, self, serde_json::to_vec(&response).expect("a response is JSON")),
        }
    }

    fn refuse(self, status: &Status) -> Response<BoxBody<Bytes, Infallible>> {
        let delay = status.retry_delay().ok().flatten();
        let code = if status.code == UNAVAILABLE { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
        let mut response = match self {
            Self::Grpc => return grpc(Bytes::new(), status),
            Self::Protobuf => plain(code, self, status.encode_to_vec()),
            Self::Json => {
                let body = serde_json::json!({ "code": status.code, "message": status.message });
                plain(code, self, body.to_string().into_bytes())
            }
        };
        if let Some(delay) = delay {
            response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(delay).into());
        }
        response
    }
}

/// Retry-After knows no fractions.
fn whole_seconds(delay: Duration) -> u64 {
    delay.as_secs() + u64::from(delay.subsec_nanos() > 0)
}

fn grpc(body: Bytes, status: &Status) -> Response<BoxBody<Bytes, Infallible>> {
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

fn plain(code: StatusCode, kind: Kind, body: Vec<u8>) -> Response<BoxBody<Bytes, Infallible>> {
    let content_type = if kind == Kind::Json { "application/json" } else { "application/x-protobuf" };
    let mut response = Response::new(BoxBody::new(Full::new(Bytes::from(body))));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
