//! Secrets by their digest.

use sha2::{Digest as _, Sha256};

/// What a secret is known by.
pub(super) type Digest = [u8; 32];

/// Makes digests that nobody else can make: they differ from process to process.
pub(super) struct Key([u8; 32]);

impl Key {
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// Nobody sees a digest, so that none can be extended or compared with.
    pub fn digest(&self, secret: &[u8]) -> Digest {
        Sha256::new().chain_update(self.0).chain_update(secret).finalize().into()
    }
}
