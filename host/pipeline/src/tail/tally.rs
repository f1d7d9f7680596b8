//! What the decisions of a turn add up to: labels are looked up once for each kind of decision, not for each of some thousand traces.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use super::metrics::{DROP, DecisionLabels, DueLabel, KEEP};
use super::outbox::Ledger;
use super::verdict::{Fate, Verdict};
use crate::chain::metrics::DropLabels;
use crate::chain::sampler::Due;

/// So many kinds are looked through before another is begun: with a probability for each trace there may be many.
const SOME_KINDS: usize = 16;

/// The decisions of one turn.
#[derive(Debug)]
pub(super) struct Tally {
    /// How long traces have waited, by why they were due.
    waits: [Histogram; Due::ALL.len()],
    kinds: Vec<Kind>,
}

/// Decisions that are counted under the same labels.
#[derive(Debug)]
struct Kind {
    verdict: Arc<Verdict>,
    due: Due,
    traces: u64,
    dropped: u64,
}

impl Tally {
    pub(super) fn new(ledger: &Ledger) -> Self {
        let waits = Due::ALL.map(|due| ledger.tail.waits.get_or_create(&DueLabel { due: due.label() }).clone());
        Self { waits, kinds: Vec::new() }
    }

    /// A trace was decided; so many of its spans were dropped.
    pub(super) fn add(&mut self, verdict: &Arc<Verdict>, due: Due, waited: Duration, dropped: u64) {
        self.waits[due as usize].observe(waited.as_secs_f64());
        let is_it = |kind: &&mut Kind| kind.due == due && Arc::ptr_eq(&kind.verdict, verdict);
        if let Some(kind) = self.kinds.iter_mut().rev().take(SOME_KINDS).find(is_it) {
            kind.traces += 1;
            kind.dropped += dropped;
        } else {
            self.kinds.push(Kind { verdict: Arc::clone(verdict), due, traces: 1, dropped });
        }
    }

    /// Counts them.
    pub(super) fn settle(&mut self, ledger: &Ledger) {
        for Kind { verdict, due, traces, dropped } in self.kinds.drain(..) {
            let Verdict { plugin, reason, fate } = &*verdict;
            let label = if matches!(fate, Fate::Drop) { DROP } else { KEEP };
            let labels = DecisionLabels { plugin: Arc::clone(plugin), decision: label.decision, due: due.label() };
            ledger.tail.decisions.get_or_create(&labels).inc_by(traces);
            if dropped > 0 {
                let labels = DropLabels { plugin: Arc::clone(plugin), reason: Arc::clone(reason) };
                ledger.dropped(&labels, dropped);
            }
        }
    }
}
