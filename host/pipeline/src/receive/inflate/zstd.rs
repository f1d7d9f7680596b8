//! zstd. Frames that all tell their size are taken in one shot, straight into the buffer; others are streamed with a
//! bounded window.

use std::cell::RefCell;

use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::{GUESS, InflateError, Room};

const NAME: &str = "zstd";
/// 8 MiB: what RFC 8878 asks every decoder to support, and no more.
const WINDOW_LOG: u32 = 23;

thread_local! {
    static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(context());
}

fn context() -> DCtx<'static> {
    let mut context = DCtx::create();
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).expect("zstd supports a window of 8 MiB");
    context
}

pub(super) fn inflate(body: &[u8], room: &mut Room<'_>) -> Result<Vec<u8>, InflateError> {
    if body.is_empty() {
        return Err(InflateError::Malformed(NAME, "it is empty".to_owned()));
    }
    CONTEXT.with_borrow_mut(|context| {
        context.reset(ResetDirective::SessionOnly).expect("resetting a session cannot fail");
        match told_size(body) {
            Some(size) => one_shot(context, body, size, room),
            None => in_pieces(context, body, room),
        }
    })
}

/// What all frames together say they hold, if all of them say it.
fn told_size(mut body: &[u8]) -> Option<u64> {
    let mut total = 0_u64;
    while !body.is_empty() {
        let frame = zstd_safe::find_frame_compressed_size(body).ok()?;
        total = total.checked_add(zstd_safe::get_frame_content_size(body).ok()??)?;
        body = body.get(frame..)?;
    }
    Some(total)
}

fn one_shot(context: &mut DCtx<'_>, body: &[u8], size: u64, room: &mut Room<'_>) -> Result<Vec<u8>, InflateError> {
    let size = usize::try_from(size).map_err(|_| InflateError::TooLarge)?;
    room.take(size)?;
    let mut plain = Vec::with_capacity(size);
    context.decompress(&mut plain, body).map_err(malformed)?;
    Ok(plain)
}

fn in_pieces(context: &mut DCtx<'_>, body: &[u8], room: &mut Room<'_>) -> Result<Vec<u8>, InflateError> {
    let mut input = InBuffer::around(body);
    let mut plain = Vec::new();
    loop {
        let full = plain.len();
        if full == plain.capacity() {
            let size = room.grow(full, body.len().saturating_mul(GUESS))?;
            plain.reserve_exact(size - full);
        }
        let before = input.pos();
        let mut output = OutBuffer::around_pos(&mut plain, full);
        let missing = context.decompress_stream(&mut output, &mut input).map_err(malformed)?;
        let moved = plain.len() > full || input.pos() > before;
        if plain.len() > room.limit {
            return Err(InflateError::TooLarge);
        }
        let all_read = input.pos() == body.len();
        if all_read && missing == 0 {
            return Ok(plain);
        }
        if all_read && plain.len() < plain.capacity() || !moved {
            return Err(InflateError::Malformed(NAME, "it is cut off".to_owned()));
        }
    }
}

fn malformed(code: zstd_safe::ErrorCode) -> InflateError {
    InflateError::Malformed(NAME, zstd_safe::get_error_name(code).to_owned())
}
