//! What spans came under: request, resource and scope, each kept once however many spans share it, and let go of with the last of them.

use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::RandomState;
use otlp::batch::RequestContext;

use super::shared::Shared;

/// A scope of a resource of a request's context. The bytes are whole fields, as [`otlp::encode::parted`] writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) context: Arc<RequestContext>,
    /// What its `ResourceSpans` holds beside scopes; of one shard, the same bytes are at the same place.
    pub(super) resource: Arc<[u8]>,
    /// What its `ScopeSpans` holds beside spans.
    pub(super) scope: Arc<[u8]>,
}

/// All that spans of one shard came under.
#[derive(Debug, Default)]
pub(super) struct Envelopes {
    /// Each with the number of its resource.
    scopes: Shared<(Arc<Envelope>, u32)>,
    resources: Shared<Arc<[u8]>>,
    hasher: RandomState,
}

impl Envelope {
    /// How many bytes it adds to a body of which it is not part yet, at most.
    pub(super) fn bytes(&self) -> usize {
        self.resource.len() + self.scope.len()
    }
}

impl Envelopes {
    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.scopes.bytes() + self.resources.bytes()
    }

    /// What an envelope takes, its own bytes, its context and its resource apart.
    pub(super) const UPKEEP: usize = 256;

    /// Finds a resource, or makes it. It has one user more.
    pub(super) fn enter_resource(&mut self, resource: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(resource);
        self.resources.enter(hash, |known| **known == *resource, || (resource.into(), resource.len()))
    }

    pub(super) fn leave_resource(&mut self, resource: u32) {
        self.resources.leave(resource);
    }

    /// Finds an envelope, or makes it, of a resource that has a user. It has one user more.
    pub(super) fn enter(&mut self, context: &Arc<RequestContext>, resource: u32, scope: &[u8]) -> u32 {
        let hash = self.hasher.hash_one((&context.tenant, &context.peer, resource, scope));
        let is_it = |(known, of): &(Arc<Envelope>, u32)| {
            *of == resource && *known.scope == *scope && *known.context == **context
        };
        let resources = &mut self.resources;
        self.scopes.enter(hash, is_it, || {
            resources.share(resource);
            let fields = Arc::clone(resources.get(resource));
            let envelope = Envelope { context: Arc::clone(context), resource: fields, scope: scope.into() };
            ((Arc::new(envelope), resource), scope.len() + Self::UPKEEP + size_of_context(context))
        })
    }

    /// One user more.
    pub(super) fn share(&mut self, envelope: u32) {
        self.scopes.share(envelope);
    }

    /// One user less.
    pub(super) fn leave(&mut self, envelope: u32) {
        if let Some((_, resource)) = self.scopes.leave(envelope) {
            self.resources.leave(resource);
        }
    }

    /// What an envelope says.
    pub(super) fn get(&self, envelope: u32) -> &Arc<Envelope> {
        &self.scopes.get(envelope).0
    }
}

fn size_of_context(context: &RequestContext) -> usize {
    let headers: usize = context.headers.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    size_of::<RequestContext>()
        + context.tenant.as_ref().map_or(0, |tenant| tenant.len())
        + context.peer.len()
        + headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(tenant: &str) -> Arc<RequestContext> {
        Arc::new(RequestContext { tenant: Some(tenant.into()), ..RequestContext::default() })
    }

    #[test]
    fn spans_under_the_same_share_it_whoever_brought_them() {
        let mut envelopes = Envelopes::default();
        let mut enter = |tenant: &str, resource: &[u8], scope: &[u8]| {
            let number = envelopes.enter_resource(resource);
            let envelope = envelopes.enter(&context(tenant), number, scope);
            envelopes.leave_resource(number);
            envelope
        };
        let one = enter("a", b"resource", b"scope");
        let same = enter("a", b"resource", b"scope");
        let others =
            [enter("b", b"resource", b"scope"), enter("a", b"resourc", b"escope"), enter("a", b"resource", b"")];
        assert_eq!(one, same);
        assert!(!others.contains(&one));
        let full = envelopes.bytes();
        envelopes.leave(same);
        assert_eq!(envelopes.bytes(), full);
        assert_eq!(&*envelopes.get(one).resource, b"resource");
        envelopes.leave(one);
        assert!(envelopes.bytes() < full);
        for envelope in others {
            envelopes.leave(envelope);
        }
        assert_eq!((envelopes.scopes.values().count(), envelopes.resources.values().count()), (0, 0));
    }

    #[test]
    fn a_large_resource_is_there_once_however_many_scopes_it_has() {
        let mut envelopes = Envelopes::default();
        let resource = envelopes.enter_resource(&vec![7; 1 << 20]);
        for scope in 0..1000_u32 {
            envelopes.enter(&context("a"), resource, &scope.to_le_bytes());
        }
        assert!(envelopes.bytes() < (1 << 20) + 1000 * 1024, "{}", envelopes.bytes());
    }
}
