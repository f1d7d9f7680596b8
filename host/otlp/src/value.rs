//! `AnyValue`: reading, checking, bringing into one form, writing.
//!
//! Protobuf lets a sender write a value in pieces: a `oneof` twice, of which the last wins, or a list in two parts,
//! which merge. Everything behind the index sees the canonical form only: at most one field of the `oneof`, and
//! `KeyValue`s with one key and at most one value. The index brings the rare other forms into it (see
//! [`canonical`]); the original bytes still leave as they came where nothing is edited.

use crate::wire::{self, MAX_DEPTH, Payload, Reader, Slice, WireError, WireFault};

/// Field numbers of `AnyValue`.
pub mod field {
    /// `string_value`
    pub const STRING: u32 = 1;
    /// `bool_value`
    pub const BOOL: u32 = 2;
    /// `int_value`
    pub const INT: u32 = 3;
    /// `double_value`
    pub const DOUBLE: u32 = 4;
    /// `array_value`
    pub const ARRAY: u32 = 5;
    /// `kvlist_value`
    pub const KVLIST: u32 = 6;
    /// `bytes_value`
    pub const BYTES: u32 = 7;
    /// `ArrayValue.values` and `KeyValueList.values`
    pub const ELEMENT: u32 = 1;
    /// `KeyValue.key`
    pub const KEY: u32 = 1;
    /// `KeyValue.value`
    pub const VALUE: u32 = 2;
}

/// A canonical `AnyValue`, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// No field of the `oneof` is set.
    Empty,
    /// Text; senders do emit invalid UTF-8.
    Text(&'a [u8]),
    /// A boolean.
    Boolean(bool),
    /// A signed integer.
    Integer(i64),
    /// A double.
    Float(f64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// The body of an `ArrayValue`: see [`elements`].
    Array(&'a [u8]),
    /// The body of a `KeyValueList`: see [`pairs`].
    Map(&'a [u8]),
}

/// Reads a canonical `AnyValue` from its body. Bytes that are not canonical read as their last field, malformed ones as
/// [`Value::Empty`].
#[inline]
#[must_use]
pub fn read(body: &[u8]) -> Value<'_> {
    // By far the commonest: one short string.
    if let [0x0a, len, text @ ..] = body
        && usize::from(*len) == text.len()
        && *len < 0x80
    {
        return Value::Text(text);
    }
    // Then small numbers.
    match *body {
        [0x18, low @ ..0x80] => Value::Integer(i64::from(low)),
        [0x18, low @ 0x80..=0xff, high @ ..0x80] => Value::Integer(i64::from(low & 0x7f) | i64::from(high) << 7),
        [0x10, truth @ ..0x80] => Value::Boolean(truth != 0),
        _ => read_slowly(body),
    }
}

fn read_slowly(body: &[u8]) -> Value<'_> {
    let mut value = Value::Empty;
    let mut reader = Reader::new(body);
    while let Ok(Some(f)) = reader.next() {
        let bytes = |slice: Slice| &body[slice.at as usize..slice.end() as usize];
        value = match (f.number, f.payload) {
            (field::STRING, Payload::Bytes(slice)) => Value::Text(bytes(slice)),
            (field::BOOL, Payload::Varint(v)) => Value::Boolean(v != 0),
            (field::INT, Payload::Varint(v)) => Value::Integer(v as i64),
            (field::DOUBLE, Payload::Fixed64(v)) => Value::Float(f64::from_bits(v)),
            (field::ARRAY, Payload::Bytes(slice)) => Value::Array(bytes(slice)),
            (field::KVLIST, Payload::Bytes(slice)) => Value::Map(bytes(slice)),
            (field::BYTES, Payload::Bytes(slice)) => Value::Bytes(bytes(slice)),
            _ => continue,
        };
    }
    value
}

/// The elements of a canonical `ArrayValue`: each the body of an `AnyValue`, by its place in `body`.
pub fn elements(body: &[u8]) -> impl Iterator<Item = Slice> + '_ {
    let mut reader = Reader::new(body);
    std::iter::from_fn(move || {
        while let Ok(Some(f)) = reader.next() {
            if let (field::ELEMENT, Payload::Bytes(slice)) = (f.number, f.payload) {
                return Some(slice);
            }
        }
        None
    })
}

/// The pairs of a canonical `KeyValueList`: places in `body` of each key, and of the body of each value.
pub fn pairs(body: &[u8]) -> impl Iterator<Item = (Slice, Slice)> + '_ {
    elements(body).map(move |pair| key_value(body, pair))
}

