//! HTTP/1.1's patiences: a connection between two requests may rest for long; a head that has begun must not, nor may answers wait for
//! long to be taken.
//!
//! hyper knows one of them: its `header_read_timeout` starts when the last answer is written, so that a sender which exports as often
//! as that would race the close. Here hyper's timer is one that begins anew, and shorter, with the first byte that is read. (A piece
//! of a head that came along with the body before it counts with the next byte: until then the connection only seems to rest.)

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The stream of a connection, and the timer for it. hyper's `header_read_timeout` is then the bound of a rest.
pub(super) fn watched<S>(stream: S, limit: Duration) -> (Watched<S>, HeadTimer) {
    let heard = Arc::new(AtomicBool::new(false));
    let watched = Watched { stream, heard: Arc::clone(&heard), limit, stalled: None };
    (watched, HeadTimer { heard, limit })
}

/// A stream that notes when something is read, and fails when nothing that is written is taken for too long.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    heard: Arc<AtomicBool>,
    limit: Duration,
    /// When writing will have been stuck for too long, while it is.
    stalled: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl<S> Watched<S> {
    /// Whether anything has come of the head that is waited for.
    pub fn heard(&self) -> Heard {
        Heard(Arc::clone(&self.heard))
    }

    fn in_time<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Lives on when the connection has ended.
#[derive(Debug)]
pub(super) struct Heard(Arc<AtomicBool>);

impl Heard {
    pub fn anything(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.in_time(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.in_time(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.in_time(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// What hyper times heads by; it asks for nothing else on an HTTP/1.1 connection.
#[derive(Debug)]
pub(super) struct HeadTimer {
    heard: Arc<AtomicBool>,
    /// How long a head may take.
    limit: Duration,
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.heard.store(false, Ordering::Relaxed);
        let sleep = Box::pin(tokio::time::sleep_until(deadline.into()));
        Box::pin(Patience { sleep, heard: Arc::clone(&self.heard), limit: Some(self.limit) })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

/// Ends when the rest was too long, or the head that has begun since. hyper polls it whenever it has read what there was.
struct Patience {
    sleep: Pin<Box<tokio::time::Sleep>>,
    heard: Arc<AtomicBool>,
    /// How long a head may take, until one has begun.
    limit: Option<Duration>,
}

impl Future for Patience {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.heard.load(Ordering::Relaxed)
            && let Some(limit) = self.limit.take()
        {
            self.sleep.as_mut().reset(tokio::time::Instant::now() + limit);
        }
        self.sleep.as_mut().poll(cx)
    }
}

impl Sleep for Patience {}
