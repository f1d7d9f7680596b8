//! How large a destination's requests may be: as configured, or less where its back end has refused some as too large. Cuts
//! what is larger.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::queue::{Batch, Parts};

/// No back end means less than that. One that says so refuses something else, and does not make all requests smaller for good.
const LEAST: usize = 64 << 10;

/// What is known of a back end's limit.
#[derive(Debug)]
pub(super) struct Sizes(AtomicUsize);

impl Sizes {
    /// As it is configured.
    pub fn new(limit: usize) -> Self {
        Self(AtomicUsize::new(limit))
    }

    /// From how many bytes on a request is cut before it is sent.
    pub fn limit(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// The back end has refused a request of so many bytes. Answers the new limit if that is news.
    pub fn refused(&self, bytes: usize) -> Option<usize> {
        let most = (bytes / 2).max(LEAST);
        (self.0.fetch_min(most, Ordering::Relaxed) > most).then_some(most)
    }
}

/// What is still to be sent of a batch.
pub(super) enum Work {
    /// Some of its parcels, whole.
    Batch(Batch),
    /// One parcel, in parts that are small enough.
    Parts(Box<Parts>),
}

/// Makes less of a batch: halves of its parcels, or parts of the only one, of `limit` bytes or of a span that has at most `most`.
/// The first goes to the end.
pub(super) fn cut(mut batch: Batch, limit: usize, most: usize, left: &mut Vec<Work>) {
    match batch.halve() {
        Some(second) => left.extend([Work::Batch(second), Work::Batch(batch)]),
        None => left.push(Work::Parts(Box::new(batch.in_parts(limit.max(1), most)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_lowered_by_what_is_refused_but_never_to_nothing() {
        let sizes = Sizes::new(4 << 20);
        assert_eq!(sizes.refused(3 << 20), Some(3 << 19));
        assert_eq!(sizes.refused(3 << 20), None, "known already");
        assert_eq!(sizes.limit(), 3 << 19);
        assert_eq!(sizes.refused(100), Some(LEAST));
        assert_eq!((sizes.refused(100), sizes.limit()), (None, LEAST));
        let small = Sizes::new(5000);
        assert_eq!((small.refused(4000), small.limit()), (None, 5000));
    }
}