/// Where key and value of the canonical `KeyValue` at `pair` stand in `bytes`.
#[must_use]
pub fn key_value(bytes: &[u8], pair: Slice) -> (Slice, Slice) {
    let (mut key, mut value) = (Slice::EMPTY, Slice::EMPTY);
    let mut reader = Reader::within(bytes, pair);
    while let Ok(Some(f)) = reader.next() {
        match (f.number, f.payload) {
            (field::KEY, Payload::Bytes(slice)) => key = slice,
            (field::VALUE, Payload::Bytes(slice)) => value = slice,
            _ => {}
        }
    }
    (key, value)
}

/// Checks the `AnyValue` at `part` of `bytes`, nested `depth` messages deep, all the way down. Says whether it is
/// canonical.
#[inline]
pub fn check(bytes: &[u8], part: Slice, depth: u32) -> Result<bool, WireError> {
    let body = &bytes[part.at as usize..part.end() as usize];
    if let [0x0a, len, text @ ..] = body
        && usize::from(*len) == text.len()
        && *len < 0x80
        && depth <= MAX_DEPTH
    {
        return Ok(true);
    }
    check_slowly(bytes, part, depth)
}

fn check_slowly(bytes: &[u8], part: Slice, depth: u32) -> Result<bool, WireError> {
    deep(depth, part.at)?;
    let (mut canonical, mut seen) = (true, 0u32);
    let mut reader = Reader::within(bytes, part);
    while let Some(f) = reader.next()? {
        seen += u32::from((field::STRING..=field::BYTES).contains(&f.number));
        match f.number {
            field::STRING | field::BYTES => drop(f.bytes()?),
            field::BOOL | field::INT => drop(f.varint()?),
            field::DOUBLE => drop(f.fixed64()?),
            field::ARRAY | field::KVLIST => {
                deep(depth + 1, f.start)?;
                let mut list = Reader::within(bytes, f.bytes()?);
                while let Some(element) = list.next()? {
                    if element.number == field::ELEMENT {
                        let element = element.bytes()?;
                        canonical &= if f.number == field::ARRAY {
                            check(bytes, element, depth + 2)?
                        } else {
                            check_pair(bytes, element, depth + 2)?.is_some()
                        };
                    }
                }
            }
            _ => {}
        }
    }
    Ok(canonical && seen <= 1)
}

/// Checks the `KeyValue` at `part`, nested `depth` messages deep. Answers where its key and its value's body stand, or
/// `None` where it is not canonical.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `plain_pair`")]
pub fn check_pair(bytes: &[u8], part: Slice, depth: u32) -> Result<Option<(Slice, Slice)>, WireError> {
    match plain_pair(bytes, part) {
        Some(pair) if depth < MAX_DEPTH => Ok(Some(pair)),
        _ => check_pair_slowly(bytes, part, depth),
    }
}

/// Key and value of the `KeyValue` that is the next field, if that has the one-byte `tag`, and the pair is short and plain: a key
/// and a text, a small number, a boolean or a double, with lengths of one byte each, and nothing else.
///
/// Invariant: the field begins four bytes before the key, and the second of them is the pair's length.
#[inline(always)]
#[expect(clippy::inline_always, reason = "see `plain_pair`")]
pub(crate) fn next_short_pair(reader: &mut Reader<'_>, tag: u8) -> Option<(Slice, Slice)> {
    // Two tags and two lengths at one look.
    let head = reader.peek::<4>(0)?;
    let is_short = u32::from_le_bytes(head) & u32::from_le_bytes([0xff, 0x80, 0xff, 0x80])
        == u32::from_le_bytes([tag, 0, wire::tag(field::KEY, 2), 0]);
    if !is_short {
        return None;
    }
    let [_, pair, _, key] = head.map(usize::from);
    let [value_tag, any, kind, first] = reader.peek::<4>(4 + key)?;
    if value_tag != wire::tag(field::VALUE, 2) || pair != key + usize::from(any) + 4 {
        return None;
    }
    // The value ends with the pair, so its length has one byte too.
    let is_plain = match kind {
        0x0a => any == first.wrapping_add(2) && any >= 2,
        0x10 | 0x18 if any == 2 => first < 0x80,
        0x10 | 0x18 if any == 3 => first >= 0x80 && reader.peek::<1>(8 + key)?[0] < 0x80,
        0x21 => any == 9,
        _ => false,
    };
    if !is_plain {
        return None;
    }
    let at = reader.take(pair + 2)? + 4;
    let key = key as u32;
    Some((Slice { at, len: key }, Slice { at: at + key + 2, len: any.into() }))
}

