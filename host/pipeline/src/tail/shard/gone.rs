//! Traces that are another's to decide: all that is here of them comes again there ([`Custody::is_gone`](crate::custody::Custody::is_gone)).

use super::{Candidate, NONE, Shard, Trace};

impl Shard {
    /// Lets go of candidates of which nothing is this process's any more, as if they had never come. Answers how many spans that were.
    pub(in super::super) fn hand_over(&mut self, candidates: &mut Vec<Candidate>) -> u64 {
        // Mostly there is no such thing, and origins are far fewer than spans.
        if !self.origins.has_gone() {
            return 0;
        }
        let mut spans = 0;
        candidates.retain(|candidate| {
            let stays = !self.has_gone(candidate.slot);
            if !stays {
                spans += self.forsake(candidate.slot);
            }
            stays
        });
        spans
    }

    fn has_gone(&self, slot: u32) -> bool {
        let mut next = self.traces.get(slot).first;
        while next != NONE {
            let record = self.spans.get(next);
            if !self.origins.is_gone(record.origin) {
                return false;
            }
            next = record.next;
        }
        true
    }

    /// Nothing is remembered of it: if it comes again here after all, it is a new one.
    fn forsake(&mut self, slot: u32) -> u64 {
        let Trace { key, first, summary, .. } = *self.traces.get(slot);
        let mut next = first;
        while next != NONE {
            let record = self.spans.get(next);
            self.origins.fail(record.origin);
            next = record.next;
        }
        self.going.push(first);
        self.end(slot, self.hashing.of(key));
        u64::from(summary.spans)
    }
}
