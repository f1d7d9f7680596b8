//! What HTTP/2 cuts off by itself, it says only to the other side: in `RST_STREAM` and `GOAWAY` frames. They are read off what is
//! written, a frame's first bytes each.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::cut::Cut;

/// A stream on which a server writes frames, and who is told.
pub(super) struct Said<S, F> {
    stream: S,
    frames: Frames,
    tell: F,
}

impl<S, F: Fn(Cut)> Said<S, F> {
    pub fn new(stream: S, tell: F) -> Self {
        Self { stream, frames: Frames::default(), tell }
    }
}

const HEAD: usize = 9;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// Where in the frames the writing is.
#[derive(Debug, Default)]
struct Frames {
    /// A frame's head, and what is read of its payload.
    start: [u8; HEAD + 8],
    filled: usize,
    /// What is left of its payload.
    skip: usize,
    /// The last stream whose answer ended with its headers.
    answered: u32,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8], tell: &impl Fn(Cut)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            let wanted = self.wanted();
            let more = (wanted - self.filled).min(bytes.len());
            self.start[self.filled..][..more].copy_from_slice(&bytes[..more]);
            self.filled += more;
            bytes = &bytes[more..];
            if self.filled >= HEAD && self.filled == self.wanted() {
                if let Some(cut) = self.read() {
                    tell(cut);
                }
                let len = u32_of(&[0, self.start[0], self.start[1], self.start[2]]) as usize;
                self.skip = len.saturating_sub(self.filled - HEAD);
                self.filled = 0;
            }
        }
    }

    fn wanted(&self) -> usize {
        match self.start[3] {
            _ if self.filled < HEAD => HEAD,
            RST_STREAM => HEAD + 4,
            GOAWAY => HEAD + 8,
            _ => HEAD,
        }
    }

    fn read(&mut self) -> Option<Cut> {
        let (kind, flags, stream) = (self.start[3], self.start[4], u32_of(&self.start[5..HEAD]));
        match kind {
            HEADERS if flags & END_STREAM != 0 => self.answered = stream,
            RST_STREAM => {
                return match u32_of(&self.start[HEAD..]) {
                    REFUSED_STREAM => Some(Cut::TooManyStreams),
                    // Large headers are answered 431 and then reset; nothing else is.
                    PROTOCOL_ERROR if stream == self.answered => Some(Cut::LargeHead),
                    PROTOCOL_ERROR => Some(Cut::Malformed),
                    _ => None,
                };
            }
            GOAWAY => {
                return match u32_of(&self.start[HEAD + 4..]) {
                    0 => None,
                    ENHANCE_YOUR_CALM => Some(Cut::Flood),
                    _ => Some(Cut::Malformed),
                };
            }
            _ => {}
        }
        None
    }
}

fn u32_of(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

impl<S: AsyncRead + Unpin, F: Unpin> AsyncRead for Said<S, F> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin, F: Fn(Cut) + Unpin> AsyncWrite for Said<S, F> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, bufs))?;
        let mut left = written;
        for buf in bufs {
            let part = left.min(buf.len());
            this.frames.follow(&buf[..part], &this.tell);
            left -= part;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
    }

    #[test]
    fn frames_are_followed_however_they_are_cut_into_pieces() {
        let goaway = [[0; 4], ENHANCE_YOUR_CALM.to_be_bytes()].concat();
        let written = [
            frame(4, 0, 0, &[0; 18]),
            frame(HEADERS, 4, 1, &[RST_STREAM; 300]),
            frame(RST_STREAM, 0, 3, &REFUSED_STREAM.to_be_bytes()),
            frame(0, END_STREAM, 1, &[]),
            frame(RST_STREAM, 0, 1, &[0; 4]),
            frame(HEADERS, 4 | END_STREAM, 5, &[0x48]),
            frame(RST_STREAM, 0, 5, &PROTOCOL_ERROR.to_be_bytes()),
            frame(RST_STREAM, 0, 7, &PROTOCOL_ERROR.to_be_bytes()),
            frame(GOAWAY, 0, 0, &[&goaway[..], b"too_many_resets"].concat()),
            frame(GOAWAY, 0, 0, &[0; 8]),
        ]
        .concat();
        for piece in 1..written.len() {
            let told = RefCell::default();
            let mut frames = Frames::default();
            for bytes in written.chunks(piece) {
                frames.follow(bytes, &|cut| Vec::push(&mut told.borrow_mut(), cut));
            }
            let told = told.into_inner();
            assert_eq!(told, [Cut::TooManyStreams, Cut::LargeHead, Cut::Malformed, Cut::Flood], "pieces of {piece}");
        }
    }
}