/// Key and value of a `KeyValue` as nearly all are written: the key, then a value that is one scalar, and nothing else.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the index reads most of its bytes here, and a result by memory costs more")]
pub(crate) fn plain_pair(bytes: &[u8], part: Slice) -> Option<(Slice, Slice)> {
    let mut reader = Reader::within(bytes, part);
    let key = reader.short_bytes(wire::tag(field::KEY, 2))?;
    let value = reader.short_bytes(wire::tag(field::VALUE, 2))?;
    let body = &bytes[value.at as usize..value.end() as usize];
    let plain = match *body {
        [0x0a, len, ref text @ ..] if len < 0x80 => text.len() == usize::from(len),
        [0x0a, low, high, ref text @ ..] if high < 0x80 => {
            text.len() == usize::from(low & 0x7f) | usize::from(high) << 7
        }
        // A varint: every byte but the last goes on, and ten are the most.
        [0x10 | 0x18, ref number @ ..] => match *number {
            [only] => only < 0x80,
            [.., last] => {
                number.len() < 10 && last < 0x80 && number[..number.len() - 1].iter().all(|&byte| byte >= 0x80)
            }
            [] => false,
        },
        [0x21, ref double @ ..] => double.len() == 8,
        _ => false,
    };
    (plain && value.end() == part.end()).then_some((key, value))
}

#[cold]
fn check_pair_slowly(bytes: &[u8], part: Slice, depth: u32) -> Result<Option<(Slice, Slice)>, WireError> {
    deep(depth, part.at)?;
    let (mut key, mut value, mut seen_key, mut seen_value) = (Slice::EMPTY, Slice::EMPTY, 0u32, 0u32);
    let mut canonical = true;
    let mut reader = Reader::within(bytes, part);
    while let Some(f) = reader.next()? {
        match f.number {
            field::KEY => {
                key = f.bytes()?;
                seen_key += 1;
            }
            field::VALUE => {
                value = f.bytes()?;
                canonical &= check(bytes, value, depth + 1)?;
                seen_value += 1;
            }
            _ => {}
        }
    }
    Ok((canonical && seen_key <= 1 && seen_value <= 1).then_some((key, value)))
}

fn deep(depth: u32, offset: u32) -> Result<(), WireError> {
    if depth > MAX_DEPTH { Err(WireError { kind: WireFault::TooDeep, offset }) } else { Ok(()) }
}

/// Bringing checked values into their canonical form. Rare, so it is written for clarity and allocates.
pub mod canonical {
    use super::{Payload, Reader, Slice, field, wire};

    /// The canonical body of the checked `AnyValue` in `body`: pieces merged, the last of a `oneof` kept.
    #[must_use]
    pub fn any(body: &[u8]) -> Vec<u8> {
        // The field that holds, and the pieces of it if it is a list.
        let mut last: Option<(u32, Vec<u8>)> = None;
        let mut scalar = Vec::new();
        let mut reader = Reader::new(body);
        while let Ok(Some(f)) = reader.next() {
            match (f.number, f.payload) {
                (number @ (field::ARRAY | field::KVLIST), Payload::Bytes(slice)) => {
                    let piece = &body[slice.at as usize..slice.end() as usize];
                    match &mut last {
                        Some((open, pieces)) if *open == number => pieces.extend_from_slice(piece),
                        _ => last = Some((number, piece.to_vec())),
                    }
                }
                (field::STRING..=field::BYTES, _) => {
                    scalar = body[f.start as usize..f.end as usize].to_vec();
                    last = Some((f.number, Vec::new()));
                }
                _ => {}
            }
        }
        match last {
            Some((number @ (field::ARRAY | field::KVLIST), pieces)) => {
                let list = list(&pieces, number);
                let mut out = Vec::with_capacity(list.len() + 6);
                wire::put_bytes(&mut out, number, &list);
                out
            }
            Some(_) => scalar,
            None => Vec::new(),
        }
    }

