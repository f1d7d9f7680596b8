//! gzip. One member whose size its trailer tells takes libdeflate in one shot; everything else (several members, a
//! trailer that lies) takes zlib-rs piece by piece.
//!
//! libdeflate does not say where a member ended, so a body goes that way only if no second member's header can be found
//! in it, and counts as whole only if the trailer at its very end is the one of what came out.

use std::cell::RefCell;
use std::io::{ErrorKind, Read as _};

use flate2::bufread::MultiGzDecoder;
use libdeflater::Decompressor;

use super::{GUESS, InflateError, Room};

const NAME: &str = "gzip";
/// A member begins so: the magic number, and the only method there is.
const HEADER: &[u8] = &[0x1f, 0x8b, 0x08];
/// Ten bytes of header, at least two of deflate, eight of trailer.
const SHORTEST: usize = 20;
/// Deflate cannot do better: 258 bytes for each two bits, so a trailer that promises more is a lie.
const BEST_RATIO: usize = 1032;

thread_local! {
    static DEFLATE: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

pub(super) fn inflate(body: &[u8], room: &mut Room<'_>) -> Result<Vec<u8>, InflateError> {
    match one_shot(body, room)? {
        Some(plain) => Ok(plain),
        None => in_pieces(body, room),
    }
}

/// The whole of a body of one member, or nothing if it is not plainly that.
fn one_shot(body: &[u8], room: &mut Room<'_>) -> Result<Option<Vec<u8>>, InflateError> {
    if body.len() < SHORTEST || !body.starts_with(HEADER) || memchr::memmem::find(&body[1..], HEADER).is_some() {
        return Ok(None);
    }
    let (sum, size) = trailer(body);
    let size = size as usize;
    if size > room.limit || size > body.len().saturating_mul(BEST_RATIO) {
        return Ok(None);
    }
    room.take(size)?;
    let mut plain = vec![0; size];
    let came = DEFLATE.with_borrow_mut(|deflate| deflate.gzip_decompress(body, &mut plain));
    let whole = came == Ok(size) && libdeflater::crc32(&plain) == sum;
    Ok(whole.then_some(plain))
}

/// The last member's checksum and size.
fn trailer(body: &[u8]) -> (u32, u32) {
    let word = |from_end: usize| {
        let at = body.len() - from_end;
        u32::from_le_bytes(body[at..at + 4].try_into().expect("four bytes are four bytes"))
    };
    (word(8), word(4))
}

fn in_pieces(body: &[u8], room: &mut Room<'_>) -> Result<Vec<u8>, InflateError> {
    let mut decoder = MultiGzDecoder::new(body);
    let mut plain = Vec::new();
    let mut full = 0;
    loop {
        if full == plain.len() {
            let size = room.grow(full, body.len().saturating_mul(GUESS))?;
            plain.reserve_exact(size - full);
            plain.resize(size, 0);
        }
        match decoder.read(&mut plain[full..]) {
            Ok(0) => break,
            Ok(more) => full += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(InflateError::Malformed(NAME, error.to_string())),
        }
    }
    if full > room.limit {
        return Err(InflateError::TooLarge);
    }
    plain.truncate(full);
    Ok(plain)
}
