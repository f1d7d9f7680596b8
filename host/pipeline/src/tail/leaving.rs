//! Spans of kept traces between the shard, which has let go of them, and the queues.

use std::sync::Arc;

use super::chunk::Piece;
use super::envelope::Envelope;
use super::origin::Origin;
use super::verdict::Verdict;

/// What leaves at once.
#[derive(Default)]
pub(super) struct Leaving {
    pub(super) traces: Vec<LeavingTrace>,
    /// The bytes of those pieces that were at hand.
    pub(super) arena: Vec<u8>,
    /// Of all spans.
    pub(super) bytes: usize,
    /// Settled once the spans are delivered.
    pub(super) origins: Vec<Origin>,
}

/// Spans of one trace.
pub(super) struct LeavingTrace {
    pub(super) verdict: Arc<Verdict>,
    pub(super) spans: Vec<(Arc<Envelope>, Piece)>,
}

impl Leaving {
    /// Spans of this origin are among them.
    pub(super) fn note_origin(&mut self, origin: &Origin) {
        // Spans of one batch mostly come one after the other.
        if self.origins.last().is_none_or(|last| !Arc::ptr_eq(last, origin)) {
            self.origins.push(Arc::clone(origin));
        }
    }
}
