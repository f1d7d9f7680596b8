//! One walk over a text, that asks a detector only where its first bytes could stand.

use super::{Hit, Kind, Kinds, email, iban, ip, is_word, number, secret, url};

/// What a byte may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    /// Nothing, and no part of a word.
    Gap,
    /// Part of a word that may only begin something at the word's start.
    Letter,
    Digit,
    At,
    Colon,
    Equals,
    Plus,
    Paren,
}

const CLASSES: [Class; 256] = {
    let mut table = [Class::Gap; 256];
    let mut byte = 0usize;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => Class::Digit,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => Class::Letter,
            b'@' => Class::At,
            b':' => Class::Colon,
            b'=' => Class::Equals,
            b'+' => Class::Plus,
            b'(' => Class::Paren,
            _ => Class::Gap,
        };
        byte += 1;
    }
    table
};

/// Finds everything in `text` that the kinds in `on` find by its form, and appends it to `hits`, in the order of where it was found.
/// Hits may overlap. SQL, query strings, patterns and keys are not found here: they depend on the place.
pub fn scan(text: &[u8], on: Kinds, hits: &mut Vec<Hit>) {
    let mut at = 0;
    // Whether a word goes on here: most things begin only where one begins.
    let mut in_word = false;
    while at < text.len() {
        let class = CLASSES[usize::from(text[at])];
        // A detector that is off is not asked.
        let mut found = |kind: Kind, look: &dyn Fn() -> Option<(usize, usize)>| {
            let (start, end) = if on.has(kind) { look()? } else { return None };
            hits.push(Hit { start, end, kind });
            Some(end)
        };
        let whole = |end: Option<usize>| end.map(|end| (at, end));
        let next = match class {
            Class::Gap => None,
            class if in_word && matches!(class, Class::Letter | Class::Digit | Class::Plus) => None,
            Class::Letter => word_start(text, at, &mut found),
            Class::Digit => {
                let after_dot = at > 0 && b".-".contains(&text[at - 1]) && at > 1 && is_word(text[at - 2]);
                let card = if after_dot { None } else { found(Kind::Card, &|| whole(number::card(text, at))) };
                card.or_else(|| if after_dot { None } else { found(Kind::Ipv4, &|| whole(ip::v4(text, at))) }).or_else(
                    || if after_dot { None } else { found(Kind::Phone, &|| whole(number::north_american(text, at))) },
                )
            }
            // In `://user:password@host` the sign parts the password from the host.
            Class::At
                if text[..at]
                    .iter()
                    .rposition(|&byte| byte == b'/')
                    .is_some_and(|slash| is_authority(text, slash, at)) =>
            {
                None
            }
            Class::At => found(Kind::Email, &|| email::around(text, at)),
            Class::Plus => found(Kind::Phone, &|| whole(number::international(text, at))),
            Class::Paren => found(Kind::Phone, &|| whole(number::north_american(text, at))),
            Class::Colon if text[at..].starts_with(b"://") => found(Kind::UrlPassword, &|| url::password(text, at)),
            Class::Colon => {
                let address = found(Kind::Ipv6, &|| v6_around(text, at));
                address.or_else(|| credential(text, secret::assigned(text, at), &mut found))
            }
            Class::Equals => credential(text, secret::assigned(text, at), &mut found),
        };
        match next {
            // Past what was found; a word cannot begin right behind it.
            Some(end) if end > at => {
                in_word = is_word(text[end - 1]);
                at = end;
            }
            _ => {
                in_word = matches!(class, Class::Letter | Class::Digit);
                at += 1;
            }
        }
    }
}

fn word_start(
    text: &[u8],
    at: usize,
    found: &mut impl FnMut(Kind, &dyn Fn() -> Option<(usize, usize)>) -> Option<usize>,
) -> Option<usize> {
    let whole = |end: Option<usize>| end.map(|end| (at, end));
    match text[at] {
        b'e' => found(Kind::Jwt, &|| whole(secret::jwt(text, at))),
        // The scheme stays, so that readers see what was there.
        b'B' | b'b' => credential(text, secret::authorization(text, at), found),
        byte => {
            let key =
                if secret::may_begin(byte) { found(Kind::Token, &|| whole(secret::issued(text, at))) } else { None };
            key.or_else(
                || if byte.is_ascii_uppercase() { found(Kind::Iban, &|| whole(iban::at(text, at))) } else { None },
            )
        }
    }
    .or_else(|| match text[at] {
        b'B' => found(Kind::Iban, &|| whole(iban::at(text, at))),
        _ => None,
    })
}

/// A credential by its place: a JSON Web Token if it is one.
fn credential(
    text: &[u8],
    range: Option<(usize, usize)>,
    found: &mut impl FnMut(Kind, &dyn Fn() -> Option<(usize, usize)>) -> Option<usize>,
) -> Option<usize> {
    let (start, end) = range?;
    let token = found(Kind::Jwt, &|| range.filter(|_| secret::jwt(text, start) == Some(end)));
    token.or_else(|| found(Kind::Token, &|| range))
}

/// Whether `://` ends at `slash` and credentials with a password stand between it and the sign at `at`.
fn is_authority(text: &[u8], slash: usize, at: usize) -> bool {
    text[..=slash].ends_with(b"://") && url::password(text, slash - 2).is_some_and(|(_, end)| end >= at)
}

/// An IPv6 address around the colon at `at`, the first of its run.
fn v6_around(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let before = text[..at].iter().rev().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let start = at - before;
    let boundary = start.checked_sub(1).is_none_or(|i| !is_word(text[i]) && text[i] != b':' && text[i] != b'.');
    (boundary && (before > 0 || text.get(at + 1) == Some(&b':')))
        .then(|| ip::v6(text, start).map(|end| (start, end)))?
}
