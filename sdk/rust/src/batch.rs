//! A batch as a plugin sees it: rows, and the columns that its plan names, borrowed and never copied.

use std::ops::Range;

use crate::bindings::types;
use crate::layout::{ByRow, Layout};
use crate::plan::Column;

/// Up to 4,096 spans, as the columns of the plan.
pub struct Batch<'a> {
    rows: u32,
    columns: &'a [types::Column],
}

impl<'a> Batch<'a> {
    pub(crate) fn new(rows: u32, columns: &'a [types::Column]) -> Self {
        Self { rows, columns }
    }

    /// How many spans the batch has, at least 1.
    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// A column, to be read as a whole or by row number.
    pub fn read<L: Layout>(&self, column: Column<L>) -> L::View<'a> {
        let cells = self.columns.get(column.index as usize).and_then(|column| L::view(column, self.rows));
        cells.expect("the host shows the plan's columns in its order and layouts")
    }

    /// The rows one by one, for plugins that look at a span as a whole. Column by column is cheaper.
    pub fn iter(&self) -> Rows<'_, 'a> {
        Rows { batch: self, numbers: 0..self.rows }
    }
}

impl<'b, 'a> IntoIterator for &'b Batch<'a> {
    type Item = Row<'b, 'a>;
    type IntoIter = Rows<'b, 'a>;

    fn into_iter(self) -> Rows<'b, 'a> {
        self.iter()
    }
}

/// Iterates over the rows of a batch.
pub struct Rows<'b, 'a> {
    batch: &'b Batch<'a>,
    numbers: Range<u32>,
}

impl<'b, 'a> Iterator for Rows<'b, 'a> {
    type Item = Row<'b, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.numbers.next().map(|number| Row { batch: self.batch, number })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl ExactSizeIterator for Rows<'_, '_> {}

/// One span of a batch.
#[derive(Clone, Copy)]
pub struct Row<'b, 'a> {
    batch: &'b Batch<'a>,
    number: u32,
}

impl<'a> Row<'_, 'a> {
    /// The row's number, by which edits name it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The row's cell in a column; none where the span has no such value, or one of another type.
    pub fn get<L: Layout>(&self, column: Column<L>) -> Option<<L::View<'a> as ByRow>::Item> {
        self.batch.read(column).at(self.number)
    }
}
