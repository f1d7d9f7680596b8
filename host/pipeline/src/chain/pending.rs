//! A batch that has passed the chain and whose parcel has yet to reach the disks: its answers, and what is counted of it, wait for that.

use super::metrics::Metrics;
use super::tally::{Rows, Tally};
use crate::export::Commit;
use crate::request::Refusal;
use crate::spanmetrics::Measured;

/// What is left to do for a batch. Dropped, the batch was never admitted.
#[must_use = "it has to be finished"]
pub(super) struct Pending {
    commit: Commit,
    rows: Rows,
    pub(super) tally: Tally,
    measured: Measured,
}

impl Pending {
    pub(super) fn new(commit: Commit, rows: Rows, measured: Measured) -> Self {
        Self { commit, rows, tally: Tally::default(), measured }
    }

    /// Begins; `then` hears what became of it, on some thread that must not be kept for long.
    pub(super) fn finish(self, metrics: &Metrics, then: impl FnOnce(Result<(), Refusal>) + Send + 'static) {
        let Self { commit, rows, tally, measured } = self;
        let metrics = metrics.clone();
        commit.start(Box::new(move |outcome| {
            match &outcome {
                Ok(()) => {
                    measured.record();
                    tally.count_admitted(rows, &metrics);
                }
                Err(_) => Tally::count_refused(rows, "queue_full", &metrics),
            }
            then(outcome);
        }));
    }
}
