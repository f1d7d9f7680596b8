//! What spans came under: request, resource and scope, each kept once however many spans share it, and let go of with the last of them.

use std::hash::{BuildHasher as _, Hash as _, Hasher as _};
use std::sync::Arc;

use foldhash::fast::RandomState;
use otlp::batch::RequestContext;

use super::shared::Shared;

/// A scope of a resource of a request's context. The bytes are whole fields, as [`otlp::encode::parted`] writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) context: Arc<RequestContext>,
    /// What its `ResourceSpans` holds beside scopes.
    pub(super) resource: Arc<[u8]>,
    /// What its `ScopeSpans` holds beside spans.
    pub(super) scope: Arc<[u8]>,
}

/// All that spans of one shard came under.
#[derive(Debug, Default)]
pub(super) struct Envelopes {
    shared: Shared<Arc<Envelope>>,
    hasher: RandomState,
}

impl Envelopes {
    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.shared.bytes()
    }

    /// Finds an envelope, or makes it. It has one user more.
    pub(super) fn enter(&mut self, context: &Arc<RequestContext>, resource: &[u8], scope: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        (&context.tenant, &context.peer, resource, scope).hash(&mut hasher);
        let is_it = |known: &Arc<Envelope>| {
            *known.scope == *scope && *known.resource == *resource && *known.context == **context
        };
        self.shared.enter(hasher.finish(), is_it, || {
            let envelope = Envelope { context: Arc::clone(context), resource: resource.into(), scope: scope.into() };
            (Arc::new(envelope), resource.len() + scope.len() + size_of::<Envelope>() + size_of_context(context))
        })
    }

    /// One user more.
    pub(super) fn share(&mut self, envelope: u32) {
        self.shared.share(envelope);
    }

    /// One user less.
    pub(super) fn leave(&mut self, envelope: u32) {
        self.shared.leave(envelope);
    }

    /// What an envelope says.
    pub(super) fn get(&self, envelope: u32) -> &Arc<Envelope> {
        self.shared.get(envelope)
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
        let one = envelopes.enter(&context("a"), b"resource", b"scope");
        let same = envelopes.enter(&context("a"), b"resource", b"scope");
        let others = [
            envelopes.enter(&context("b"), b"resource", b"scope"),
            envelopes.enter(&context("a"), b"resourc", b"escope"),
            envelopes.enter(&context("a"), b"resource", b""),
        ];
        assert_eq!(one, same);
        assert!(!others.contains(&one));
        let full = envelopes.bytes();
        envelopes.leave(same);
        assert_eq!(envelopes.bytes(), full);
        assert_eq!(&*envelopes.get(one).resource, b"resource");
        envelopes.leave(one);
        assert!(envelopes.bytes() < full);
    }
}
