//! What spans came with, and who waits until all of it is settled: delivered or dropped. A span that is let go of before, is not settled.

use std::sync::Arc;

use super::shared::Shared;
use super::slab::NONE;

/// Hears when everything that came with one batch is settled: when the last clone of it is dropped.
pub type Origin = Arc<dyn Send + Sync>;

/// Those of one shard. Spans of which nobody waits for the end have [`NONE`].
#[derive(Default)]
pub(super) struct Origins(Shared<Origin>);

impl std::fmt::Debug for Origins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origins").finish_non_exhaustive()
    }
}

impl Origins {
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// A batch's, for the first of its spans.
    pub(super) fn enter(&mut self, origin: Option<&Origin>) -> u32 {
        let Some(origin) = origin else { return NONE };
        let address = Arc::as_ptr(origin).cast::<()>();
        let is_it = |known: &Origin| Arc::as_ptr(known).cast::<()>() == address;
        self.0.enter(address as usize as u64, is_it, || (Arc::clone(origin), 0))
    }

    /// For another of its spans.
    pub(super) fn share(&mut self, origin: u32) {
        if origin != NONE {
            self.0.share(origin);
        }
    }

    pub(super) fn get(&self, origin: u32) -> Option<&Origin> {
        (origin != NONE).then(|| self.0.get(origin))
    }

    pub(super) fn leave(&mut self, origin: u32) {
        if origin != NONE {
            self.0.leave(origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    struct Settled(Arc<AtomicU32>);

    impl Drop for Settled {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn it_is_settled_with_its_last_span() {
        let settled = Arc::new(AtomicU32::new(0));
        let origin: Origin = Arc::new(Settled(settled.clone()));
        let mut origins = Origins::default();
        let number = origins.enter(Some(&origin));
        origins.share(number);
        drop(origin);
        let held = origins.get(number).cloned();
        origins.leave(number);
        origins.leave(number);
        assert_eq!(settled.load(Ordering::Relaxed), 0, "what is on its way is not settled");
        drop(held);
        assert_eq!(settled.load(Ordering::Relaxed), 1);
        assert_eq!(origins.enter(None), NONE);
    }
}
