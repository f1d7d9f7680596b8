//! Who has signed a plugin: minisign signatures in files beside it, and the keys that the configuration trusts.
//!
//! A signature is about the WebAssembly alone. The sidecar is the operator's own word and is not signed.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{Error, PublicKey, Signature};
use serde::{Deserialize, Serialize};

/// A signature above this is none, and neither is what a file has beyond it a key.
const LARGEST: usize = 64 << 10;
/// Both kinds of keys and signatures begin with two bytes for the algorithm, and then have the key's number.
const ID: std::ops::Range<usize> = 2..10;

/// The number of a key, in minisign's writing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    id: KeyId,
    key: PublicKey,
}

/// The keys that may sign; none means that nobody has to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Arc<[Key]>);

/// A signature that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// By which key.
    pub by: Key,
    /// The comment that is signed too.
    pub comment: String,
}

/// A signature, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The number of the key.
    pub key: String,
    /// The comment that the signer has put under the signature too.
    pub trusted_comment: String,
}

// === impl Key ===

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl KeyId {
    fn of(base64: &str) -> Option<Self> {
        Some(Self(STANDARD.decode(base64).ok()?.get(ID)?.try_into().ok()?))
    }
}

impl Key {
    /// Reads a public key: its one line, or a whole `.pub` file. The error is for people.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let line = lines.find(|line| !line.starts_with("untrusted comment:")).unwrap_or_default();
        let wrong = "is no public key of minisign: write the second line of its .pub file, which begins with RW";
        let (key, id) = PublicKey::from_base64(line).ok().zip(KeyId::of(line)).ok_or(wrong)?;
        if lines.next().is_some() {
            return Err(wrong.to_owned());
        }
        Ok(Self { id, key })
    }

    /// Reads the file of a public key. The error is for people.
    pub fn of_file(file: &Path) -> Result<Self, String> {
        let unread = |error: std::io::Error| format!("cannot be read: {error}");
        let mut bytes = Vec::new();
        File::open(file).map_err(unread)?.take(LARGEST as u64).read_to_end(&mut bytes).map_err(unread)?;
        Self::read(&String::from_utf8_lossy(&bytes))
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }
}

// === impl Keys ===

impl FromIterator<Key> for Keys {
    fn from_iter<T: IntoIterator<Item = Key>>(keys: T) -> Self {
        let mut known: Vec<Key> = Vec::new();
        for key in keys {
            if !known.contains(&key) {
                known.push(key);
            }
        }
        Self(known.into())
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.0.iter().map(|key| key.id.to_string()).collect();
        f.write_str(&ids.join(", "))
    }
}

impl Keys {
    /// Whether plugins have to be signed.
    #[must_use]
    pub fn are_asked_for(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether what was signed like this, or not at all, may run.
    #[must_use]
    pub fn trust(&self, signed: Option<&Signed>) -> bool {
        !self.are_asked_for() || signed.is_some_and(|signed| self.0.contains(&signed.by))
    }

    /// Who of them has signed this content. `file` is the signature's. The error is for people.
    pub fn verify(&self, content: &[u8], file: &str, signature: &[u8]) -> Result<Signed, String> {
        let Parsed { id, signature } = Parsed::read(file, signature)?;
        let mut known = self.0.iter().filter(|key| key.id == id).peekable();
        if known.peek().is_none() {
            return Err(format!("{file} is by key {id}, and only {self} is trusted"));
        }
        // Older versions of minisign sign the content itself instead of its hash: as good, only slower.
        let fits = |key: &&Key| key.key.verify(content, &signature, true).is_ok();
        let by = known.find(fits).cloned().ok_or_else(|| {
            format!(
                "{file} is by key {id} and not about this content: one of the two was changed after signing, or belongs to another version"
            )
        })?;
        Ok(Signed { by, comment: comment(&signature) })
    }

    /// What to say of a plugin without a signature. `file` is where it would be.
    #[must_use]
    pub fn unsigned(&self, file: &str) -> String {
        let plugin = file.trim_end_matches(".minisig");
        format!("it is not signed: there is no {file}; `minisign -Sm {plugin}` makes it, with the secret key of {self}")
    }
}

impl Signed {
    /// For people.
    #[must_use]
    pub fn shown(&self) -> Shown {
        Shown { key: self.by.id.to_string(), trusted_comment: self.comment.clone() }
    }
}

/// What a signature says of itself. Nothing of it is verified. The error is for people.
pub fn claimed(file: &str, signature: &[u8]) -> Result<Shown, String> {
    let Parsed { id, signature } = Parsed::read(file, signature)?;
    Ok(Shown { key: id.to_string(), trusted_comment: comment(&signature) })
}

struct Parsed {
    id: KeyId,
    signature: Signature,
}

impl Parsed {
    fn read(file: &str, signature: &[u8]) -> Result<Self, String> {
        let wrong = |why: &str| format!("{file} is no signature of minisign: {why}");
        if signature.len() > LARGEST {
            return Err(wrong("it is too large"));
        }
        let text = std::str::from_utf8(signature).map_err(|_| wrong("it is not text"))?;
        let decoded = Signature::decode(text).map_err(|error| match error {
            Error::UnsupportedAlgorithm => wrong("its algorithm is unknown"),
            _ => wrong("it is damaged, or not complete"),
        })?;
        let id = text.lines().nth(1).and_then(KeyId::of).ok_or_else(|| wrong("it names no key"))?;
        Ok(Self { id, signature: decoded })
    }
}

/// Without what would move the cursor of whoever reads it.
fn comment(signature: &Signature) -> String {
    signature.trusted_comment().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
