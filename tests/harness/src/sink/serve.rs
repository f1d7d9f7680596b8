//! The sink's server: HTTP/1.1 and HTTP/2 on one port, gRPC told by its content type.

mod answer;

use super::arrivals::{Attempt, id, spans};
use super::{Behaviour, Keep, Shared, count};
use crate::client::{GRPC_PATH, HTTP_PATH};
use crate::wire::{self, Compression};
use answer::{Answer, Kind, Refusal, Thanks};
use anyhow::{Context as _, Result};
use bytes::{Buf as _, Bytes};
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

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

async fn call(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.context("reading the request")?;
    let kind = Kind::of(&head.headers);
    let at = Instant::now();
    let verdict = verdict(&shared).await;
    let body = if is_only_counted(&shared, kind, &head) {
        Body::Pieces(body)
    } else {
        let body = body.to_bytes();
        if shared.keep == Keep::Requests {
            note(&shared, at, kind, &head, &body);
        }
        Body::Whole(body)
    };
    match verdict {
        Verdict::Break => anyhow::bail!("the connection was to be broken"),
        Verdict::Refuse(refusal) => {
            shared.arrivals.lock().refused_calls += 1;
            Ok(kind.refuse(&refusal))
        }
        Verdict::Take(thanks) => match take(&shared, kind, &head, body) {
            Ok(()) => kind.accept(thanks),
            Err(error) => {
                shared.arrivals.lock().unreadable.push(format!("{error:#}"));
                Ok(kind.refuse(&Refusal::invalid(format!("{error:#}"))))
            }
        },
    }
}

enum Verdict {
    Take(Thanks),
    Refuse(Refusal),
    Break,
}

async fn verdict(shared: &Shared) -> Verdict {
    let mut heard = shared.behaviour.clone();
    loop {
        let behaviour = heard.borrow_and_update().clone();
        return match behaviour {
            Behaviour::Accept => Verdict::Take(Thanks::FULL),
            Behaviour::Partial(rejected) => Verdict::Take(Thanks { rejected, ..Thanks::FULL }),
            Behaviour::Verbose(words, compression) => Verdict::Take(Thanks { rejected: 0, words, compression }),
            Behaviour::Break => Verdict::Break,
            Behaviour::Invalid => Verdict::Refuse(Refusal::invalid("the sink was told to".to_owned())),
            Behaviour::Unavailable(delay) => Verdict::Refuse(Refusal::passing(delay)),
            Behaviour::Refuse { grpc, http, after } => {
                let http = StatusCode::from_u16(http).expect("tests name statuses that there are");
                Verdict::Refuse(Refusal::new(grpc, http, after))
            }
            Behaviour::Slow(delay) => {
                tokio::time::sleep(delay).await;
                Verdict::Take(Thanks::FULL)
            }
            Behaviour::Hang => match heard.changed().await {
                Ok(()) => continue,
                Err(_) => Verdict::Break,
            },
        };
    }
}

/// Remembers an attempt to deliver spans once it is decided what becomes of it, so that who has seen it may change the behaviour.
fn note(shared: &Shared, at: Instant, kind: Kind, head: &Parts, body: &Bytes) {
    let path = head.uri.path();
    if signal(path) != Signal::Traces {
        return;
    }
    let Ok(message) = kind.message(&head.headers, body) else { return };
    let Ok(request) = decoded(kind, &message) else { return };
    let ids = spans(&request).map(id).collect();
    let attempt = Attempt { at, path: path.to_owned(), headers: head.headers.clone(), ids, bytes: message.len() };
    shared.arrivals.lock().attempts.push(attempt);
}

/// A request's body: as it came where it is only counted.
enum Body {
    Pieces(Collected<Bytes>),
    Whole(Bytes),
}

fn is_only_counted(shared: &Shared, kind: Kind, head: &Parts) -> bool {
    shared.keep == Keep::Counts && kind != Kind::Json && [GRPC_PATH, HTTP_PATH].contains(&head.uri.path())
}

fn take(shared: &Shared, kind: Kind, head: &Parts, body: Body) -> Result<()> {
    let body = match body {
        Body::Pieces(pieces) => return count(shared, kind, head, pieces),
        Body::Whole(body) => body,
    };
    let message = kind.message(&head.headers, &body)?;
    match signal(head.uri.path()) {
        Signal::Metrics => {
            ExportMetricsServiceRequest::decode(message.clone())?;
            shared.arrivals.lock().metrics.push(message);
        }
        Signal::Logs => {
            ExportLogsServiceRequest::decode(message.clone())?;
            shared.arrivals.lock().logs.push(message);
        }
        Signal::Traces => {
            let request = decoded(kind, &message)?;
            shared.arrivals.lock().take(shared.keep, request, &message, body.len());
        }
    }
    Ok(())
}

fn decoded(kind: Kind, message: &Bytes) -> Result<ExportTraceServiceRequest> {
    Ok(match kind {
        Kind::Json => serde_json::from_slice(message)?,
        Kind::Grpc | Kind::Protobuf => ExportTraceServiceRequest::decode(message.clone())?,
    })
}

/// Takes spans as a number alone; what is not compressed is not even copied.
fn count(shared: &Shared, kind: Kind, head: &Parts, body: Collected<Bytes>) -> Result<()> {
    let (spans, bytes, wire_bytes) = if kind.compression(&head.headers)? == Compression::None {
        let mut body = body.aggregate();
        let wire_bytes = body.remaining();
        if kind == Kind::Grpc {
            wire::step_into_frame(&mut body)?;
        }
        let bytes = body.remaining();
        (count::spans(body)?, bytes, wire_bytes)
    } else {
        let body = body.to_bytes();
        let message = kind.message(&head.headers, &body)?;
        (count::spans(&message[..])?, message.len(), body.len())
    };
    shared.arrivals.lock().count(spans, bytes, wire_bytes);
    Ok(())
}

#[derive(PartialEq, Eq)]
enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// By the path, which for traces may be any.
fn signal(path: &str) -> Signal {
    match path {
        path if path.contains("metrics") => Signal::Metrics,
        path if path.contains("logs") => Signal::Logs,
        _ => Signal::Traces,
    }
}
