//! The traces of one call: a summary of each, and the rows of its spans in the columns of the plan.

use std::ops::Range;

use crate::bindings::sampler::contract::{self, Due};
use crate::bindings::types;
use crate::layout::Layout;
use crate::plan::Column;

/// What `roots` has where no root is shown.
const NO_ROOT: u32 = u32::MAX;

/// Traces that are due, with the columns of the plan.
pub struct Traces<'a> {
    traces: &'a contract::Traces,
    columns: &'a [types::Column],
}

impl<'a> Traces<'a> {
    pub(crate) fn new(traces: &'a contract::Traces, columns: &'a [types::Column]) -> Self {
        Self { traces, columns }
    }

    /// How many traces there are.
    pub fn len(&self) -> u32 {
        self.traces.due.len() as u32
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.traces.due.is_empty()
    }

    /// How many rows the columns have, of all traces together.
    pub fn rows(&self) -> u32 {
        self.traces.starts.last().copied().unwrap_or(0)
    }

    /// A column over the rows of all traces. Judge it once, and then trace by trace.
    pub fn read<L: Layout>(&self, column: Column<L>) -> L::View<'a> {
        let cells = self.columns.get(column.index as usize).and_then(|column| L::view(column, self.rows()));
        cells.expect("the host shows the plan's columns in its order and layouts")
    }

    /// The trace with this number. Panics if there is none.
    pub fn get(&self, number: u32) -> Trace<'a> {
        assert!(number < self.len(), "there is no trace {number}");
        Trace { traces: self.traces, number }
    }

    /// The traces one by one.
    pub fn iter(&self) -> Iter<'a> {
        Iter { traces: self.traces, numbers: 0..self.len() }
    }
}

impl<'a> IntoIterator for &Traces<'a> {
    type Item = Trace<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over traces.
#[derive(Clone)]
pub struct Iter<'a> {
    traces: &'a contract::Traces,
    numbers: Range<u32>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Trace<'a>;

    fn next(&mut self) -> Option<Trace<'a>> {
        self.numbers.next().map(|number| Trace { traces: self.traces, number })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// One trace as it stands in the host's buffer.
#[derive(Clone, Copy)]
pub struct Trace<'a> {
    traces: &'a contract::Traces,
    number: u32,
}

impl<'a> Trace<'a> {
    /// The trace's number in this call.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its 16 bytes of id.
    pub fn id(&self) -> &'a [u8] {
        &self.traces.ids[self.index() * 16..][..16]
    }

    /// Why it is asked about now.
    pub fn due(&self) -> Due {
        self.traces.due[self.index()]
    }

    /// True if the host would hear `wait`: more of the trace may come, and there is room for it.
    pub fn may_wait(&self) -> bool {
        !matches!(self.due(), Due::WaitedLongEnough | Due::OverBudget | Due::ShuttingDown)
    }

    /// Its rows in the columns.
    pub fn rows(&self) -> Range<u32> {
        self.traces.starts[self.index()]..self.traces.starts[self.index() + 1]
    }

    /// True unless its rows are cut off at the host's limit. The summary is always of all spans.
    pub fn is_whole(&self) -> bool {
        self.traces.whole[self.index()] != 0
    }

    /// The row of its root span; none where the root is not there, or no row of it is shown.
    pub fn root(&self) -> Option<u32> {
        Some(self.traces.roots[self.index()]).filter(|&root| root != NO_ROOT)
    }

    /// How many spans have arrived.
    pub fn spans(&self) -> u32 {
        self.traces.spans[self.index()]
    }

    /// How many bytes they have.
    pub fn size(&self) -> u64 {
        self.traces.sizes[self.index()]
    }

    /// How many of them have status ERROR.
    pub fn errors(&self) -> u32 {
        self.traces.errors[self.index()]
    }

    /// How many spans they stand for, by the `ot=th` with which they came.
    pub fn weight(&self) -> f64 {
        self.traces.weights[self.index()]
    }

    /// The earliest start, in nanoseconds since the Unix epoch.
    pub fn start(&self) -> u64 {
        self.traces.start_times[self.index()]
    }

    /// The latest end minus the earliest start, in nanoseconds.
    pub fn duration(&self) -> u64 {
        self.traces.durations[self.index()]
    }

    fn index(&self) -> usize {
        self.number as usize
    }
}
