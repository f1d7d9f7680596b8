//! Spans of kept traces between the shard, which has let go of them, and the queues.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;

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
    /// Of all spans, and of what they came under.
    pub(super) bytes: usize,
    /// By their addresses: as long as spans are here no other has them.
    envelopes: HashSet<usize, RandomState>,
    last: usize,
    /// Settled once the spans are delivered.
    pub(super) origins: Vec<Origin>,
}

/// Spans of one trace.
pub(super) struct LeavingTrace {
    pub(super) verdict: Arc<Verdict>,
    pub(super) spans: Vec<(Arc<Envelope>, Piece)>,
}

impl Leaving {
    /// A span of this envelope is among them.
    pub(super) fn note_envelope(&mut self, envelope: &Arc<Envelope>) {
        let address = Arc::as_ptr(envelope).addr();
        // Spans of one request mostly come one after the other.
        if self.last != address && self.envelopes.insert(address) {
            self.bytes += envelope.bytes();
        }
        self.last = address;
    }

    /// Spans of this origin are among them.
    pub(super) fn note_origin(&mut self, origin: &Origin) {
        // Spans of one batch mostly come one after the other.
        if self.origins.last().is_none_or(|last| !Arc::ptr_eq(last, origin)) {
            self.origins.push(Arc::clone(origin));
        }
    }
}
