//! What is written and read when, over a stream that notes it, and over real HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// Takes all and notes the size of each write; reads from a fixed text and notes how much was asked for.
#[derive(Debug, Default)]
struct Noting {
    writes: Arc<Mutex<Vec<usize>>>,
    text: &'static [u8],
    asked: Arc<Mutex<Vec<usize>>>,
}

impl AsyncWrite for Noting {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.lock().push(buf.len());
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Noting {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.asked.lock().push(buf.remaining());
        let (now, later) = self.text.split_at(self.text.len().min(buf.remaining()));
        buf.put_slice(now);
        self.text = later;
        Poll::Ready(Ok(()))
    }
}

/// The usual frame with its head.
const FRAME: usize = (16 << 10) + 9;

#[tokio::test]
async fn frames_go_out_together_when_the_connection_rests() {
    let noting = Noting::default();
    let writes = Arc::clone(&noting.writes);
    let stream = Gathered::outgoing(noting);
    let mut io = stream.clone();
    let mut connection = Box::pin(async move {
        for _ in 0..10 {
            io.write_all(&vec![7; FRAME]).await.unwrap();
            io.flush().await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    assert!(futures_util::poll!(std::pin::pin!(stream.clone().attend(connection.as_mut()))).is_pending());
    assert_eq!(*writes.lock(), [7 * FRAME, 3 * FRAME], "as many as are kept, and the rest");
}

#[tokio::test]
async fn answers_wait_for_those_of_tasks_that_are_ready() {
    let noting = Noting::default();
    let writes = Arc::clone(&noting.writes);
    let stream = Gathered::incoming(noting, b"", true);
    let (mut first, mut second) = (stream.clone(), stream.clone());
    let mut connection = Box::pin(async move {
        first.write_all(b"one answer").await.unwrap();
        tokio::task::yield_now().await;
        second.write_all(b" and another").await.unwrap();
        std::future::pending::<()>().await;
    });
    {
        let mut attended = std::pin::pin!(stream.clone().attend(connection.as_mut()));
        assert!(futures_util::poll!(attended.as_mut()).is_pending());
        assert!(writes.lock().is_empty());
        assert!(futures_util::poll!(attended.as_mut()).is_pending());
    }
    assert_eq!(*writes.lock(), [22]);
    let mut stream = stream;
    stream.write_all(b"the last").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(*writes.lock(), [22, 8]);
}

#[tokio::test]
async fn without_http2_every_write_goes_through() {
    let noting = Noting::default();
    let writes = Arc::clone(&noting.writes);
    let mut stream = Gathered::incoming(noting, b"", false);
    stream.write_all(&vec![7; FRAME]).await.unwrap();
    assert_eq!(*writes.lock(), [FRAME]);
}

#[tokio::test]
async fn small_reads_are_served_from_one_large_one_and_the_first_bytes_come_first() {
    let noting = Noting { text: b"and the rest", ..Noting::default() };
    let asked = Arc::clone(&noting.asked);
    let mut stream = Gathered::incoming(noting, b"the start ", true);
    let mut read = Vec::new();
    for _ in 0..11 {
        let mut piece = [0; 2];
        stream.read_exact(&mut piece).await.unwrap();
        read.extend_from_slice(&piece);
    }
    assert_eq!(read, b"the start and the rest");
    assert_eq!(asked.lock().len(), 1);
    assert!(asked.lock()[0] >= AHEAD);
}

/// Takes all and sends it when it is flushed, as a stream that encrypts may.
#[derive(Debug, Default)]
struct Holding {
    held: Vec<u8>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl AsyncWrite for Holding {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.held.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let held = std::mem::take(&mut self.held);
        self.sent.lock().extend(held);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

#[tokio::test]
async fn what_the_stream_holds_back_is_sent_too() {
    let holding = Holding::default();
    let sent = Arc::clone(&holding.sent);
    let stream = Gathered::outgoing(holding);
    let mut io = stream.clone();
    let mut connection = Box::pin(async move {
        io.write_all(b"all of it").await.unwrap();
        io.flush().await.unwrap();
        std::future::pending::<()>().await;
    });
    assert!(futures_util::poll!(std::pin::pin!(stream.attend(connection.as_mut()))).is_pending());
    assert_eq!(*sent.lock(), b"all of it");
}

/// A stream that closes while it is written to.
#[tokio::test]
async fn a_failure_is_heard_where_the_connection_writes_next() {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    drop(theirs);
    let stream = Gathered::outgoing(ours);
    let mut io = stream.clone();
    let mut connection = Box::pin(async move {
        io.write_all(b"into the void").await.unwrap();
        tokio::task::yield_now().await;
        io.write_all(b"again").await
    });
    assert_eq!(stream.clone().attend(connection.as_mut()).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

/// Many requests at once find the stream full again and again.
#[tokio::test]
async fn through_a_narrow_stream_many_bodies_arrive() {
    let (ours, theirs) = tokio::io::duplex(700);
    let mut sender = over_http2(ours, theirs, 4 << 20).await;
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..16usize {
        let body = Bytes::from(vec![number as u8; 100_000 + number * 9_973]);
        let request = Request::post("http://test/").body(Full::new(body.clone())).unwrap();
        let answer = sender.send_request(request);
        calls.spawn(async move { answer.await.unwrap().into_body().collect().await.unwrap().to_bytes() == body });
    }
    let all = tokio::time::timeout(Duration::from_secs(30), calls.join_all()).await.expect("none hangs");
    assert_eq!(all, [true; 16]);
}

/// A client's sender, of a connection to a server that answers what it is sent.
async fn over_http2(
    ours: tokio::io::DuplexStream,
    theirs: tokio::io::DuplexStream,
    window: u32,
) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let echo = service_fn(|request: Request<Incoming>| async {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::new(Full::new(body)))
    });
    let server = Gathered::incoming(theirs, b"", true);
    let serving = Box::pin(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .initial_connection_window_size(window)
            .serve_connection(TokioIo::new(server.clone()), echo),
    );
    tokio::spawn(server.attend(serving));
    let client = Gathered::outgoing(ours);
    let (sender, connection) = hyper::client::conn::http2::Builder::new(Attending(client.clone()))
        .initial_stream_window_size(window)
        .initial_connection_window_size(window)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// Whatever the sizes of bodies and windows.
#[tokio::test]
async fn over_http2_every_body_arrives() {
    for window in [65_535, 64 << 10, 1 << 20] {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let mut sender = over_http2(ours, theirs, window).await;
        for frames in [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 40] {
            for more in [0, 1, FRAME - 10] {
                let body = Bytes::from(vec![b'x'; (frames << 14) + more]);
                let request = Request::post("http://test/").body(Full::new(body.clone())).unwrap();
                let exchange = async {
                    let response = sender.send_request(request).await.unwrap();
                    response.into_body().collect().await.unwrap().to_bytes()
                };
                let answer = tokio::time::timeout(Duration::from_secs(20), exchange).await;
                let answer = answer.unwrap_or_else(|_| panic!("{} bytes hang, window {window}", body.len()));
                assert!(answer == body, "{} bytes, window {window}", body.len());
            }
        }
    }
}
