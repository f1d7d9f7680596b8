//! From the places that the sieve leaves to hits: asks the detectors that a place's byte calls for.

use std::ops::Range;

use super::sieve::{Leads, Sieve};
use super::{Hit, Kind, Kinds, email, iban, ip, is_word, number, secret, url};

/// Finds everything in `text` that the kinds in `on` find by its form, and appends it to `hits`, in the order of where it was found.
/// Hits may overlap. SQL, query strings, patterns and keys are not found here: they depend on the place.
pub fn scan(text: &[u8], on: Kinds, hits: &mut Vec<Hit>) {
    scan_within(text, 0..text.len(), &mut Sieve::new(on).over(text), on, hits);
}

/// As [`scan`], of one text in a run of texts that a sieve goes over; takes the sieve's places up to the text's end.
pub fn scan_within(data: &[u8], range: Range<usize>, places: &mut Leads<'_>, on: Kinds, hits: &mut Vec<Hit>) {
    let begin = range.start;
    let end = range.end;
    let mut look = Look { text: &data[range], on, hits, no_jwt: 0 };
    // Past what was found nothing begins inside of it.
    let mut at = begin;
    while let Some(place) = places.before(end) {
        if place >= at {
            at = begin + look.at(place - begin).unwrap_or(0);
        }
    }
}

/// One text, and what was found in it.
struct Look<'l> {
    text: &'l [u8],
    on: Kinds,
    hits: &'l mut Vec<Hit>,
    /// Up to here no JSON Web Token begins, so that a text of nothing but beginnings is not read once for each.
    no_jwt: usize,
}

/// The range of something found.
type Found = Option<(usize, usize)>;

impl Look<'_> {
    /// Notes what a detector finds, if it is on, and says where that ends. A detector that is off is not asked.
    fn ask(&mut self, kind: Kind, detect: impl FnOnce(&[u8]) -> Found) -> Option<usize> {
        let (start, end) = if self.on.has(kind) { detect(self.text)? } else { return None };
        self.hits.push(Hit { start, end, kind });
        Some(end)
    }

    /// Looks for what may begin or be found at a byte. Most things begin only where a word does.
    fn at(&mut self, at: usize) -> Option<usize> {
        let in_word = at > 0 && is_word(self.text[at - 1]);
        let whole = |end: Option<usize>| end.map(|end| (at, end));
        match self.text[at] {
            b'@' => self.at_sign(at),
            b':' if self.text[at..].starts_with(b"://") => self.ask(Kind::UrlPassword, |text| url::password(text, at)),
            b':' => self.ask(Kind::Ipv6, |text| v6_around(text, at)).or_else(|| self.credential(secret::assigned, at)),
            b'=' => self.credential(secret::assigned, at),
            b'(' => self.ask(Kind::Phone, |text| whole(number::north_american(text, at))),
            _ if in_word => None,
            b'+' => self.ask(Kind::Phone, |text| whole(number::international(text, at))),
            b'0'..=b'9' => self.number(at),
            byte => match byte {
                b'e' => self.jwt(at),
                // The scheme stays, so that readers see what was there.
                b'B' | b'b' => self.credential(secret::authorization, at),
                _ => self.ask(Kind::Token, |text| whole(secret::issued(text, at))),
            }
            .or_else(|| {
                let capital = byte.is_ascii_uppercase();
                if capital { self.ask(Kind::Iban, |text| whole(iban::at(text, at))) } else { None }
            }),
        }
    }

    fn at_sign(&mut self, at: usize) -> Option<usize> {
        // In `://user:password@host` the sign parts the password from the host.
        let near = at.saturating_sub(url::LONGEST_AUTHORITY + 1);
        let slash = self.text[near..at].iter().rposition(|&byte| byte == b'/').map(|slash| near + slash);
        if slash.is_some_and(|slash| is_authority(self.text, slash, at)) {
            return None;
        }
        self.ask(Kind::Email, |text| email::around(text, at))
    }

    fn jwt(&mut self, at: usize) -> Option<usize> {
        if at < self.no_jwt || !self.on.has(Kind::Jwt) {
            return None;
        }
        match secret::jwt_from(self.text, at) {
            Ok(end) => self.ask(Kind::Jwt, |_| Some((at, end))),
            Err(end) => {
                self.no_jwt = end;
                None
            }
        }
    }

    fn number(&mut self, at: usize) -> Option<usize> {
        let after_dot = at > 1 && b".-".contains(&self.text[at - 1]) && is_word(self.text[at - 2]);
        if after_dot {
            return None;
        }
        let whole = |end: Option<usize>| end.map(|end| (at, end));
        self.ask(Kind::Card, |text| whole(number::card(text, at)))
            .or_else(|| self.ask(Kind::Ipv4, |text| whole(ip::v4(text, at))))
            .or_else(|| self.ask(Kind::Phone, |text| whole(number::north_american(text, at))))
    }

    /// A credential by its place: a JSON Web Token if it is one.
    fn credential(&mut self, detect: impl FnOnce(&[u8], usize) -> Found, at: usize) -> Option<usize> {
        if !self.on.has(Kind::Token) && !self.on.has(Kind::Jwt) {
            return None;
        }
        let (start, end) = detect(self.text, at)?;
        self.ask(Kind::Jwt, |text| (secret::jwt(text, start) == Some(end)).then_some((start, end)))
            .or_else(|| self.ask(Kind::Token, |_| Some((start, end))))
    }
}

/// Whether `://` ends at `slash` and credentials with a password stand between it and the sign at `at`.
fn is_authority(text: &[u8], slash: usize, at: usize) -> bool {
    text[..=slash].ends_with(b"://") && url::password(text, slash - 2).is_some_and(|(_, end)| end >= at)
}

/// An IPv6 address around the colon at `at`, the first of its run.
fn v6_around(text: &[u8], at: usize) -> Found {
    let before = text[..at].iter().rev().take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let start = at - before;
    let boundary = start.checked_sub(1).is_none_or(|i| !is_word(text[i]) && text[i] != b':' && text[i] != b'.');
    (boundary && (before > 0 || text.get(at + 1) == Some(&b':')))
        .then(|| ip::v6(text, start).map(|end| (start, end)))?
}

#[cfg(test)]
mod tests;
