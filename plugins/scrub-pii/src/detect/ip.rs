//! IP addresses. Loopback, unspecified and broadcast addresses name nobody and are left.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 address that begins at `at`, where no digit or dot stands before it: where it ends.
#[must_use]
pub fn v4(text: &[u8], at: usize) -> Option<usize> {
    let (mut octets, mut i) = ([0u8; 4], at);
    for (number, octet) in octets.iter_mut().enumerate() {
        if number > 0 {
            if text.get(i) != Some(&b'.') {
                return None;
            }
            i += 1;
        }
        let digits = text[i..].iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        let value = text[i..i + digits].iter().fold(0u32, |sum, byte| sum * 10 + u32::from(byte - b'0'));
        if !(1..=3).contains(&digits) || value > 255 || (digits > 1 && text[i] == b'0') {
            return None;
        }
        *octet = value as u8;
        i += digits;
    }
    let goes_on = match text.get(i) {
        None => false,
        // The end of a sentence is no further octet.
        Some(b'.') => text.get(i + 1).is_some_and(u8::is_ascii_alphanumeric),
        Some(b'-') => text.get(i + 1).is_some_and(u8::is_ascii_alphabetic),
        Some(&byte) => super::is_word(byte),
    };
    let address = Ipv4Addr::from(octets);
    let names_nobody = address.is_loopback() || address.is_unspecified() || address.is_broadcast() || octets[0] == 0;
    // `v1.2.3.4` and `agent/1.2.3.4` are versions; `//1.2.3.4` is a host.
    let version = match at.checked_sub(1).map(|before| text[before]) {
        Some(b'v' | b'V') => true,
        Some(b'/') => at >= 2 && text[at - 2].is_ascii_alphabetic() && is_product(text, at - 1),
        _ => false,
    };
    (!goes_on && !names_nobody && !version).then_some(i)
}

/// Whether the word before the slash at `slash` is a product of a user agent, `Chrome/`, and not a part of a path, `/proxy/`.
fn is_product(text: &[u8], slash: usize) -> bool {
    let word = text[..slash].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    matches!(slash.checked_sub(word + 1).map(|before| text[before]), None | Some(b' ' | b'(' | b';'))
}

/// An IPv6 address that begins at `at`, the start of a run of hexadecimal digits and colons: where it ends.
#[must_use]
pub fn v6(text: &[u8], at: usize) -> Option<usize> {
    let body = text[at..].iter().take(46).take_while(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte)).count();
    let mut end = at + body;
    // A sentence or a port's colon may end the run.
    while end > at && b".:".contains(&text[end - 1]) && !text[at..end].ends_with(b"::") {
        end -= 1;
    }
    if !super::ends_word(text, end) {
        return None;
    }
    let run = std::str::from_utf8(&text[at..end]).ok()?;
    let address = Ipv6Addr::from_str(run).ok()?;
    // Times, ratios and names of code (`a::b`) are written with the same characters: an address has digits, and groups enough.
    let groups = run.split(':').filter(|group| !group.is_empty()).count();
    let likely = run.bytes().any(|byte| byte.is_ascii_digit())
        && groups >= 2
        && run.split(':').next().is_some_and(|g| g.len() != 1);
    (likely && !address.is_loopback() && !address.is_unspecified()).then_some(end)
}
