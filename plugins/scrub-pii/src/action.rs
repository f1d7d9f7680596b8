//! What is done with a hit: the text that stands in its place.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

/// What is done with what a detector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing: the detector is off.
    Off,
    /// `[email]` stands in its place.
    Redact,
    /// Its letters and digits become `*`; the last four of a card, an IBAN or a phone number stay.
    Mask,
    /// A keyed hash stands in its place, so that equal values stay equal: `[email:3f2a…]`, 64 bits of HMAC-SHA-256.
    Hash,
    /// The whole value goes: an attribute is removed, a field emptied.
    Remove,
}

/// Makes the texts that stand in the place of hits.
#[derive(Clone)]
pub struct Replacer {
    /// With the operator's key; only asked for where an action is `hash`.
    hmac: Hmac<Sha256>,
}

impl Replacer {
    /// With this key.
    #[must_use]
    pub fn new(key: &str) -> Self {
        let hmac =
            Hmac::new_from_slice(key.as_bytes()).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        Self { hmac }
    }

    /// Appends what stands in the place of `found`.
    pub fn put(&self, action: Action, name: &str, found: &[u8], out: &mut Vec<u8>) {
        match action {
            Action::Off => out.extend_from_slice(found),
            Action::Redact => {
                out.push(b'[');
                out.extend_from_slice(name.as_bytes());
                out.push(b']');
            }
            Action::Mask => mask(found, matches!(name, "card" | "iban" | "phone"), out),
            Action::Hash => {
                let mut hmac = self.hmac.clone();
                hmac.update(found);
                let digest = hmac.finalize().into_bytes();
                out.push(b'[');
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                for byte in &digest[..8] {
                    out.push(HEX[usize::from(byte >> 4)]);
                    out.push(HEX[usize::from(byte & 15)]);
                }
                out.push(b']');
            }
            Action::Remove => {}
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn mask(found: &[u8], keeps_tail: bool, out: &mut Vec<u8>) {
    let mut left = found.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
    for &byte in found {
        let shown = !byte.is_ascii_alphanumeric() && byte < 0x80;
        let tail = byte.is_ascii_alphanumeric() && {
            left -= 1;
            keeps_tail && left < 4
        };
        if shown || tail {
            out.push(byte);
        } else if !(0x80..0xc0).contains(&byte) {
            // One star for a character, however many bytes it has.
            out.push(b'*');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(action: Action, name: &str, found: &str) -> String {
        let mut out = Vec::new();
        Replacer::new("key").put(action, name, found.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_action_leaves_what_it_says() {
        assert_eq!(replaced(Action::Redact, "email", "a@b.de"), "[email]");
        assert_eq!(replaced(Action::Mask, "email", "jörg@b.de"), "****@*.**");
        assert_eq!(replaced(Action::Mask, "card", "4111 1111 1111 1111"), "**** **** **** 1111");
        assert_eq!(replaced(Action::Remove, "email", "a@b.de"), "");
        assert_eq!(replaced(Action::Off, "email", "a@b.de"), "a@b.de");
    }

    #[test]
    fn hashes_are_equal_for_equal_values_and_keyed() {
        let hash = |key: &str, found: &str| {
            let mut out = Vec::new();
            Replacer::new(key).put(Action::Hash, "email", found.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(hash("k", "a@b.de"), hash("k", "a@b.de"));
        assert_ne!(hash("k", "a@b.de"), hash("k2", "a@b.de"));
        assert_ne!(hash("k", "a@b.de"), hash("k", "b@b.de"));
        // RFC 4231, test case 2: the first 64 bits.
        assert_eq!(hash("Jefe", "what do ya want for nothing?"), "[email:5bdcc146bf60754e]");
    }
}
