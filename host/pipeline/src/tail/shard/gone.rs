//! Traces that are another's to decide: all that is here of them comes again there ([`Custody::is_gone`](crate::custody::Custody::is_gone)).

use super::{NONE, Shard, State, Trace};

impl Shard {
    /// Lets go of all that waits of which nothing is this process's any more, as if it had never come: it need not be decided, and if it comes again here
    /// after all, nothing of it is there twice. Answers how many spans that were.
    pub(in super::super) fn hand_over(&mut self) -> u64 {
        // Mostly there is no such thing, and origins are far fewer than spans.
        if !self.origins.have_newly_gone() {
            return 0;
        }
        let waits = |(slot, trace): (u32, &Trace)| (trace.state == State::Waiting).then_some(slot);
        let waiting: Vec<u32> = self.traces.iter().filter_map(waits).filter(|slot| self.has_gone(*slot)).collect();
        waiting.into_iter().map(|slot| self.forsake(slot)).sum()
    }

    /// Whether such a thing may come to be.
    pub(in super::super) fn may_be_handed_over(&self) -> bool {
        self.origins.may_go()
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
