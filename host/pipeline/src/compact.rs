//! What is held is what is counted: bytes that wait somewhere for long are counted by their length, and must not keep much more
//! memory than that from being given back.

use bytes::Bytes;

/// Spare bytes that are not worth a copy.
const TOLERATED: usize = 4096;

fn is_much(kept: usize, len: usize) -> bool {
    kept > len + len / 4 + TOLERATED
}

/// The bytes of a buffer, without what it has beyond them where that is much.
pub(crate) fn buffer(mut buffer: Vec<u8>) -> Bytes {
    if is_much(buffer.capacity(), buffer.len()) {
        buffer.shrink_to_fit();
    }
    buffer.into()
}

/// Bytes that are a part of `whole` bytes which they keep alive; in a buffer of their own where that is much more than they are.
pub(crate) fn part(part: Bytes, whole: usize) -> Bytes {
    if is_much(whole, part.len()) { Bytes::copy_from_slice(&part) } else { part }
}

/// Bytes of unknown origin: in a smaller buffer where they are alone in one that is much too large. What is a part of a buffer that others
/// use too is left as it is.
pub(crate) fn alone(bytes: Bytes) -> Bytes {
    match bytes.try_into_mut() {
        Ok(owned) if is_much(owned.capacity(), owned.len()) => Bytes::copy_from_slice(&owned),
        Ok(owned) => owned.freeze(),
        Err(shared) => shared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(bytes: Bytes) -> usize {
        bytes.try_into_mut().expect("nobody else has a part of it").capacity()
    }

    #[test]
    fn what_is_much_larger_than_its_bytes_is_not_held() {
        let large = |len: usize| {
            let mut large = Vec::with_capacity(1 << 20);
            large.resize(len, 1);
            large
        };
        assert!(capacity(buffer(large(3))) < 100);
        assert!(capacity(alone(large(3).into())) < 100);
        let whole = Bytes::from(large(1 << 20));
        assert_eq!(capacity(part(whole.slice(..300), whole.len())), 300);
    }

    #[test]
    fn what_is_about_as_large_as_its_bytes_is_not_copied() {
        let exact = Bytes::from(vec![1; 100_000]);
        let at = exact.as_ptr();
        assert_eq!(alone(exact.clone()).as_ptr(), at);
        assert_eq!(part(exact.slice(..90_000), 100_000).as_ptr(), at);
        let roomy = Vec::with_capacity(100_000);
        let at = roomy.as_ptr();
        let mut full = roomy;
        full.resize(98_000, 1);
        assert_eq!(buffer(full).as_ptr(), at);
    }
}