    fn list(body: &[u8], kind: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len());
        for element in super::elements(body) {
            let element = &body[element.at as usize..element.end() as usize];
            let element = if kind == field::ARRAY { any(element) } else { pair(element) };
            wire::put_bytes(&mut out, field::ELEMENT, &element);
        }
        out
    }

    /// The canonical body of the checked `KeyValue` in `body`.
    #[must_use]
    pub fn pair(body: &[u8]) -> Vec<u8> {
        let (key, value) = split_pair(body);
        let mut out = Vec::with_capacity(key.len() + value.len() + 8);
        super::put_pair(&mut out, &key, &value);
        out
    }

    /// Key and canonical value of the checked `KeyValue` in `body`: the last key, and all pieces of the value merged.
    #[must_use]
    pub fn split_pair(body: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut key, mut value) = (Slice::EMPTY, Vec::new());
        let mut reader = Reader::new(body);
        while let Ok(Some(f)) = reader.next() {
            match (f.number, f.payload) {
                (field::KEY, Payload::Bytes(slice)) => key = slice,
                (field::VALUE, Payload::Bytes(slice)) => {
                    value.extend_from_slice(&body[slice.at as usize..slice.end() as usize]);
                }
                _ => {}
            }
        }
        (body[key.at as usize..key.end() as usize].to_vec(), any(&value))
    }
}

/// Giving values valid text.
pub mod valid {
    use super::{Payload, Reader, field, wire};

    /// The canonical `AnyValue` in `body` with U+FFFD in the place of what is no UTF-8, in keys too; `None` where it is valid.
    #[must_use]
    pub fn any(body: &[u8]) -> Option<Vec<u8>> {
        fields(body, |number, inner| match number {
            field::STRING => text(inner),
            field::ARRAY => fields(inner, |number, inner| if number == field::ELEMENT { any(inner) } else { None }),
            field::KVLIST => fields(inner, |number, inner| if number == field::ELEMENT { pair(inner) } else { None }),
            _ => None,
        })
    }

    fn pair(body: &[u8]) -> Option<Vec<u8>> {
        fields(body, |number, inner| match number {
            field::KEY => text(inner),
            field::VALUE => any(inner),
            _ => None,
        })
    }

    fn text(text: &[u8]) -> Option<Vec<u8>> {
        std::str::from_utf8(text).is_err().then(|| String::from_utf8_lossy(text).into_owned().into_bytes())
    }

    /// The message with those of its length-delimited fields replaced for which `replace` has something else.
    fn fields(body: &[u8], replace: impl Fn(u32, &[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let mut out: Option<Vec<u8>> = None;
        let mut reader = Reader::new(body);
        while let Ok(Some(f)) = reader.next() {
            let new = match f.payload {
                Payload::Bytes(slice) => replace(f.number, &body[slice.at as usize..slice.end() as usize]),
                _ => None,
            };
            match (new, &mut out) {
                (Some(new), out) => {
                    let out = out.get_or_insert_with(|| body[..f.start as usize].to_vec());
                    wire::put_bytes(out, f.number, &new);
                }
                (None, Some(out)) => out.extend_from_slice(&body[f.start as usize..f.end as usize]),
                (None, None) => {}
            }
        }
        out
    }
}

// === writing ===

/// Appends the body of a `KeyValue` with this key and this body of an `AnyValue`.
pub fn put_pair(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    wire::put_bytes(out, field::KEY, key);
    wire::put_bytes(out, field::VALUE, value);
}

/// Appends the body of an `AnyValue` that holds `value`.
pub fn put(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Empty => {}
        Value::Text(text) => wire::put_bytes(out, field::STRING, text),
        Value::Boolean(v) => wire::put_varint_field(out, field::BOOL, u64::from(v)),
        Value::Integer(v) => wire::put_varint_field(out, field::INT, v as u64),
        Value::Float(v) => wire::put_fixed64_field(out, field::DOUBLE, v.to_bits()),
        Value::Bytes(bytes) => wire::put_bytes(out, field::BYTES, bytes),
        Value::Array(list) => wire::put_bytes(out, field::ARRAY, list),
        Value::Map(list) => wire::put_bytes(out, field::KVLIST, list),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, value);
        out
    }

    #[test]
    fn every_kind_reads_as_it_was_written() {
        let long = [b'x'; 300];
        for value in [
            Value::Empty,
            Value::Text(b"hello"),
            Value::Text(b""),
            Value::Text(&long),
            Value::Boolean(true),
            Value::Boolean(false),
            Value::Integer(-7),
            Value::Integer(0),
            Value::Integer(127),
            Value::Integer(128),
            Value::Integer(443),
            Value::Integer(16_383),
            Value::Integer(16_384),
            Value::Float(1.5),
            Value::Bytes(b"\x00\xff"),
            Value::Array(&[]),
            Value::Map(&[]),
        ] {
            let bytes = body(value);
            assert_eq!(read(&bytes), value);
            assert_eq!(check(&bytes, Slice { at: 0, len: bytes.len() as u32 }, 5), Ok(true));
        }
    }

