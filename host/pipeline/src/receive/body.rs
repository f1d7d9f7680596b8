//! Reading bodies: room is taken before bytes are, and bytes are copied as little as can be.
//!
//! Invariant: a body keeps hardly more memory than its permit says, twice that at most where it is a large frame. A body that comes in
//! one frame is taken as it is, if it is large; one of several is gathered in a buffer of exactly its size where that is told, else
//! of at most twice its size, of which it keeps what it fills.

use bytes::{Buf, Bytes};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use super::Limits;
use super::inflate::{self, Encoding, InflateError, Room};
use super::listen::READ_BUFFER;
use super::status::Failure;
use crate::admit::{Payer, Permit};
use crate::compact;

/// A body, and the permit that covers it.
#[derive(Debug)]
pub(super) struct Held {
    pub bytes: Bytes,
    pub permit: Permit,
}

/// A frame is a slice of the connection's buffer and keeps all of it, however small it is: smaller ones than this are copied out,
/// larger ones keep at most twice their size.
const COPIED_BELOW: usize = READ_BUFFER / 2;

impl Held {
    /// A body in one frame.
    fn of_frame(frame: Bytes, permit: Permit) -> Self {
        let whole = if frame.len() < COPIED_BELOW { usize::MAX } else { frame.len() };
        Self { bytes: compact::part(frame, whole), permit }
    }

    /// A body in a buffer of its own, without the room that the buffer has left.
    pub fn of_buffer(buffer: Vec<u8>, mut permit: Permit) -> Self {
        let bytes = compact::buffer(buffer);
        permit.shrink(bytes.len());
        Self { bytes, permit }
    }
}

/// The length and the flag byte before each gRPC message.
const PREFIX: usize = 5;

/// Reads the whole body of an HTTP request.
pub(super) async fn whole(body: &mut Incoming, payer: &Payer, limits: &Limits) -> Result<Held, Failure> {
    let told = body.size_hint();
    let lower = usize::try_from(told.lower()).unwrap_or(usize::MAX);
    let permit = limits.admit(payer, lower)?;
    let mut gather = Gather { buffer: Vec::new(), permit, limits, exact: told.exact().map(|_| lower) };
    let Some(first) = next(body).await? else { return Ok(gather.finish()) };
    if body.is_end_stream() || gather.exact == Some(first.len()) {
        limits.cover(&mut gather.permit, first.len())?;
        return Ok(Held::of_frame(first, gather.permit));
    }
    gather.add(&first)?;
    while let Some(frame) = next(body).await? {
        gather.add(&frame)?;
    }
    Ok(gather.finish())
}

/// Reads the one message of a unary gRPC call: whether it is compressed, and its bytes.
pub(super) async fn message(body: &mut Incoming, payer: &Payer, limits: &Limits) -> Result<(bool, Held), Failure> {
    let mut frame = next(body).await?.ok_or_else(|| Failure::malformed("the call has no message"))?;
    if frame.len() < PREFIX {
        let mut start = frame.to_vec();
        while start.len() < PREFIX {
            let more = next(body).await?.ok_or_else(|| cut_off(PREFIX, start.len()))?;
            start.extend_from_slice(&more);
        }
        frame = start.into();
    }
    let flag = frame[0];
    if flag > 1 {
        return Err(Failure::framing("the message's flag is neither 0 (plain) nor 1 (compressed)"));
    }
    let length = u32::from_be_bytes([frame[1], frame[2], frame[3], frame[4]]) as usize;
    let permit = limits.admit(payer, length)?;
    frame.advance(PREFIX);
    let held = if frame.len() >= length {
        if frame.len() > length {
            return Err(second_message());
        }
        Held::of_frame(frame, permit)
    } else {
        let mut gather = Gather { buffer: Vec::new(), permit, limits, exact: Some(length) };
        gather.add(&frame)?;
        while gather.buffer.len() < length {
            let more = next(body).await?.ok_or_else(|| cut_off(length, gather.buffer.len()))?;
            if gather.buffer.len() + more.len() > length {
                return Err(second_message());
            }
            gather.add(&more)?;
        }
        gather.finish()
    };
    // The end of the stream often comes in a frame of its own. Answering before it would reset the stream.
    while let Some(more) = next(body).await? {
        if !more.is_empty() {
            return Err(second_message());
        }
    }
    Ok((flag == 1, held))
}

fn cut_off(told: usize, came: usize) -> Failure {
    Failure::malformed(format!("the message is cut off: {told} bytes were told, {came} came"))
}

fn second_message() -> Failure {
    Failure::malformed("the call holds more than one message, or bytes after it")
}

/// The next bytes; trailers are nothing to this server.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::malformed(format!("the body broke off: {error}")))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// A body in the making.
struct Gather<'a> {
    buffer: Vec<u8>,
    permit: Permit,
    limits: &'a Limits,
    /// Its size, where it was told.
    exact: Option<usize>,
}

impl Gather<'_> {
    fn add(&mut self, frame: &[u8]) -> Result<(), Failure> {
        let needed = self.buffer.len() + frame.len();
        if needed > self.limits.request_bytes {
            return Err(Failure::too_large(self.limits.request_bytes));
        }
        if needed > self.buffer.capacity() {
            let size = match self.exact {
                Some(exact) => exact.max(needed),
                None => needed.saturating_mul(2).min(self.limits.request_bytes),
            };
            if self.permit.bytes() < size {
                self.limits.cover(&mut self.permit, size)?;
            }
            self.buffer.reserve_exact(size - self.buffer.len());
        }
        self.buffer.extend_from_slice(frame);
        Ok(())
    }

    fn finish(self) -> Held {
        Held::of_buffer(self.buffer, self.permit)
    }
}

/// Inflates what is compressed. While it runs, the permit covers the larger of both forms; the smaller is not counted for
/// these microseconds, of which a thread has one at a time.
pub(super) fn inflated(encoding: Encoding, held: Held, limits: &Limits) -> Result<Held, Failure> {
    if encoding == Encoding::Identity {
        return Ok(held);
    }
    let Held { bytes, mut permit } = held;
    let mut ask = |size: usize| if size <= permit.bytes() { Ok(()) } else { permit.resize(size) };
    let mut room = Room { limit: limits.request_bytes, ask: &mut ask };
    let plain = inflate::inflate(encoding, &bytes, &mut room).map_err(|error| match error {
        InflateError::Malformed(..) => Failure::malformed(error.to_string()),
        InflateError::TooLarge => Failure::too_large(limits.request_bytes),
        InflateError::NoRoom(full) => Failure::no_room(full, limits.retry_after),
    })?;
    drop(bytes);
    limits.cover(&mut permit, plain.capacity().min(limits.request_bytes))?;
    Ok(Held::of_buffer(plain, permit))
}
