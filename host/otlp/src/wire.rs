//! Protobuf's wire format: varints, tags, fields and their lengths. Owns no knowledge of OTLP.
//!
//! Readers accept what the protobuf specification lets a writer emit and refuse everything else with a reason and an
//! offset; nothing here panics on any input. The limits are those of the reference decoders: varints of ten bytes,
//! field numbers of 29 bits, nesting of [`MAX_DEPTH`].

/// How deeply messages (and groups) may be nested, counted from the outermost message. The limit of other decoders
/// (prost, Go's), so that what passes here can be read behind us.
pub const MAX_DEPTH: u32 = 100;

/// Why bytes are not a protobuf message of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct WireError {
    /// What is wrong.
    pub kind: WireFault,
    /// Where, counted from the start of the whole message.
    pub offset: u32,
}

/// What can be wrong with a message on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireFault {
    /// The input ends inside a field.
    #[error("field is cut off")]
    Truncated,
    /// A varint longer than ten bytes, or larger than 64 bits.
    #[error("varint is too long")]
    OverlongVarint,
    /// A length reaches beyond the message that contains it.
    #[error("length reaches beyond its message")]
    LengthTooLong,
    /// Field number 0, a field number over 29 bits, or wire type 6 or 7.
    #[error("invalid field tag")]
    InvalidTag,
    /// A known field with a wire type that is not its own.
    #[error("field {0} has the wrong wire type")]
    WrongWireType(u32),
    /// A group that ends without having begun, or does not end.
    #[error("unbalanced group")]
    UnbalancedGroup,
    /// Messages or groups are nested deeper than [`MAX_DEPTH`].
    #[error("nesting is deeper than 100 levels")]
    TooDeep,
    /// The message is larger than offsets of 32 bits reach.
    #[error("message is larger than 2 GiB")]
    TooLarge,
    /// So many small messages that to keep their places would take far more memory than they do.
    #[error("too many parts for the size of the message")]
    TooManyParts,
}

/// One field as it stands on the wire; offsets are absolute, from the start of the buffer that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The field's number.
    pub number: u32,
    /// Where its tag begins.
    pub start: u32,
    /// Where it ends, one beyond the last byte.
    pub end: u32,
    /// What it holds.
    pub payload: Payload,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: where the bytes stand.
    Bytes(Slice),
    /// Wire type 5.
    Fixed32(u32),
    /// Wire types 3 and 4: a whole group, skipped.
    Group,
}

/// A run of bytes by offset and length. Of a batch, offsets below the length of its bytes lie in them and the others
/// in its arena (see [`crate::batch::Batch::get`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Slice {
    /// Where it begins.
    pub at: u32,
    /// How many bytes it has.
    pub len: u32,
}

impl Slice {
    /// The empty slice.
    pub const EMPTY: Self = Self { at: 0, len: 0 };

    /// The slice from `at` up to `end`.
    #[must_use]
    pub fn between(at: u32, end: u32) -> Self {
        Self { at, len: end - at }
    }