    #[test]
    fn the_last_of_a_oneof_wins_and_lists_merge() {
        let whole = |bytes: &[u8]| check(bytes, Slice { at: 0, len: bytes.len() as u32 }, 5);
        let twice = [body(Value::Text(b"a")), body(Value::Integer(3))].concat();
        assert_eq!(whole(&twice), Ok(false));
        assert_eq!(canonical::any(&twice), body(Value::Integer(3)));

        let one = |n| {
            let mut list = Vec::new();
            wire::put_bytes(&mut list, field::ELEMENT, &body(Value::Integer(n)));
            list
        };
        let split = [body(Value::Array(&one(1))), body(Value::Array(&one(2)))].concat();
        assert_eq!(whole(&split), Ok(false));
        assert_eq!(canonical::any(&split), body(Value::Array(&[one(1), one(2)].concat())));
        // A scalar in between clears what came before it.
        let cleared = [body(Value::Array(&one(1))), body(Value::Text(b"x")), body(Value::Array(&one(2)))].concat();
        assert_eq!(canonical::any(&cleared), body(Value::Array(&one(2))));
    }

    #[test]
    fn a_short_pair_is_taken_only_where_it_is_nothing_else() {
        let field_of = |pair: &[u8]| {
            let mut out = Vec::new();
            wire::put_bytes(&mut out, 9, pair);
            out
        };
        let pair_of = |key: &[u8], any: &[u8]| {
            let mut pair = Vec::new();
            put_pair(&mut pair, key, any);
            pair
        };
        let taken = |bytes: &[u8]| next_short_pair(&mut Reader::new(bytes), wire::tag(9, 2));
        for value in [
            Value::Text(b"value"),
            Value::Text(b""),
            Value::Integer(1),
            Value::Integer(300),
            Value::Boolean(true),
            Value::Float(0.5),
        ] {
            let any = body(value);
            let pair = pair_of(b"key", &any);
            let whole = field_of(&pair);
            let (key, found) = taken(&whole).unwrap();
            let at = |slice: Slice| &whole[slice.at as usize..slice.end() as usize];
            assert_eq!((key.at, at(key), at(found)), (4, &b"key"[..], &any[..]));
            // Cut off anywhere, with anything behind it in the pair or in the value, or another field.
            assert!((0..whole.len()).all(|end| taken(&whole[..end]).is_none()));
            assert_eq!(taken(&field_of(&[&pair[..], &[0x18, 1]].concat())), None);
            assert_eq!(taken(&field_of(&pair_of(b"key", &[&any[..], &[0x18, 1]].concat()))), None);
            assert_eq!(next_short_pair(&mut Reader::new(&whole), wire::tag(8, 2)), None);
            // Every byte changed in every way, with and without more behind: what is taken is what a whole check finds.
            for more in [&[][..], &[0x0a, 1, 2, 0x7f, 0x80, 1, 1, 1, 1, 1, 1, 1]] {
                for at in 0..whole.len() {
                    for byte in 0..=255 {
                        let mut bytes = [&whole, more].concat();
                        bytes[at] = byte;
                        if let Some(found) = taken(&bytes) {
                            let field = Reader::new(&bytes).next().unwrap().unwrap();
                            let pair = field.bytes().unwrap();
                            assert_eq!(
                                check_pair(&bytes, pair, 5),
                                Ok(Some(found)),
                                "byte {at} of {value:?} is {byte}"
                            );
                        }
                    }
                }
            }
        }
        let long = [b'x'; 128];
        for (key, value) in [
            (&long[..], Value::Text(b"")),
            (b"k", Value::Text(&long)),
            (b"k", Value::Bytes(b"v")),
            (b"k", Value::Integer(-1)),
            (b"k", Value::Empty),
        ] {
            assert_eq!(taken(&field_of(&pair_of(key, &body(value)))), None);
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let mut value = body(Value::Text(b"x"));
        for _ in 0..60 {
            let mut list = Vec::new();
            wire::put_bytes(&mut list, field::ELEMENT, &value);
            value = body(Value::Array(&list));
        }
        let error = check(&value, Slice { at: 0, len: value.len() as u32 }, 5).unwrap_err();
        assert_eq!(error.kind, WireFault::TooDeep);
    }
}
