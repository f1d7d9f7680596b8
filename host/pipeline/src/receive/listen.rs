//! Connections: accepting them, telling HTTP/1.1 from HTTP/2, ending them in good order.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::age::Age;
use super::ahead::{Share, Shares};
use super::context::Peer;
use super::cut::Cut;
use super::metrics::Protocol;
use super::said::Said;
use super::{Connections, Shared, grpc, http as otlp_http, idle};
use crate::admit::{Admission, Budget};
use crate::gathered::Gathered;
use crate::tls::server::Tls;

/// What every HTTP/2 client says first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Headers of all kinds in one request.
const HEADER_BYTES: usize = 32 << 10;
/// HTTP/1.1: bodies come in pieces of at most this.
pub(super) const READ_BUFFER: usize = 256 << 10;
/// A unary call whose message is larger than its stream's window waits a round trip for each further window. Both windows are
/// smaller where there are many connections: `ahead.rs`.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Large frames where the peer makes use of them: a large message in one frame is not copied.
const FRAME: u32 = 1 << 20;
/// Fewer connections than this are not worth sharing.
const FEW: usize = 64;
/// How long accepting pauses when the system has no file handle left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until told to stop; then lets calls in flight end within the bound.
pub(super) async fn serve(
    listener: TcpListener,
    protocol: Protocol,
    tls: Option<Arc<Tls>>,
    shared: Arc<Shared>,
    limits: Connections,
    shutdown: CancellationToken,
) {
    // Ends with this.
    let mut following = JoinSet::new();
    if let Some(tls) = &tls {
        following.spawn(Arc::clone(tls).follow());
    }
    let mut connections = JoinSet::new();
    let shares = Shares::new();
    // Places are shared as the bytes in flight are, so that one address does not take them all.
    let shared_places = if limits.max < FEW { usize::MAX } else { limits.max };
    let places = Admission::new(Budget::new(shared_places), usize::MAX, usize::MAX);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < limits.max => match accepted {
                Ok((stream, peer)) => {
                    let Ok(place) = places.connection(peer.ip()).take(1) else {
                        shared.metrics.connections().cut_off(protocol, Cut::UnfairShare, peer.ip());
                        continue;
                    };
                    let (tls, shared, shutdown) = (tls.clone(), Arc::clone(&shared), shutdown.clone());
                    let share = shares.take(CONNECTION_WINDOW);
                    let served = connection(stream, peer, protocol, tls, shared, limits, share, shutdown);
                    connections.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections were closed with calls in flight");
        connections.shutdown().await;
    }
}

#[expect(clippy::too_many_arguments, reason = "what a connection is given is used up here")]
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    protocol: Protocol,
    tls: Option<Arc<Tls>>,
    shared: Arc<Shared>,
    limits: Connections,
    ahead: Share,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps Nagle's algorithm");
    }
    // One bound for the handshake and the first bytes.
    let until = Instant::now() + limits.header_timeout;
    let Some(tls) = tls else { return talk(stream, until, peer, protocol, shared, limits, ahead, shutdown).await };
    let secured = tokio::select! {
        () = shutdown.cancelled() => return,
        secured = tls.secure(stream, peer, until, || shared.metrics.connections().failed_handshake(protocol)) => secured,
    };
    drop(tls);
    if let Some(stream) = secured {
        talk(stream, until, peer, protocol, shared, limits, ahead, shutdown).await;
    }
}

/// Serves HTTP on any byte stream.
#[expect(clippy::too_many_arguments, reason = "what a connection is given is used up here")]
async fn talk<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    until: Instant,
    peer: SocketAddr,
    protocol: Protocol,
    shared: Arc<Shared>,
    limits: Connections,
    ahead: Share,
    shutdown: CancellationToken,
) {
    let sniffed = tokio::select! {
        () = shutdown.cancelled() => return,
        sniffed = sniff(stream, until) => sniffed,
    };
    let address = peer.ip();
    let cut_off = {
        let shared = Arc::clone(&shared);
        move |cut| shared.metrics.connections().cut_off(protocol, cut, address)
    };
    let (stream, is_http2) = match sniffed {
        Ok(sniffed) => sniffed,
        Err(Some(cut)) => return cut_off(cut),
        Err(None) => return,
    };
    let age = Age::of_new(limits.max_age);
    let peer = Arc::new(Peer::new(address, &shared.admission));
    let service = service_fn(move |request: Request<Incoming>| {
        let (shared, peer) = (Arc::clone(&shared), Arc::clone(&peer));
        async move {
            let mut answer = match protocol {
                Protocol::grpc => grpc::answer(&shared, &peer, request).await,
                Protocol::http => otlp_http::answer(&shared, &peer, request).await,
            };
            if !is_http2 && age.is_over() {
                // Closed while it rests, a connection may lose a request that is under way: its sender hears of it beforehand.
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let ended = if is_http2 {
        let io = TokioIo::new(Said::new(stream.clone(), cut_off.clone()));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_streams)
            .initial_stream_window_size(STREAM_WINDOW.min(ahead.bytes()))
            .initial_connection_window_size(ahead.bytes())
            .max_frame_size(FRAME)
            .max_header_list_size(HEADER_BYTES as u32)
            .keep_alive_interval(limits.keep_alive)
            .keep_alive_timeout(limits.header_timeout);
        let ended = drive(http2.serve_connection(io, service), &stream, &shutdown, age.over()).await;
        ended.map_err(|error| (Cut::of_http2(&error), error))
    } else {
        let (io, timer) = idle::watched(stream.clone(), limits.header_timeout);
        let heard = io.heard();
        let io = TokioIo::new(io);
        let mut http1 = http1::Builder::new();
        http1
            .timer(timer)
            .header_read_timeout(limits.idle_timeout)
            .max_header_size(HEADER_BYTES)
            .max_buf_size(READ_BUFFER.min(ahead.bytes() as usize));
        let ended = drive(http1.serve_connection(io, service), &stream, &shutdown, pending()).await;
        ended.map_err(|error| (Cut::of_http1(&error, heard.anything()), error))
    };
    if let Err((cut, error)) = ended {
        tracing::debug!(%error, "a connection broke");
        cut.into_iter().for_each(cut_off);
    }
}

/// Serves a connection to its end. On shutdown, or when it is too old, it takes no new calls and ends when those in flight have.
async fn drive<C: GracefulConnection, S: AsyncWrite + Unpin>(
    connection: C,
    stream: &Gathered<S>,
    shutdown: &CancellationToken,
    too_old: impl Future<Output = ()>,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    tokio::select! {
        ended = stream.clone().attend(connection.as_mut()) => return ended,
        () = shutdown.cancelled() => {}
        () = too_old => {}
    }
    connection.as_mut().graceful_shutdown();
    stream.clone().attend(connection).await
}

/// Reads as much as tells HTTP/2 from anything else, until then at the latest. What was cut off is told; who went away was not.
async fn sniff<S: AsyncRead + Unpin>(mut stream: S, until: Instant) -> Result<(Gathered<S>, bool), Option<Cut>> {
    let mut start = [0; PREFACE.len()];
    let mut len = 0;
    while len < start.len() && PREFACE.starts_with(&start[..len]) {
        match tokio::time::timeout_at(until, stream.read(&mut start[len..])).await {
            Ok(Ok(0) | Err(_)) => return Err(None),
            Ok(Ok(more)) => len += more,
            Err(_) => return Err(Some(if len == 0 { Cut::Silent } else { Cut::SlowHead })),
        }
    }
    let is_http2 = start == *PREFACE;
    Ok((Gathered::incoming(stream, &start[..len], is_http2), is_http2))
}