    /// One beyond the last byte.
    #[must_use]
    pub fn end(self) -> u32 {
        self.at + self.len
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Reads the fields of one message, which begins somewhere in `bytes` and ends with them.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Over a whole buffer.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Over a part of a buffer, so that offsets count from the buffer's start. A part beyond the buffer is cut off.
    #[inline]
    #[must_use]
    pub fn within(bytes: &'a [u8], part: Slice) -> Self {
        let bytes = bytes.get(..part.end() as usize).unwrap_or(bytes);
        Self { bytes, at: (part.at as usize).min(bytes.len()) }
    }

    fn fail<T>(&self, kind: WireFault, at: usize) -> Result<T, WireError> {
        let _ = self;
        Err(WireError { kind, offset: u32::try_from(at).unwrap_or(u32::MAX) })
    }

    /// Reads one varint.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        if let Some(&value @ ..0x80) = self.bytes.get(self.at) {
            self.at += 1;
            return Ok(u64::from(value));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let start = self.at;
        let mut value = 0u64;
        for shift in 0..10u32 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return self.fail(WireFault::Truncated, start);
            };
            self.at += 1;
            // The tenth byte has room for one bit only.
            if shift == 9 && byte > 1 {
                return self.fail(WireFault::OverlongVarint, start);
            }
            value |= u64::from(byte & 0x7f) << (shift * 7);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.fail(WireFault::OverlongVarint, start)
    }

    /// The bytes of the next field, if its tag is this one byte and its length has one or two: the forms in which nearly all
    /// fields come. Anything else, wrong or right, is left to [`Reader::next`].
    #[inline]
    pub fn short_bytes(&mut self, tag: u8) -> Option<Slice> {
        let rest = &self.bytes[self.at..];
        let (head, len) = match *rest {
            [first, len, ..] if first == tag && len < 0x80 => (2, usize::from(len)),
            [first, low, high, ..] if first == tag && high < 0x80 => {
                (3, usize::from(low & 0x7f) | usize::from(high) << 7)
            }
            _ => return None,
        };
        if rest.len() - head < len {
            return None;
        }
        let at = self.at + head;
        self.at = at + len;
        Some(Slice { at: at as u32, len: len as u32 })
    }

    /// The next field's value, if its tag and its varint are of one byte each, and the tag is this.
    #[inline]
    pub fn short_varint(&mut self, tag: u8) -> Option<u8> {
        match self.bytes[self.at..] {
            [first, value @ ..0x80, ..] if first == tag => {
                self.at += 2;
                Some(value)
            }
            _ => None,
        }
    }

    /// The next field's value, if its tag is this one byte and it is the tag of a fixed64 or double field.
    #[inline]
    pub fn short_fixed64(&mut self, tag: u8) -> Option<u64> {
        let [first, value @ ..] = self.bytes[self.at..].first_chunk::<9>()?;
        if *first != tag {
            return None;
        }
        self.at += 9;
        let mut fixed = [0; 8];
        fixed.copy_from_slice(value);
        Some(u64::from_le_bytes(fixed))
    }

    /// The bytes that stand `ahead` of where the next field begins, if the message has as many.
    #[inline]
    #[must_use]
    pub fn peek<const N: usize>(&self, ahead: usize) -> Option<[u8; N]> {
        self.bytes[self.at..].get(ahead..)?.first_chunk().copied()
    }

    /// Goes on behind this many bytes, if the message has as many, and says where they begin.
    #[inline]
    pub fn take(&mut self, len: usize) -> Option<u32> {
        if self.bytes.len() - self.at < len {
            return None;
        }
        let at = self.at as u32;
        self.at += len;
        Some(at)
    }

    /// The next field, or `None` at the message's end.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the common case is a few instructions, and a result by memory costs more"
    )]
    #[expect(clippy::should_implement_trait, reason = "a fallible lending reader, not an iterator")]
    pub fn next(&mut self) -> Result<Option<Field>, WireError> {
        // By far the commonest: strings and small messages, with a number and a length of one byte each.
        if let [tag @ 0x0a..0x80, len @ ..0x80, rest @ ..] = &self.bytes[self.at..]
            && tag & 7 == 2
            && usize::from(*len) <= rest.len()
        {
            let start = self.at as u32;
            let slice = Slice { at: start + 2, len: u32::from(*len) };
            self.at = slice.end() as usize;
            let number = u32::from(tag >> 3);
            return Ok(Some(Field { number, start, end: slice.end(), payload: Payload::Bytes(slice) }));
        }
        self.next_of_any_kind()
    }

    #[inline(never)]
    fn next_of_any_kind(&mut self) -> Result<Option<Field>, WireError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || tag > u64::from(u32::MAX) {
            return self.fail(WireFault::InvalidTag, start);
        }
        let number = number as u32;
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.fixed(start)?)),
            2 => {
                let len = self.varint()?;
                if len > (self.bytes.len() - self.at) as u64 {
                    return self.fail(WireFault::LengthTooLong, start);
                }
                let slice = Slice { at: self.at as u32, len: len as u32 };
                self.at += len as usize;
                Payload::Bytes(slice)
            }
            3 => {
                self.skip_group(number, start, 1)?;
                Payload::Group
            }
            4 => return self.fail(WireFault::UnbalancedGroup, start),
            5 => Payload::Fixed32(u32::from_le_bytes(self.fixed(start)?)),
            _ => return self.fail(WireFault::InvalidTag, start),
        };
        Ok(Some(Field { number, start: start as u32, end: self.at as u32, payload }))
    }

    fn fixed<const N: usize>(&mut self, start: usize) -> Result<[u8; N], WireError> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => self.fail(WireFault::Truncated, start),
        }
    }

    /// Skips to the end of the group `number`, whose start tag has been read. Without recursion, so that nesting costs
    /// no stack: the numbers of the open groups are kept in a small stack of our own.
    fn skip_group(&mut self, number: u32, start: usize, depth: u32) -> Result<(), WireError> {
        let mut open = [0u32; MAX_DEPTH as usize];
        let mut level = depth as usize;
        open[level - 1] = number;
        while level > 0 {
            if self.at >= self.bytes.len() {
                return self.fail(WireFault::UnbalancedGroup, start);
            }
            let at = self.at;
            let tag = self.varint()?;
            if tag >> 3 == 0 || tag > u64::from(u32::MAX) {
                return self.fail(WireFault::InvalidTag, at);
            }
            let inner = (tag >> 3) as u32;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.fixed::<8>(at)?),
                2 => {
                    let len = self.varint()?;
                    if len > (self.bytes.len() - self.at) as u64 {
                        return self.fail(WireFault::LengthTooLong, at);
                    }
                    self.at += len as usize;
                }
                3 => {
                    if level == open.len() {
                        return self.fail(WireFault::TooDeep, at);
                    }
                    open[level] = inner;
                    level += 1;
                }
                4 if open[level - 1] == inner => level -= 1,
                4 => return self.fail(WireFault::UnbalancedGroup, at),
                5 => drop(self.fixed::<4>(at)?),
                _ => return self.fail(WireFault::InvalidTag, at),
            }
        }
        Ok(())
    }
}

