//! A request body that can stop in the middle for as long as wanted.

use bytes::Bytes;
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

/// Some bytes, and the rest when it is given.
#[derive(Debug)]
pub struct Sent {
    first: Option<Bytes>,
    rest: Option<oneshot::Receiver<Bytes>>,
}

impl Sent {
    /// All at once.
    pub fn whole(bytes: Bytes) -> Self {
        Self { first: Some(bytes), rest: None }
    }

    /// The first bytes; the rest follows by the sender, and never comes where it is kept.
    pub fn begun(bytes: Bytes) -> (Self, oneshot::Sender<Bytes>) {
        let (sender, rest) = oneshot::channel();
        (Self { first: Some(bytes), rest: Some(rest) }, sender)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let Some(rest) = &mut this.rest else { return Poll::Ready(None) };
        let Poll::Ready(rest) = Pin::new(rest).poll(context) else { return Poll::Pending };
        this.rest = None;
        Poll::Ready(rest.ok().map(|rest| Ok(Frame::data(rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_none()
    }
}
