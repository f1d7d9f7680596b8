//! Connections to one back end: made when needed, kept while they live, replaced when they die. Knows HTTP, not OTLP.
//!
//! This is hyper's own client connections and not a pooling client or tonic's channel, because the number of connections
//! and who uses them is known here: one sender for each HTTP/1.1 connection, a fixed few HTTP/2 connections between all
//! senders. That saves a task, a queue and a copy of the body for each call, and leaves the codec and its level to us.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;

use super::dial::{DialError, Dialer};
use super::frames::Frames;
use crate::gathered::{Attending, Gathered};

/// The largest answer that is read (OTLP recommends 4 MiB).
pub(super) const LARGEST_ANSWER: usize = 4 << 20;

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
    #[error(transparent)]
    Connect(#[from] DialError),
    /// `advice` is empty, or the end of a message.
    #[error("the connection with {to} was lost: {}{advice}", chain(.error))]
    Lost { to: String, error: hyper::Error, advice: String },
    #[error("no connection to {to} within {within:?}")]
    NoConnection { to: String, within: Duration },
    #[error("no answer from {to} within {within:?}")]
    NoAnswer { to: String, within: Duration },
    #[error("the answer is larger than {LARGEST_ANSWER} bytes")]
    AnswerTooLarge,
}

/// An error with its causes: hyper's own words name only the outermost.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// How often a request goes over another connection because the last was being closed when it was met.
const AGAIN: u32 = 3;

/// One sender's way to the back end.
pub(super) enum Link {
    /// A connection of its own, and where it leads.
    Http1 { dialer: Arc<Dialer>, connection: Option<(http1::SendRequest<Frames>, Option<SocketAddr>)> },
    /// A connection that it may share.
    Http2 { slot: Arc<Slot>, used: u64 },
}

/// A shared connection.
pub(super) struct Slot {
    dialer: Arc<Dialer>,
    current: Mutex<Current>,
    /// One sender at a time opens a connection; the others wait for it, each within its own time.
    dialing: tokio::sync::Mutex<()>,
}

/// The connection that there is, and how often it was replaced.
#[derive(Default)]
struct Current {
    number: u64,
    connection: Option<http2::SendRequest<Frames>>,
    peer: Option<SocketAddr>,
}

impl Slot {
    pub fn new(dialer: Arc<Dialer>) -> Arc<Self> {
        Arc::new(Self { dialer, current: Mutex::default(), dialing: tokio::sync::Mutex::default() })
    }

    /// The connection and its number, unless it is known to be closed or to lead where the name does no more. Its number then
    /// is the last one's.
    fn live(&self) -> (u64, Option<http2::SendRequest<Frames>>) {
        let mut current = self.current.lock();
        if !self.dialer.leads_to(current.peer) {
            current.connection = None;
        }
        let live = current.connection.as_ref().filter(|connection| !connection.is_closed());
        (current.number, live.cloned())
    }

    /// Lets go of the connection if it leads where nothing should go any more. It ends when its calls have.
    pub fn follow(&self, is_gone: bool) {
        let mut current = self.current.lock();
        if is_gone || !self.dialer.leads_to(current.peer) {
            current.connection = None;
        }
    }
}

impl Link {
    /// A way that has not been gone yet.
    pub fn http1(dialer: Arc<Dialer>) -> Self {
        Self::Http1 { dialer, connection: None }
    }

    /// Likewise, over a connection that others go over as well.
    pub fn http2(slot: Arc<Slot>) -> Self {
        Self::Http2 { slot, used: 0 }
    }

    /// Sends a request and reads the answer, both within a time. Where a connection was being closed, so that the back end
    /// has not looked at the request, it goes over another. After any failure the next request goes over a new connection.
    pub async fn send(&mut self, request: &Request<Frames>, within: Duration) -> Result<Reply, LinkError> {
        if let Ok(answered) = tokio::time::timeout(within, self.exchange(request)).await {
            if answered.is_err() {
                self.discard();
            }
            return answered;
        }
        let to = self.dialer().to();
        // A connection on which nothing comes may be dead without anyone knowing.
        Err(if self.discard() { LinkError::NoAnswer { to, within } } else { LinkError::NoConnection { to, within } })
    }