impl Field {
    fn wrong<T>(&self) -> Result<T, WireError> {
        Err(WireError { kind: WireFault::WrongWireType(self.number), offset: self.start })
    }

    /// The bytes of a string, bytes or message field.
    #[inline]
    pub fn bytes(&self) -> Result<Slice, WireError> {
        if let Payload::Bytes(slice) = self.payload { Ok(slice) } else { self.wrong() }
    }

    /// The value of a varint field.
    #[inline]
    pub fn varint(&self) -> Result<u64, WireError> {
        if let Payload::Varint(value) = self.payload { Ok(value) } else { self.wrong() }
    }

    /// The value of a fixed64 or double field.
    #[inline]
    pub fn fixed64(&self) -> Result<u64, WireError> {
        if let Payload::Fixed64(value) = self.payload { Ok(value) } else { self.wrong() }
    }

    /// The value of a fixed32 field.
    #[inline]
    pub fn fixed32(&self) -> Result<u32, WireError> {
        if let Payload::Fixed32(value) = self.payload { Ok(value) } else { self.wrong() }
    }
}

/// A field's tag, where it has one byte.
#[must_use]
pub const fn tag(number: u32, wire_type: u8) -> u8 {
    assert!(number < 16);
    (number << 3) as u8 | wire_type
}

// === writing ===

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes a varint takes.
#[inline]
#[must_use]
pub fn varint_len(value: u64) -> usize {
    // One byte for each seven bits, at least one.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Appends a field's tag and a length, before bytes that the caller appends.
#[inline]
pub fn put_header(out: &mut Vec<u8>, number: u32, len: usize) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, len as u64);
}

/// Appends a string, bytes or message field.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_header(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// How many bytes a string, bytes or message field of `len` bytes takes with its header.
#[inline]
#[must_use]
pub fn field_len(number: u32, len: usize) -> usize {
    varint_len(u64::from(number) << 3) + varint_len(len as u64) + len
}

/// Appends a varint field.
#[inline]
pub fn put_varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a fixed64 or double field.
#[inline]
pub fn put_fixed64_field(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a fixed32 field.
pub fn put_fixed32_field(out: &mut Vec<u8>, number: u32, value: u32) {
    put_varint(out, u64::from(number) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Vec<Field>, WireError> {
        let mut reader = Reader::new(bytes);
        let mut fields = Vec::new();
        while let Some(field) = reader.next()? {
            fields.push(field);
        }
        Ok(fields)
    }

    #[test]
    fn varints_of_every_length_round_trip() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                assert_eq!(Reader::new(&out).varint(), Ok(value));
            }
        }
    }

    #[test]
    fn overlong_varints_are_refused() {
        let eleven = [&[0x08][..], &[0x80; 10], &[0]].concat();
        assert_eq!(read_all(&eleven).unwrap_err().kind, WireFault::OverlongVarint);
        let too_big = [&[0x08][..], &[0xff; 9], &[2]].concat();
        assert_eq!(read_all(&too_big).unwrap_err().kind, WireFault::OverlongVarint);
    }

    #[test]
    fn a_length_beyond_the_message_is_refused_without_overflow() {
        let mut bytes = vec![0x0a];
        put_varint(&mut bytes, u64::MAX);
        assert_eq!(read_all(&bytes).unwrap_err(), WireError { kind: WireFault::LengthTooLong, offset: 0 });
    }

    #[test]
    fn groups_are_skipped_whole_and_must_balance() {
        // group 1 { group 2 { } field 3: 7 }  then field 4: 9
        let bytes = [0x0b, 0x13, 0x14, 0x18, 7, 0x0c, 0x20, 9];
        let fields = read_all(&bytes).unwrap();
        assert_eq!(fields[0].payload, Payload::Group);
        assert_eq!((fields[0].start, fields[0].end), (0, 6));
        assert_eq!(fields[1].payload, Payload::Varint(9));
        assert_eq!(read_all(&bytes[..5]).unwrap_err().kind, WireFault::UnbalancedGroup);
        assert_eq!(read_all(&[0x0b, 0x14]).unwrap_err().kind, WireFault::UnbalancedGroup);
        assert_eq!(read_all(&[0x0b; 101]).unwrap_err().kind, WireFault::TooDeep);
    }

    #[test]
    fn tags_of_field_zero_and_unknown_wire_types_are_refused() {
        assert_eq!(read_all(&[0x00, 1]).unwrap_err().kind, WireFault::InvalidTag);
        assert_eq!(read_all(&[0x0e, 1]).unwrap_err().kind, WireFault::InvalidTag);
    }
}
