//! A byte stream on which HTTP/2 frames travel many at a time. The HTTP/2 implementation reads what a frame needs and writes each
//! frame by itself, and at 16 KiB a frame, or 40 bytes an answer, the system calls cost more than what they carry.
//!
//! Writing: frames are kept until there are many, or until the connection's task rests: [`Gathered::attend`] polls the connection
//! and then writes what it left. A server's task first lets the other tasks run that are ready, so that their answers go along.
//! Reading: a large piece is taken from the system, and handed on in the small ones that are asked for.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::{poll_read_buf, poll_write_buf};

/// How many bytes are kept at most before they are written.
const KEPT: usize = 128 << 10;
/// How much room for what is kept an idle connection of a server may hold.
const SMALL: usize = 16 << 10;
/// How much is asked of the system at once.
const AHEAD: usize = 64 << 10;

/// The stream. Clones are the same stream: one for the connection, one for whoever attends to it.
#[derive(Debug)]
pub(crate) struct Gathered<S>(Arc<Mutex<Inner<S>>>);

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    /// What was read and not handed on yet; held only while the reader keeps asking.
    ahead: BytesMut,
    /// What is to be written.
    kept: BytesMut,
    /// Whether the stream may hold some of what was kept: one that encrypts takes more than it has sent.
    unflushed: bool,
    gathers: bool,
    /// Whether requests come in over HTTP/2: much is read at once, and other tasks are let run before what was kept is written.
    serves: bool,
    /// Whether they have been let run.
    yielded: bool,
    failed: Option<io::Error>,
    attended: bool,
}

impl<S> Gathered<S> {
    /// For a connection on which requests come in, of which the first bytes are read already. HTTP/1.1 goes through as it is.
    pub(crate) fn incoming(stream: S, read: &[u8], is_http2: bool) -> Self {
        Self::new(stream, BytesMut::from(read), is_http2, is_http2)
    }

    /// For an HTTP/2 connection on which requests go out.
    pub(crate) fn outgoing(stream: S) -> Self {
        Self::new(stream, BytesMut::new(), true, false)
    }

    fn new(stream: S, ahead: BytesMut, gathers: bool, serves: bool) -> Self {
        let kept = BytesMut::new();
        let (unflushed, yielded, failed, attended) = (false, false, None, false);
        let inner = Inner { stream, ahead, kept, unflushed, gathers, serves, yielded, failed, attended };
        Self(Arc::new(Mutex::new(inner)))
    }
}

impl<S: AsyncWrite + Unpin> Gathered<S> {
    /// Drives a connection that has this stream, and writes whenever it rests. Nothing is written unless this is polled.
    pub(crate) async fn attend<C: Future>(self, connection: C) -> C::Output {
        let mut connection = pin!(connection);
        poll_fn(move |cx| {
            let polled = connection.as_mut().poll(cx);
            self.0.lock().rest(cx, polled.is_ready());
            polled
        })
        .await
    }
}

/// hyper's client drives a connection in a task of its own, the first that it starts; those that it starts later write nothing.
/// Only that one is attended to, because a stream remembers one task that waits for room.
#[derive(Debug)]
pub(crate) struct Attending<S>(pub(crate) Gathered<S>);

impl<S> Clone for Attending<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, F> hyper::rt::Executor<F> for Attending<S>
where
    S: AsyncWrite + Unpin + Send + 'static,
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        if std::mem::replace(&mut self.0.0.lock().attended, true) {
            tokio::spawn(task);
        } else {
            tokio::spawn(self.0.clone().attend(task));
        }
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn rest(&mut self, cx: &mut Context<'_>, is_last: bool) {
        if self.kept.is_empty() && !self.unflushed {
            return;
        }
        if self.serves && !self.yielded && !is_last {
            self.yielded = true;
            cx.waker().wake_by_ref();
            return;
        }
        if let Poll::Ready(Err(error)) = self.poll_write_kept(cx) {
            // The connection hears of it where it writes next.
            self.failed = Some(error);
            self.kept.clear();
            self.unflushed = false;
            cx.waker().wake_by_ref();
        }
    }

    fn poll_write_kept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        while self.kept.has_remaining() {
            if ready!(poll_write_buf(Pin::new(&mut self.stream), cx, &mut self.kept))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        // A server's many connections hold no room for answers that were large once.
        if self.serves && self.kept.capacity() > SMALL {
            self.kept = BytesMut::new();
        }
        self.kept.clear();
        self.yielded = false;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.lock();
        if this.ahead.is_empty() {
            // Into a large buffer the system may as well write itself.
            if !this.serves || buf.remaining() >= AHEAD {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            this.ahead.reserve(AHEAD);
            match poll_read_buf(Pin::new(&mut this.stream), cx, &mut this.ahead) {
                Poll::Ready(Ok(_)) => {}
                // An idle connection holds no buffer.
                other => {
                    this.ahead = BytesMut::new();
                    return other.map_ok(drop);
                }
            }
        }
        let len = this.ahead.len().min(buf.remaining());
        buf.put_slice(&this.ahead[..len]);
        this.ahead.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self.0.lock();
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        if this.kept.len() + len > KEPT || this.failed.is_some() {
            ready!(this.poll_write_kept(cx))?;
        }
        if !this.gathers || len > KEPT {
            return Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        }
        for buf in bufs {
            this.kept.extend_from_slice(buf);
        }
        Poll::Ready(Ok(len))
    }

    /// What is kept is written when the connection rests, which is soon.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.lock();
        if this.failed.is_some() {
            ready!(this.poll_write_kept(cx))?;
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self.0.lock();
        ready!(this.poll_write_kept(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        let this = self.0.lock();
        this.gathers || this.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
