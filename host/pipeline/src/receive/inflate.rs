//! Compressed bodies to plain ones: gzip and zstd, all members and frames, within a limit and within the budget.
//!
//! Invariant: no more is allocated than the limit (and one byte, which tells a body that is too large from one that just
//! fits), and none of it before [`Room`] has agreed. Contexts belong to the thread and are reused: with small requests a
//! fresh one costs as much as the work.

mod gzip;
mod zstd;

#[cfg(test)]
mod tests;

use crate::admit::Full;

/// The encodings of OTLP requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

impl Encoding {
    /// By its name in `content-encoding` or `grpc-encoding`.
    pub fn named(name: &[u8]) -> Option<Self> {
        let name = name.trim_ascii();
        if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
            Some(Self::Identity)
        } else if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            Some(Self::Gzip)
        } else if name.eq_ignore_ascii_case(b"zstd") {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

/// Why a body could not be inflated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InflateError {
    /// It is not what its encoding says: broken, cut off, or followed by something else.
    #[error("the body is not valid {0}: {1}")]
    Malformed(&'static str, String),
    /// More would come out than the limit.
    #[error("the body is over the limit once it is decompressed")]
    TooLarge,
    /// The bytes in flight have no room for it.
    #[error("there is no room for the decompressed body")]
    NoRoom(Full),
}

/// Where room is asked for: how many bytes a body may have, and who is asked before they are taken.
pub(super) struct Room<'a> {
    pub limit: usize,
    /// Takes so many bytes in all, or says why not.
    pub ask: &'a mut dyn FnMut(usize) -> Result<(), Full>,
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), InflateError> {
        if bytes > self.limit {
            return Err(InflateError::TooLarge);
        }
        (self.ask)(bytes).map_err(InflateError::NoRoom)
    }

    /// The next size of a buffer that is full at `full` bytes: twice as large, the limit and one byte at the most.
    fn grow(&mut self, full: usize, hint: usize) -> Result<usize, InflateError> {
        if full > self.limit {
            return Err(InflateError::TooLarge);
        }
        let next = full.saturating_mul(2).max(hint).max(FIRST).min(self.limit);
        self.take(next)?;
        Ok(if next == self.limit { next + 1 } else { next })
    }
}

/// The smallest buffer that is tried where the size is not known.
const FIRST: usize = 4096;

/// Synthetic spans compress 8:1, real ones 4 to 6:1: the first guess where the size is not known.
const GUESS: usize = 6;

/// Inflates a body. Not for [`Encoding::Identity`], whose bodies are used as they are.
pub(super) fn inflate(encoding: Encoding, body: &[u8], room: &mut Room<'_>) -> Result<Vec<u8>, InflateError> {
    match encoding {
        Encoding::Identity => {
            room.take(body.len())?;
            Ok(body.to_vec())
        }
        Encoding::Gzip => gzip::inflate(body, room),
        Encoding::Zstd => zstd::inflate(body, room),
    }
}
