//! Traces as tests gather them: spans of one trace id, why it is due, and the summary that the host keeps of it.

use super::sampling::State;
use super::span::{Span, to_hex};
use crate::sampler::Due;

/// OTLP's `STATUS_CODE_ERROR`.
const ERROR: i64 = 2;

/// A trace in the host's buffer, idle unless the test says otherwise.
#[derive(Debug, Clone)]
pub struct Gathered {
    pub(super) spans: Vec<Span>,
    pub(super) id: String,
    pub(super) due: Due,
    pub(super) size: Option<u64>,
    pub(super) most_rows: usize,
}

/// Gathers spans to a trace with this id, 32 hexadecimal digits, which all of them get.
pub fn trace(id: impl Into<String>, spans: impl IntoIterator<Item = Span>) -> Gathered {
    let id = id.into();
    let spans: Vec<Span> = spans.into_iter().map(|span| span.trace(id.clone())).collect();
    assert!(!spans.is_empty(), "a trace has at least one span");
    Gathered { spans, id, due: Due::Idle, size: None, most_rows: usize::MAX }
}

impl Gathered {
    /// Says why it is due.
    #[must_use]
    pub fn due(mut self, due: Due) -> Self {
        self.due = due;
        self
    }

    /// Says how many bytes it has; otherwise a hundred for each span.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Shows so many rows of it at most.
    #[must_use]
    pub fn cut_at(mut self, rows: usize) -> Self {
        self.most_rows = rows;
        self
    }

    /// The number of the root among its spans: the first without a parent.
    pub(super) fn root(&self) -> Option<usize> {
        self.spans.iter().position(|span| span.parent_span_id.is_empty())
    }

    pub(super) fn errors(&self) -> u32 {
        self.spans.iter().filter(|span| span.status.code == ERROR).count() as u32
    }

    pub(super) fn weight(&self) -> f64 {
        self.spans.iter().map(|span| State::of(&span.trace_id, &span.trace_state).weight()).sum()
    }

    pub(super) fn start(&self) -> u64 {
        self.spans.iter().map(|span| span.start_time_unix_nano).min().unwrap_or(0)
    }

    pub(super) fn duration(&self) -> u64 {
        let end = self.spans.iter().map(|span| span.end_time_unix_nano).max().unwrap_or(0);
        end.saturating_sub(self.start())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.size.unwrap_or(100 * self.spans.len() as u64)
    }
}

impl From<Span> for Gathered {
    /// A trace of one span, with the span's trace id or else one of its own.
    fn from(span: Span) -> Self {
        let id = if span.trace_id.is_empty() { to_hex(&[1; 16]) } else { span.trace_id.clone() };
        trace(id, [span])
    }
}
