//! Request bodies as chunks that are written as they are. Small neighbours are joined, since each chunk costs a frame, and
//! on HTTP/2 a write; large ones are never copied.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// What an HTTP/2 peer takes in one frame unless it says otherwise.
const FRAME: usize = 16 << 10;

/// A request's body, ready to be sent, as often as need be.
#[derive(Debug, Clone)]
pub(super) struct Frames {
    chunks: Vec<Bytes>,
    /// How many chunks are gone.
    at: usize,
    left: u64,
}

impl Frames {
    /// A body of these chunks, one after another.
    pub fn new(parts: impl IntoIterator<Item = Bytes>) -> Self {
        let mut chunks = Vec::new();
        let mut small = BytesMut::new();
        let mut left = 0u64;
        for mut part in parts {
            left += part.len() as u64;
            if small.is_empty() && part.len() >= FRAME {
                // Its last frame would be short: that goes with what comes behind it.
                small.extend_from_slice(&part.split_off(part.len() - part.len() % FRAME));
                chunks.push(part);
                continue;
            }
            let room = FRAME - small.len();
            small.extend_from_slice(&part.split_to(part.len().min(room)));
            if small.len() == FRAME {
                chunks.push(std::mem::take(&mut small).freeze());
                let tail = part.split_off(part.len() - part.len() % FRAME);
                if !part.is_empty() {
                    chunks.push(part);
                }
                small.extend_from_slice(&tail);
            }
        }
        if !small.is_empty() {
            chunks.push(small.freeze());
        }
        Self { chunks, at: 0, left }
    }

    /// How many bytes are left to send.
    pub fn bytes(&self) -> u64 {
        self.left
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let at = self.at;
        let Some(chunk) = self.chunks.get_mut(at).map(std::mem::take) else { return Poll::Ready(None) };
        self.at += 1;
        self.left -= chunk.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_parts_and_only_the_last_frame_is_short() {
        for sizes in [
            vec![],
            vec![5],
            vec![5, 300_000],
            vec![300_000, 7, 300_000, FRAME, 1],
            vec![FRAME, FRAME],
            vec![100; 1000],
            vec![FRAME - 1, 1, 2 * FRAME + 1, FRAME - 1],
        ] {
            let parts: Vec<Bytes> = sizes.iter().map(|&size| (0..size).map(|n| n as u8).collect()).collect();
            let frames = Frames::new(parts.clone());
            assert_eq!(frames.chunks.concat(), parts.concat(), "{sizes:?}");
            assert_eq!(frames.bytes(), parts.concat().len() as u64);
            let short = frames.chunks.iter().rev().skip(1).filter(|chunk| chunk.len() % FRAME != 0).count();
            assert_eq!(short, 0, "{sizes:?}");
        }
    }

    #[test]
    fn a_large_part_is_not_copied() {
        let large = Bytes::from(vec![1; 1 << 20]);
        let frames = Frames::new([large.clone()]);
        assert_eq!(frames.chunks[0].as_ptr(), large.as_ptr());
        let framed = Frames::new([Bytes::from_static(&[0; 5]), large.clone()]);
        assert_eq!(framed.chunks[1].as_ptr(), large[FRAME - 5..].as_ptr());
    }
}
