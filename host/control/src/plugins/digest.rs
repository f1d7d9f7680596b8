//! Content hashes: what tells one version of a file from another.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a file's content.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes a content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// All of it, in hex.
    #[must_use]
    pub fn whole(&self) -> String {
        hex(&self.0)
    }

    /// The first twelve hex digits: what people see as the version.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&self.0[..6])
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_beginning_of_sha_256() {
        assert_eq!(Digest::of(b"abc").short(), "ba7816bf8f01");
    }
}
