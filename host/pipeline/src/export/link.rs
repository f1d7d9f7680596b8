//! Connections to one back end: made when needed, kept while they live, replaced when they die. Knows HTTP, not OTLP.
//!
//! This is hyper's own client connections and not a pooling client or tonic's channel, because the number of connections
//! and who uses them is known here: one sender for each HTTP/1.1 connection, a fixed few HTTP/2 connections between all
//! senders. That saves a task, a queue and a copy of the body for each call, and leaves the codec and its level to us.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex;

use super::config::{DestinationConfig, Protocol};
use super::dial::Dialer;
use super::frames::Frames;

/// The largest answer that is read (OTLP recommends 4 MiB).
const LARGEST_ANSWER: usize = 4 << 20;

/// Pings go out only while requests are under way, and seldom: servers punish clients that ping idle connections.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the connection was lost: {}", chain(.0))]
    Lost(hyper::Error),
    #[error("the answer is larger than {LARGEST_ANSWER} bytes")]
    AnswerTooLarge,
}

/// An error with its causes: hyper's own words name only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// One sender's way to the back end.
pub(super) enum Link {
    /// A connection of its own.
    Http1 { dialer: Arc<Dialer>, connection: Option<http1::SendRequest<Frames>> },
    /// A connection that it may share.
    Http2 { slot: Arc<Slot>, used: u64 },
}

/// A shared connection, and how often it was replaced.
pub(super) struct Slot {
    dialer: Arc<Dialer>,
    current: Mutex<(u64, Option<http2::SendRequest<Frames>>)>,
}

/// The links for all senders of a destination.
pub(super) fn links(config: &DestinationConfig, dialer: &Arc<Dialer>) -> Vec<Link> {
    let senders = config.concurrency.max(1);
    match config.endpoint.protocol() {
        Protocol::Http => (0..senders).map(|_| Link::Http1 { dialer: Arc::clone(dialer), connection: None }).collect(),
        Protocol::Grpc => {
            let slot = |_| Arc::new(Slot { dialer: Arc::clone(dialer), current: Mutex::new((0, None)) });
            let slots: Vec<_> = (0..config.connections.clamp(1, senders)).map(slot).collect();
            slots.iter().cycle().take(senders).map(|slot| Link::Http2 { slot: Arc::clone(slot), used: 0 }).collect()
        }
    }
}

impl Link {
    /// Sends a request and reads the answer. A connection that the back end closed while it was idle is replaced, once.
    pub async fn send(&mut self, request: &Request<Frames>) -> Result<Reply, LinkError> {
        let (response, fresh) = self.attempt(request).await?;
        let response = match response {
            Err(error) if !fresh && is_stale(&error) => {
                self.discard().await;
                self.attempt(request).await?.0
            }
            other => other,
        };
        let reply = match response {
            Ok(response) => read(response).await,
            Err(error) => Err(LinkError::Lost(error)),
        };
        if reply.is_err() {
            self.discard().await;
        }
        reply
    }

    /// Sends over the connection that there is, or over a new one; the second part says which.
    async fn attempt(
        &mut self,
        request: &Request<Frames>,
    ) -> Result<(Result<Response<Incoming>, hyper::Error>, bool), LinkError> {
        match self {
            Self::Http1 { dialer, connection } => {
                if let Some(old) = connection
                    && old.ready().await.is_ok()
                {
                    return Ok((old.send_request(request.clone()).await, false));
                }
                let io = TokioIo::new(dialer.dial().await.map_err(LinkError::Connect)?);
                let (new, driver) = http1::handshake(io).await.map_err(LinkError::Lost)?;
                tokio::spawn(driver);
                Ok((connection.insert(new).send_request(request.clone()).await, true))
            }
            Self::Http2 { slot, used } => {
                let mut current = slot.current.lock().await;
                *used = current.0;
                if let Some(old) = current.1.as_mut().filter(|old| !old.is_closed()) {
                    let mut old = old.clone();
                    drop(current);
                    return Ok((old.send_request(request.clone()).await, false));
                }
                let io = TokioIo::new(slot.dialer.dial().await.map_err(LinkError::Connect)?);
                let (mut new, driver) = http2_settings().handshake(io).await.map_err(LinkError::Lost)?;
                tokio::spawn(driver);
                current.0 += 1;
                *used = current.0;
                current.1 = Some(new.clone());
                drop(current);
                Ok((new.send_request(request.clone()).await, true))
            }
        }
    }

    /// Lets go of the connection last used, so that the next request goes over a new one.
    pub async fn discard(&mut self) {
        match self {
            Self::Http1 { connection, .. } => *connection = None,
            Self::Http2 { slot, used } => {
                let mut current = slot.current.lock().await;
                // Unless another sender has replaced it already.
                if current.0 == *used {
                    current.1 = None;
                }
            }
        }
    }
}

fn http2_settings() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        // Only answers come this way, and they are small. How fast requests go is the peer's windows' affair.
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(false);
    builder
}

/// Whether a used connection was found closed, so that the request has most likely not been seen. If it has been, it
/// arrives twice: OTLP delivers at least once.
fn is_stale(error: &hyper::Error) -> bool {
    error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}

async fn read(response: Response<Incoming>) -> Result<Reply, LinkError> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = incoming.frame().await {
        match frame.map_err(LinkError::Lost)?.into_data() {
            Ok(data) if body.len() + data.len() > LARGEST_ANSWER => return Err(LinkError::AnswerTooLarge),
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok(Reply { status: head.status, headers: head.headers, body: body.freeze(), trailers })
}
