//! Repeated numbers, which the wire holds packed: all of them in one field, without tags.

use serde::de::{Error, SeqAccess};
use serde_json::value::RawValue;

use super::scalar;
use super::schema::Kind;
use crate::wire;

/// Whether a field holds numbers that are packed.
pub(super) fn is_packed(kind: Kind) -> bool {
    matches!(kind, Kind::Doubles | Kind::Fixed64s | Kind::Uint64s)
}

/// Writes the next number; `false` at the end of the list.
pub(super) fn put_next<'de, A: SeqAccess<'de>>(out: &mut Vec<u8>, kind: Kind, list: &mut A) -> Result<bool, A::Error> {
    // From its text, for every bit of it.
    let Some(raw) = list.next_element::<&RawValue>()? else { return Ok(false) };
    let raw = raw.get();
    if let Kind::Doubles = kind {
        out.extend_from_slice(&scalar::double(raw).map_err(Error::custom)?.to_bits().to_le_bytes());
        return Ok(true);
    }
    let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
    let value = scalar::unsigned(text).map_err(Error::custom)?;
    if let Kind::Fixed64s = kind {
        out.extend_from_slice(&value.to_le_bytes());
    } else {
        wire::put_varint(out, value);
    }
    Ok(true)
}
