//! One record of a queue on disk: a parcel as bytes, and back. The format is this page; nothing else knows it.
//!
//! ```text
//! magic "tmR1" | crc of the next 40 bytes | sequence u64 | time u64 | items u32 | plain u32 | payload u32 | crc of the body u32
//! | fields u32 | kind u8 | codec u8 | 2 bytes of zeros || fields | payload
//! ```
//!
//! All numbers are little-endian. Time is in milliseconds since the Unix epoch, `plain` the payload's length before compression. The
//! body is fields and payload. The head has a check of its own, so that a payload that has rotted is stepped over exactly, and its
//! items are known. Fields are `tag u8 | length u32 | bytes`: a reader skips tags below 128 that it does not know, and sets a
//! record aside that has an unknown one above, for it would be misread.
//!
//! Invariant: bytes that are not what was written are never taken for a record.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use otlp::batch::RequestContext;
use otlp::signal::Signal;

use super::super::Parcel;

/// Bytes before the fields.
pub(in super::super) const HEAD: usize = 48;
/// How records, and those of another version, begin.
const MAGIC: &[u8; 4] = b"tmR1";
/// Payloads are compressed from this size on.
const WORTH_COMPRESSING: usize = 256;
/// More than any parcel has: what claims more is not read.
const LARGEST: u32 = 1 << 30;

const TENANT: u8 = 1;
const PEER: u8 = 2;
const HEADER: u8 = 3;
/// From here on a reader must know a tag to take the record.
const MUST_KNOW: u8 = 128;

const RAW: u8 = 0;
const ZSTD: u8 = 1;

/// What a record says of itself before its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Head {
    /// Its number in the queue: counts up, with gaps.
    pub sequence: u64,
    /// When it was taken, in milliseconds since the Unix epoch.
    pub time: u64,
    /// How many items it holds.
    pub items: u32,
    /// Bytes of the payload before compression.
    plain: u32,
    payload: u32,
    body_crc: u32,
    fields: u32,
    kind: u8,
    codec: u8,
}

/// A body that is whole and yet cannot be turned into a parcel.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Unreadable {
    #[error("it is not what was written: its check sum is wrong")]
    Rotten,
    #[error("a newer version has written it: it has the {0} {1}, which this one does not know")]
    Newer(&'static str, u8),
    #[error("its fields make no sense")]
    Fields,
    #[error("it cannot be decompressed")]
    Compression,
}

impl Head {
    /// Reads the first [`HEAD`] bytes of a record; `None` if these are not that.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEAD] = bytes.get(..HEAD)?.try_into().ok()?;
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        if &bytes[..4] != MAGIC || u32_at(4) != crc32fast::hash(&bytes[8..]) {
            return None;
        }
        let head = Self {
            sequence: u64_at(8),
            time: u64_at(16),
            items: u32_at(24),
            plain: u32_at(28),
            payload: u32_at(32),
            body_crc: u32_at(36),
            fields: u32_at(40),
            kind: bytes[44],
            codec: bytes[45],
        };
        (head.payload <= LARGEST && head.plain <= LARGEST && head.fields <= LARGEST).then_some(head)
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.time.to_le_bytes());
        for number in [self.items, self.plain, self.payload, self.body_crc, self.fields] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[self.kind, self.codec, 0, 0]);
        let crc = crc32fast::hash(&out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Bytes of the record behind its head.
    pub fn body(&self) -> usize {
        self.fields as usize + self.payload as usize
    }

    /// Bytes of the whole record.
    pub fn len(&self) -> usize {
        HEAD + self.body()
    }

    /// The parcel that the body holds.
    pub fn parcel(&self, body: &[u8]) -> Result<Parcel, Unreadable> {
        if body.len() != self.body() || crc32fast::hash(body) != self.body_crc {
            return Err(Unreadable::Rotten);
        }
        let signal = Signal::ALL.into_iter().find(|signal| kind(*signal) == self.kind);
        let signal = signal.ok_or(Unreadable::Newer("kind", self.kind))?;
        let (fields, payload) = body.split_at(self.fields as usize);
        let body = match self.codec {
            RAW => Bytes::copy_from_slice(payload),
            ZSTD => decompress(payload, self.plain as usize)?,
            other => return Err(Unreadable::Newer("codec", other)),
        };
        if body.len() != self.plain as usize {
            return Err(Unreadable::Compression);
        }
        Ok(Parcel { signal, body, items: self.items, context: Arc::new(read_fields(fields)?), custody: None })
    }
}

