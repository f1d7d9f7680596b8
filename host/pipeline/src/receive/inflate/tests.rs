//! Inflating: whole bodies, bounds that hold against bombs, and what is malformed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const LIMIT: usize = 1 << 20;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Told: the frame says how large it is. Streamed: it does not.
fn zstd_told(plain: &[u8]) -> Vec<u8> {
    ::zstd::bulk::compress(plain, 3).unwrap()
}

fn zstd_streamed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Inflates, and tells the most that was asked for.
fn run(encoding: Encoding, body: &[u8], limit: usize) -> (Result<Vec<u8>, InflateError>, usize) {
    let mut most = 0;
    let mut ask = |size: usize| {
        most = most.max(size);
        Ok(())
    };
    let result = inflate(encoding, body, &mut Room { limit, ask: &mut ask });
    if let Ok(plain) = &result {
        assert!(plain.capacity() <= limit + 1, "{} bytes were allocated", plain.capacity());
    }
    (result, most)
}

fn text(len: usize) -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8 & 31
    };
    (0..len).map(|_| b'@' + next()).collect()
}

fn every_way(plain: &[u8]) -> [(Encoding, Vec<u8>); 3] {
    [(Encoding::Gzip, gzip(plain)), (Encoding::Zstd, zstd_told(plain)), (Encoding::Zstd, zstd_streamed(plain))]
}

#[test]
fn what_went_in_comes_out_and_room_is_asked_for() {
    for len in [0, 1, 100, 5000, 300_000, LIMIT] {
        let plain = text(len);
        for (encoding, body) in every_way(&plain) {
            let (result, most) = run(encoding, &body, LIMIT);
            assert_eq!(result.as_deref(), Ok(&plain[..]), "{encoding:?} {len}");
            assert!((len..=LIMIT).contains(&most), "{encoding:?} {len}: asked for {most}");
        }
    }
}

#[test]
fn all_members_and_frames_are_read() {
    let (a, b) = (text(70_000), text(10));
    let joined = [&a[..], &b[..], &a[..]].concat();
    for ways in [&[gzip as fn(&[u8]) -> Vec<u8>; 1][..], &[zstd_told, zstd_streamed]] {
        for way in ways {
            let encoding = if way(b"x").starts_with(&[0x1f]) { Encoding::Gzip } else { Encoding::Zstd };
            assert_eq!(run(encoding, &[way(&a), way(&b), way(&a)].concat(), LIMIT).0, Ok(joined.clone()));
            // Two equal members have equal trailers.
            assert_eq!(run(encoding, &[way(&b), way(&b)].concat(), LIMIT).0, Ok([&b[..], &b[..]].concat()));
        }
    }
}

#[test]
fn one_byte_over_the_limit_is_too_large_and_the_limit_is_not() {
    for (encoding, body) in every_way(&text(5000)) {
        assert!(run(encoding, &body, 5000).0.is_ok());
        assert_eq!(run(encoding, &body, 4999).0, Err(InflateError::TooLarge));
    }
}

#[test]
fn bombs_ask_for_no_more_than_the_limit() {
    for (encoding, body) in every_way(&vec![0; 64 << 20]) {
        let (result, most) = run(encoding, &body, LIMIT);
        assert_eq!(result, Err(InflateError::TooLarge), "{encoding:?}");
        assert!(most <= LIMIT);
    }
}

#[test]
fn cut_off_bodies_and_trailing_bytes_are_malformed() {
    for (encoding, body) in every_way(&text(3000)) {
        for end in [0, 1, 4, 9, body.len() / 2, body.len() - 9, body.len() - 1] {
            let result = run(encoding, &body[..end], LIMIT).0;
            assert!(matches!(result, Err(InflateError::Malformed(..))), "{encoding:?} cut at {end}: {result:?}");
        }
        let junk = [&body[..], b"junk at the end of it all"].concat();
        assert!(matches!(run(encoding, &junk, LIMIT).0, Err(InflateError::Malformed(..))), "{encoding:?}");
    }
    let mut broken = gzip(&text(3000));
    let at = broken.len() - 6;
    broken[at] ^= 1;
    assert!(matches!(run(Encoding::Gzip, &broken, LIMIT).0, Err(InflateError::Malformed(..))));
}

#[test]
fn a_huge_window_is_refused() {
    let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&text(100)).unwrap();
    encoder.flush().unwrap();
    let body = encoder.finish().unwrap();
    assert!(matches!(run(Encoding::Zstd, &body, LIMIT).0, Err(InflateError::Malformed(..))));
    // The thread's context is as good as new after a failure.
    assert_eq!(run(Encoding::Zstd, &zstd_streamed(b"after"), LIMIT).0, Ok(b"after".to_vec()));
}

#[test]
fn without_room_nothing_is_inflated() {
    for (encoding, body) in every_way(&text(5000)) {
        let mut never = |_: usize| Err(Full::Tenant);
        let result = inflate(encoding, &body, &mut Room { limit: LIMIT, ask: &mut never });
        assert_eq!(result, Err(InflateError::NoRoom(Full::Tenant)));
    }
}

#[test]
fn encodings_are_known_by_name_and_nothing_else_is() {
    assert_eq!(Encoding::named(b" GZip "), Some(Encoding::Gzip));
    assert_eq!(Encoding::named(b"identity"), Some(Encoding::Identity));
    assert_eq!(Encoding::named(b"zstd"), Some(Encoding::Zstd));
    for unknown in [&b"br"[..], b"deflate", b"gzip, gzip", b"\xff"] {
        assert_eq!(Encoding::named(unknown), None);
    }
}
