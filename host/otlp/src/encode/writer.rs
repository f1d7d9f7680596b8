//! The buffer that encoding writes into: runs of the original copied late and whole, lengths filled in afterwards.
//! Owns no knowledge of OTLP.

use crate::wire;

/// Writes a message out of another's bytes. What stands between `at` and the place of the next change is copied in one
/// go, however many fields it has.
pub(super) struct Writer<'a> {
    pub(super) out: Vec<u8>,
    bytes: &'a [u8],
    /// The first of the original bytes that is neither copied nor skipped.
    at: u32,
}

/// A message that is being written, whose length is not known yet.
#[must_use]
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    /// Where the room for its length begins.
    length_at: usize,
    /// How many bytes of room there are.
    room: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(bytes: &'a [u8], capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity), bytes, at: 0 }
    }

    /// Goes on where something is written already.
    pub(super) fn onto(out: Vec<u8>, bytes: &'a [u8]) -> Self {
        Self { out, bytes, at: 0 }
    }

    /// Copies what stands before `end`.
    #[inline]
    pub(super) fn copy_until(&mut self, end: u32) {
        if self.at < end {
            self.out.extend_from_slice(&self.bytes[self.at as usize..end as usize]);
            self.at = end;
        }
    }

    /// Goes on at `at`, copying nothing in between.
    #[inline]
    pub(super) fn skip_to(&mut self, at: u32) {
        self.at = at;
    }

    /// Begins the message field `number`, which will have about `guess` bytes.
    #[inline]
    pub(super) fn begin(&mut self, number: u32, guess: u32) -> Open {
        wire::put_varint(&mut self.out, u64::from(number) << 3 | 2);
        let room = wire::varint_len(u64::from(guess));
        let length_at = self.out.len();
        self.out.extend_from_slice(&[0; 10][..room]);
        Open { length_at, room }
    }

    /// Ends a message: its length is filled in, and the message moved if the guess was off by a byte of length.
    #[inline]
    pub(super) fn end(&mut self, open: Open) {
        let Open { length_at, room } = open;
        let body_at = length_at + room;
        let mut len = (self.out.len() - body_at) as u64;
        let needed = wire::varint_len(len);
        if needed != room {
            self.resize(body_at, room, needed);
        }
        for byte in &mut self.out[length_at..length_at + needed] {
            *byte = len as u8 | 0x80;
            len >>= 7;
        }
        self.out[length_at + needed - 1] &= 0x7f;
    }

    #[cold]
    fn resize(&mut self, body_at: usize, room: usize, needed: usize) {
        let end = self.out.len();
        if needed > room {
            self.out.resize(end + needed - room, 0);
        }
        self.out.copy_within(body_at..end, body_at - room + needed);
        self.out.truncate(end + needed - room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact_whatever_was_guessed() {
        for len in [0usize, 1, 127, 128, 16_383, 16_384] {
            for guess in [0, 100, 200, 20_000, 3_000_000] {
                let mut writer = Writer::new(&[], 0);
                let open = writer.begin(2, guess);
                writer.out.extend(std::iter::repeat_n(7, len));
                writer.end(open);
                writer.out.push(9);
                let mut expected = Vec::new();
                wire::put_bytes(&mut expected, 2, &vec![7; len]);
                expected.push(9);
                assert_eq!(writer.out, expected, "{len} bytes, guessed {guess}");
            }
        }
    }
}
