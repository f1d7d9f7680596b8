//! What spans came with, and who waits until all of it is settled: delivered or dropped. What is left at the end is not settled: whoever sent it has
//! it still, or the disk does.

use std::cell::Cell;
use std::sync::Arc;

use super::shared::Shared;
use super::slab::NONE;
use crate::custody::Custody;

/// Who answers for the spans of one batch until all of them are settled.
pub type Origin = Arc<Custody>;

/// Those of one shard. Spans of which nobody waits for the end have [`NONE`].
#[derive(Debug, Default)]
pub(super) struct Origins(Shared<Known>);

#[derive(Debug)]
struct Known {
    origin: Origin,
    /// It was found to be another's before.
    has_gone: Cell<bool>,
}

impl Origins {
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// A batch's, for the first of its spans.
    pub(super) fn enter(&mut self, origin: Option<&Origin>) -> u32 {
        let Some(origin) = origin else { return NONE };
        let address = Arc::as_ptr(origin).addr() as u64;
        let make = || (Known { origin: Arc::clone(origin), has_gone: Cell::new(false) }, 0);
        self.0.enter(address, |known| Arc::ptr_eq(&known.origin, origin), make)
    }

    /// For another of its spans.
    pub(super) fn share(&mut self, origin: u32) {
        if origin != NONE {
            self.0.share(origin);
        }
    }

    pub(super) fn get(&self, origin: u32) -> Option<&Origin> {
        (origin != NONE).then(|| &self.0.get(origin).origin)
    }

    /// Whether the spans of one come again elsewhere since this was asked last, and need not be decided here.
    pub(super) fn have_newly_gone(&self) -> bool {
        let has_newly = |known: &Known| known.origin.is_gone() && !known.has_gone.replace(true);
        // All are looked at, so that each is news once.
        self.0.values().filter(|known| has_newly(known)).count() > 0
    }

    /// Whether that may become so. Those of one shard are of one kind mostly.
    pub(super) fn may_go(&self) -> bool {
        self.0.values().next().is_some_and(|known| known.origin.may_go())
    }

    /// Spans are let go of because they do.
    pub(super) fn fail(&self, origin: u32) {
        if let Some(origin) = self.get(origin) {
            origin.fail();
        }
    }

    /// Whether those of this one do.
    pub(super) fn is_gone(&self, origin: u32) -> bool {
        self.get(origin).is_some_and(|origin| origin.is_gone())
    }

    pub(super) fn leave(&mut self, origin: u32) {
        if origin != NONE {
            self.0.leave(origin);
        }
    }
}

impl Drop for Origins {
    fn drop(&mut self) {
        self.0.values().for_each(|known| known.origin.fail());
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::custody::Fate;

    #[test]
    fn it_is_settled_with_its_last_span() {
        let ends = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&ends);
        let origin = Custody::new(move |fate| told.lock().push(fate));
        let mut origins = Origins::default();
        let number = origins.enter(Some(&origin));
        origins.share(number);
        drop(origin);
        let held = origins.get(number).cloned();
        origins.leave(number);
        origins.leave(number);
        assert_eq!(*ends.lock(), [], "what is on its way is not settled");
        drop(held);
        assert_eq!(*ends.lock(), [Fate::Settled]);
        assert_eq!(origins.enter(None), NONE);
        let told = Arc::clone(&ends);
        origins.enter(Some(&Custody::new(move |fate| told.lock().push(fate))));
        drop(origins);
        assert_eq!(*ends.lock(), [Fate::Settled, Fate::Failed], "what is left is not");
    }
}
