//! What became of the rows of one batch, gathered while it runs and counted only when the batch is admitted: the spans of a
//! batch that is refused come back, and count as refused whatever happened to them on the way.

use std::fmt::Write as _;

use otlp::batch::Batch;

use super::metrics::{DropLabels, Metrics, ReasonLabel};
use crate::request::Accepted;

/// Why rows are refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The trace or span id has the wrong length or is all zero. Merged into a batch, one such span makes a back end refuse all.
    InvalidIds,
    /// A plugin whose `on_error` is `reject` failed on them.
    Plugin,
}

impl Rejection {
    fn label(self) -> &'static str {
        match self {
            Self::InvalidIds => "invalid_ids",
            Self::Plugin => "plugin_fault",
        }
    }
}

/// How many rows a batch has.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// As it came.
    pub all: u32,
    /// Neither dropped nor rejected.
    pub live: u32,
}

impl Rows {
    /// Of a batch as it is now.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        Self { all: batch.rows(), live: batch.live() }
    }
}

/// The fate of the rows of one batch.
#[derive(Debug, Default)]
pub struct Tally {
    dropped: Vec<(DropLabels, u64)>,
    rejected: Vec<Rejected>,
}

#[derive(Debug)]
struct Rejected {
    request: u32,
    why: Rejection,
    rows: u64,
    message: String,
}

impl Tally {
    /// Starts over.
    pub fn clear(&mut self) {
        self.dropped.clear();
        self.rejected.clear();
    }

    /// Notes rows that a plugin dropped.
    pub fn dropped(&mut self, labels: DropLabels, rows: u64) {
        match self.dropped.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, sum)) => *sum += rows,
            None => self.dropped.push((labels, rows)),
        }
    }

    /// Takes these rows out of the batch, to be reported to their senders as rejected.
    pub fn reject(&mut self, batch: &mut Batch, rows: &[u32], why: Rejection, message: &str) {
        for &row in rows {
            let span = &batch.spans()[row as usize];
            if span.dropped {
                continue;
            }
            let request = span.request;
            batch.drop_row(row);
            match self.rejected.iter_mut().find(|r| r.request == request && r.why == why && r.message == message) {
                Some(known) => known.rows += 1,
                None => self.rejected.push(Rejected { request, why, rows: 1, message: message.to_owned() }),
            }
        }
    }

    /// Counts the rows of a batch that was admitted.
    pub fn count_admitted(&self, rows: Rows, metrics: &Metrics) {
        metrics.admitted.inc_by(u64::from(rows.live));
        self.count_held(rows, metrics);
    }

    /// Counts the rows of a batch of which the trace buffer has what is left, and counts that itself.
    pub fn count_held(&self, rows: Rows, metrics: &Metrics) {
        metrics.received.inc_by(u64::from(rows.all));
        for (labels, rows) in &self.dropped {
            metrics.dropped.get_or_create(labels).inc_by(*rows);
        }
        for rejected in &self.rejected {
            let label = ReasonLabel { reason: rejected.why.label().into() };
            metrics.refused.get_or_create(&label).inc_by(rejected.rows);
        }
    }

    /// Counts the rows of a batch that was refused as a whole.
    pub fn count_refused(rows: Rows, reason: &'static str, metrics: &Metrics) {
        metrics.received.inc_by(u64::from(rows.all));
        let label = ReasonLabel { reason: reason.into() };
        metrics.refused.get_or_create(&label).inc_by(u64::from(rows.all));
    }

    /// What the sender of the `request`-th loaded request is told.
    #[must_use]
    pub fn accepted(&self, request: u32) -> Accepted {
        let mut accepted = Accepted::default();
        for rejected in self.rejected.iter().filter(|rejected| rejected.request == request) {
            accepted.rejected += rejected.rows;
            let separator = if accepted.message.is_empty() { "" } else { "; " };
            write!(accepted.message, "{separator}{} spans rejected: {}", rejected.rows, rejected.message)
                .expect("writing to a string does not fail");
        }
        accepted
    }
}
