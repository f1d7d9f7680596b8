//! The sub-messages of a span: status, events, links. Checked all the way down, and brought into canonical form where
//! a sender wrote them in another.

use super::{depth, field};
use crate::batch::{Batch, Span};
use crate::value;
use crate::wire::{self, Payload, Reader, Slice, WireError};

/// Field numbers of `Span.Event`.
pub mod event_field {
    /// `time_unix_nano`
    pub const TIME: u32 = 1;
    /// `name`
    pub const NAME: u32 = 2;
    /// `attributes`
    pub const ATTRIBUTES: u32 = 3;
    /// `dropped_attributes_count`
    pub const DROPPED: u32 = 4;
}

/// Field numbers of `Span.Link`.
pub mod link_field {
    /// `trace_id`
    pub const TRACE_ID: u32 = 1;
    /// `span_id`
    pub const SPAN_ID: u32 = 2;
    /// `trace_state`
    pub const TRACE_STATE: u32 = 3;
    /// `attributes`
    pub const ATTRIBUTES: u32 = 4;
    /// `dropped_attributes_count`
    pub const DROPPED: u32 = 5;
    /// `flags`
    pub const FLAGS: u32 = 6;
}

/// Merges one piece of a status into the span.
pub(super) fn status(bytes: &[u8], piece: Slice, span: &mut Span) -> Result<(), WireError> {
    let mut reader = Reader::within(bytes, piece);
    while let Some(f) = reader.next()? {
        match f.number {
            field::STATUS_MESSAGE => span.status_message = f.bytes()?,
            field::STATUS_CODE => span.status_code = f.varint()? as i32,
            _ => {}
        }
    }
    Ok(())
}

/// Checks an event and says where its canonical body is.
pub(super) fn event(batch: &mut Batch, bytes: &[u8], body: Slice) -> Result<Slice, WireError> {
    let mut seen = [0u32; 3];
    let mut canonical = true;
    let mut reader = Reader::within(bytes, body);
    while let Some(f) = reader.next()? {
        match f.number {
            event_field::TIME => {
                f.fixed64()?;
                seen[f.number as usize] += 1;
            }
            event_field::NAME => {
                f.bytes()?;
                seen[f.number as usize] += 1;
            }
            event_field::ATTRIBUTES => {
                canonical &= value::check_pair(bytes, f.bytes()?, depth::EVENT_ATTRIBUTE)?.is_some();
            }
            event_field::DROPPED => drop(f.varint()?),
            _ => {}
        }
    }
    let once = seen.iter().all(|&times| times <= 1);
    Ok(if canonical && once { body } else { rewrite(batch, bytes, body, event_field::ATTRIBUTES) })
}

/// Checks a link and says where its canonical body is.
pub(super) fn link(batch: &mut Batch, bytes: &[u8], body: Slice) -> Result<Slice, WireError> {
    let mut seen = [0u32; 4];
    let mut canonical = true;
    let mut reader = Reader::within(bytes, body);
    while let Some(f) = reader.next()? {
        match f.number {
            link_field::TRACE_ID | link_field::SPAN_ID | link_field::TRACE_STATE => {
                f.bytes()?;
                seen[f.number as usize] += 1;
            }
            link_field::ATTRIBUTES => {
                canonical &= value::check_pair(bytes, f.bytes()?, depth::EVENT_ATTRIBUTE)?.is_some();
            }
            link_field::DROPPED => drop(f.varint()?),
            link_field::FLAGS => drop(f.fixed32()?),
            _ => {}
        }
    }
    let once = seen.iter().all(|&times| times <= 1);
    Ok(if canonical && once { body } else { rewrite(batch, bytes, body, link_field::ATTRIBUTES) })
}

/// Writes a checked event or link anew into the arena: of each scalar the last, attributes canonical, everything else as
/// it stands.
fn rewrite(batch: &mut Batch, bytes: &[u8], body: Slice, attributes: u32) -> Slice {
    let mut out = Vec::with_capacity(body.len as usize);
    let mut last: [Option<(u32, u32)>; 7] = [None; 7];
    let fields = || {
        let mut reader = Reader::within(bytes, body);
        std::iter::from_fn(move || reader.next().ok().flatten())
    };
    for f in fields().filter(|f| f.number < 7 && f.number != attributes) {
        last[f.number as usize] = Some((f.start, f.end));
    }
    for f in fields() {
        let raw = &bytes[f.start as usize..f.end as usize];
        match f.payload {
            Payload::Bytes(pair) if f.number == attributes => {
                let pair = value::canonical::pair(&bytes[pair.at as usize..pair.end() as usize]);
                wire::put_bytes(&mut out, attributes, &pair);
            }
            _ if f.number < 7 && last[f.number as usize] != Some((f.start, f.end)) => {}
            _ => out.extend_from_slice(raw),
        }
    }
    batch.put(&out)
}
