//! The sink's server: HTTP/1.1 and HTTP/2 on one port, gRPC told by its content type.

mod answer;

use super::arrivals::{Attempt, id, spans};
use super::{Behaviour, Keep, Shared};
use answer::{Answer, Kind, Refusal, Thanks};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves until it is aborted; then all its connections are closed.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| call(request, Arc::clone(&shared)));
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
    // A client that goes away, or a behaviour that breaks connections, is nothing to report.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

async fn call(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.context("reading the request")?.to_bytes();
    let kind = Kind::of(&head.headers);
    let at = Instant::now();
    let verdict = verdict(&shared).await;
    if shared.keep == Keep::Requests {
        note(&shared, at, kind, &head, &body);
    }
    match verdict {
        Verdict::Break => anyhow::bail!("the connection was to be broken"),
        Verdict::Refuse(refusal) => {
            shared.arrivals.lock().refused_calls += 1;
            Ok(kind.refuse(&refusal))
        }
        Verdict::Take(thanks) => match take(&shared, kind, &head, &body) {
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

fn take(shared: &Shared, kind: Kind, head: &Parts, body: &Bytes) -> Result<()> {
    let message = kind.message(&head.headers, body)?;
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
