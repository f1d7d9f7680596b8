//! A batch that has passed the chain and has yet to reach the disks, those of the queues or that of the trace buffer: its answers, and what is counted of
//! it, wait for that.

use super::metrics::Metrics;
use super::tally::{Rows, Tally};
use crate::export::Commit;
use crate::request::Refusal;
use crate::spanmetrics::Measured;
use crate::tail::Logging;

/// What is left to do for a batch. Dropped, the batch was never admitted.
#[must_use = "it has to be finished"]
pub(super) struct Pending {
    work: Work,
    rows: Rows,
    pub(super) tally: Tally,
    measured: Measured,
}

/// What is to be done.
enum Work {
    Commit(Commit),
    Log(Logging),
}

impl Pending {
    /// Of the queues.
    pub(super) fn commit(commit: Commit, rows: Rows, measured: Measured) -> Self {
        Self { work: Work::Commit(commit), rows, tally: Tally::default(), measured }
    }

    /// Of the trace buffer.
    pub(super) fn log(logging: Logging, rows: Rows, measured: Measured) -> Self {
        Self { work: Work::Log(logging), rows, tally: Tally::default(), measured }
    }

    /// Begins; `then` hears what became of it, on some thread that must not be kept for long.
    pub(super) fn finish(self, metrics: &Metrics, then: impl FnOnce(Result<(), Refusal>) + Send + 'static) {
        let Self { work, rows, tally, measured } = self;
        let metrics = metrics.clone();
        let is_held = matches!(work, Work::Log(_));
        let counted = move |outcome: Result<(), Refusal>| {
            match &outcome {
                Ok(()) => {
                    measured.record();
                    if is_held {
                        tally.count_held(rows, &metrics);
                    } else {
                        tally.count_admitted(rows, &metrics);
                    }
                }
                Err(_) => Tally::count_refused(rows, if is_held { "tail_full" } else { "queue_full" }, &metrics),
            }
            then(outcome);
        };
        match work {
            Work::Commit(commit) => commit.start(Box::new(counted)),
            Work::Log(logging) => logging.start(Box::new(counted)),
        }
    }
}
