//! By what a trace is known: its tenant and its id.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use otlp::batch::{Batch, RequestContext, Span};
use sha2::{Digest as _, Sha256};

/// A trace's key. Two tenants may have traces of the same id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) tenant: u64,
    pub(super) id: [u8; 16],
}

/// Spreads keys over shards and tables. Senders choose ids, so that nobody may know beforehand where they go.
#[derive(Debug, Clone, Default)]
pub(super) struct Hashing(RandomState);

impl Hashing {
    pub(super) fn of(&self, key: Key) -> u64 {
        self.0.hash_one(key)
    }
}

impl Key {
    /// How many bytes [`Key::to_bytes`] gives.
    pub(super) const BYTES: usize = 24;

    /// Of a span with valid ids, whose tenant is known.
    pub(super) fn of(batch: &Batch, span: &Span, tenant: u64) -> Option<Self> {
        Some(Self { tenant, id: batch.get(span.trace_id).try_into().ok()? })
    }

    /// For a file.
    pub(super) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.tenant.to_le_bytes());
        bytes[8..].copy_from_slice(&self.id);
        bytes
    }

    /// From a file.
    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let (tenant, id) = bytes.split_at(8);
        Self { tenant: u64::from_le_bytes(tenant.try_into().expect("8 bytes")), id: id.try_into().expect("16 bytes") }
    }
}

/// A tenant as a number, the same in every process.
pub(super) fn tenant(context: &RequestContext) -> u64 {
    let Some(name) = &context.tenant else { return 0 };
    let digest = Sha256::digest(name.as_bytes());
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_differ_and_keys_go_through_files() {
        let of = |name: &str| tenant(&RequestContext { tenant: Some(name.into()), ..RequestContext::default() });
        assert_ne!(of("a"), of("b"));
        assert_eq!(tenant(&RequestContext::default()), 0);
        let key = Key { tenant: of("a"), id: *b"0123456789abcdef" };
        assert_eq!(Key::from_bytes(key.to_bytes()), key);
    }
}