/// A parcel as a body, ready for any queue: only the sequence is each queue's own.
#[derive(Debug, Clone)]
pub(in super::super) struct Prepared {
    head: Head,
    body: Bytes,
}

impl Prepared {
    /// Compresses a parcel, if that makes it smaller.
    pub fn of(parcel: &Parcel, time: u64) -> Self {
        let mut body = Vec::new();
        write_fields(&parcel.context, &mut body);
        let fields = body.len();
        let codec = if let Some(payload) = compressed(&parcel.body) {
            body.extend_from_slice(&payload);
            ZSTD
        } else {
            body.extend_from_slice(&parcel.body);
            RAW
        };
        let length = |bytes: usize| u32::try_from(bytes).expect("requests are limited far below 4 GiB");
        let head = Head {
            sequence: 0,
            time,
            items: parcel.items,
            plain: length(parcel.body.len()),
            payload: length(body.len() - fields),
            body_crc: crc32fast::hash(&body),
            fields: length(fields),
            kind: kind(parcel.signal),
            codec,
        };
        Self { head, body: body.into() }
    }

    /// Bytes of the record.
    pub fn len(&self) -> usize {
        self.head.len()
    }

    /// Appends the record with its number.
    pub fn write(&self, sequence: u64, out: &mut Vec<u8>) {
        Head { sequence, ..self.head }.write(out);
        out.extend_from_slice(&self.body);
    }
}

/// The kind of a payload, which is the signal's request.
const fn kind(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 0,
        Signal::Metrics => 1,
        Signal::Logs => 2,
    }
}

// === fields ===

fn put(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(tag);
    out.extend_from_slice(&u32::try_from(length).expect("headers are limited far below 4 GiB").to_le_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn write_fields(context: &RequestContext, out: &mut Vec<u8>) {
    if let Some(tenant) = &context.tenant {
        put(out, TENANT, &[tenant.as_bytes()]);
    }
    if !context.peer.is_empty() {
        put(out, PEER, &[context.peer.as_bytes()]);
    }
    for (name, value) in &context.headers {
        let length = u32::try_from(name.len()).expect("header names are short").to_le_bytes();
        put(out, HEADER, &[&length, name.as_bytes(), value.as_bytes()]);
    }
}

fn read_fields(mut fields: &[u8]) -> Result<RequestContext, Unreadable> {
    let mut context = RequestContext::default();
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(Box::from).map_err(|_| Unreadable::Fields);
    while let Some((&tag, rest)) = fields.split_first() {
        let (length, rest) = number(rest)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(Unreadable::Fields)?;
        fields = rest;
        match tag {
            TENANT => context.tenant = Some(text(value)?),
            PEER => context.peer = text(value)?,
            HEADER => {
                let (length, rest) = number(value)?;
                let (name, value) = rest.split_at_checked(length).ok_or(Unreadable::Fields)?;
                context.headers.push((text(name)?, text(value)?));
            }
            MUST_KNOW.. => return Err(Unreadable::Newer("field", tag)),
            _ => {}
        }
    }
    Ok(context)
}

fn number(bytes: &[u8]) -> Result<(usize, &[u8]), Unreadable> {
    let (number, rest) = bytes.split_first_chunk().ok_or(Unreadable::Fields)?;
    Ok((u32::from_le_bytes(*number) as usize, rest))
}

// === compression ===

thread_local! {
    // A context for each parcel would cost more than small ones do.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compressed(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() < WORTH_COMPRESSING {
        return None;
    }
    COMPRESSOR.with_borrow_mut(|known| {
        if known.is_none() {
            *known = zstd::bulk::Compressor::new(1).ok();
        }
        known.as_mut()?.compress(plain).ok().filter(|smaller| smaller.len() < plain.len())
    })
}

fn decompress(payload: &[u8], plain: usize) -> Result<Bytes, Unreadable> {
    DECOMPRESSOR.with_borrow_mut(|known| {
        if known.is_none() {
            *known = zstd::bulk::Decompressor::new().ok();
        }
        let decompressor = known.as_mut().ok_or(Unreadable::Compression)?;
        decompressor.decompress(payload, plain).map(Bytes::from).map_err(|_| Unreadable::Compression)
    })
}

#[cfg(test)]
mod tests;