    async fn exchange(&mut self, request: &Request<Frames>) -> Result<Reply, LinkError> {
        let (mut response, mut fresh) = self.attempt(request).await?;
        for _ in 0..AGAIN {
            if !response.as_ref().is_err_and(|error| is_unseen(error) || (!fresh && is_stale(error))) {
                break;
            }
            self.discard();
            (response, fresh) = self.attempt(request).await?;
        }
        let lost = |error| {
            let advice = if fresh { self.dialer().advice_on_loss() } else { String::new() };
            LinkError::Lost { to: self.dialer().to(), error, advice }
        };
        read(response.map_err(lost)?, lost).await
    }

    fn dialer(&self) -> &Dialer {
        match self {
            Self::Http1 { dialer, .. } => dialer,
            Self::Http2 { slot, .. } => &slot.dialer,
        }
    }

    /// Sends over the connection that there is, or over a new one; the second part says which.
    async fn attempt(
        &mut self,
        request: &Request<Frames>,
    ) -> Result<(Result<Response<Incoming>, hyper::Error>, bool), LinkError> {
        match self {
            Self::Http1 { dialer, connection } => {
                if let Some((old, peer)) = connection
                    && dialer.leads_to(*peer)
                    && old.ready().await.is_ok()
                {
                    return Ok((old.send_request(request.clone()).await, false));
                }
                *connection = None;
                let (stream, peer) = dialer.dial().await?;
                let (new, driver) = match http1::handshake(TokioIo::new(stream)).await {
                    Ok(made) => made,
                    Err(error) => return Ok((Err(error), true)),
                };
                tokio::spawn(driver);
                let (new, _) = connection.insert((new, peer));
                Ok((new.send_request(request.clone()).await, true))
            }
            Self::Http2 { slot, used } => {
                let (mut number, mut live) = slot.live();
                let mut turn = None;
                if live.is_none() {
                    turn = Some(slot.dialing.lock().await);
                    (number, live) = slot.live();
                }
                *used = number;
                if let Some(mut old) = live {
                    drop(turn);
                    return Ok((old.send_request(request.clone()).await, false));
                }
                let (stream, peer) = slot.dialer.dial().await?;
                let stream = Gathered::outgoing(stream);
                let (mut new, driver) =
                    match http2_settings(Attending(stream.clone())).handshake(TokioIo::new(stream)).await {
                        Ok(made) => made,
                        Err(error) => return Ok((Err(error), true)),
                    };
                tokio::spawn(driver);
                *used = number + 1;
                *slot.current.lock() = Current { number: *used, connection: Some(new.clone()), peer };
                drop(turn);
                Ok((new.send_request(request.clone()).await, true))
            }
        }
    }

    /// Lets go of the connection last used, so that the next request goes over a new one. Answers whether there was one.
    fn discard(&mut self) -> bool {
        match self {
            Self::Http1 { connection, .. } => connection.take().is_some(),
            Self::Http2 { slot, used } => {
                let mut current = slot.current.lock();
                // Unless another sender has replaced it already.
                let known =
                    if current.number == *used { current.connection.take() } else { current.connection.clone() };
                known.is_some_and(|connection| !connection.is_closed())
            }
        }
    }
}

fn http2_settings<E: Clone>(executor: E) -> http2::Builder<E> {
    let mut builder = http2::Builder::new(executor);
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

/// Whether the back end has said that it has not looked at the request: it was over the connection's limit of requests, or
/// came when the back end had begun to close the connection in good order (HTTP/2's `GOAWAY`).
fn is_unseen(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|error| {
        let reason = error.reason();
        error.is_remote()
            && (reason == Some(h2::Reason::REFUSED_STREAM)
                || (error.is_go_away() && reason == Some(h2::Reason::NO_ERROR)))
    })
}

/// Whether a used connection was found closed, so that the request has most likely not been seen. If it has been, it
/// arrives twice: OTLP delivers at least once.
fn is_stale(error: &hyper::Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let is_cut = matches!(
        cause,
        // TLS tells an end without a goodbye from a proper one.
        Some(
            ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
        )
    );
    error.is_canceled() || error.is_closed() || error.is_incomplete_message() || is_cut
}

async fn read(response: Response<Incoming>, lost: impl Fn(hyper::Error) -> LinkError) -> Result<Reply, LinkError> {
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = incoming.frame().await {
        match frame.map_err(&lost)?.into_data() {
            Ok(data) if body.len() + data.len() > LARGEST_ANSWER => return Err(LinkError::AnswerTooLarge),
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok(Reply { status: head.status, headers: head.headers, body: body.freeze(), trailers })
}
