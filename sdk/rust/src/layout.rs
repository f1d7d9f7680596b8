//! The layouts that a column may have, and how each is read. Everything here borrows from what the host sent.

mod entries;
mod scalars;
mod text;

pub use entries::{EntriesView, Entry, EntryValue, OfRow};
pub use scalars::{BooleansView, IdsView, NumbersView};
pub use text::{Str, TextView, Texts, WordsView};

use crate::bindings::types;

/// A column layout. The types that implement it are markers: `Column<Words>`.
pub trait Layout: Sized {
    /// The contract's name for it.
    const LAYOUT: types::Layout;
    /// The column as a whole.
    type View<'a>: ByRow;

    /// A column of `rows` rows in this layout; none if its cells are of another.
    #[doc(hidden)]
    fn view(column: &types::Column, rows: u32) -> Option<Self::View<'_>>;
}

/// A column that has a cell for each row.
pub trait ByRow {
    /// One cell.
    type Item;

    /// The cell at a row; none where the span has no such value, or one of another type.
    fn at(&self, row: u32) -> Option<Self::Item>;
}

/// Whether a row has the value that a column asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The span has no such value.
    Absent,
    /// The cell holds it.
    Present,
    /// The span has the value, but with a type that the layout cannot hold.
    OtherType,
}

/// Which rows of a column have a value.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a>(&'a [u8]);

impl<'a> Present<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// True if every row has a value of the right type.
    pub fn all(self) -> bool {
        self.0.is_empty()
    }

    /// True if the row has a value of the right type.
    pub fn at(self, row: u32) -> bool {
        self.0.get(row as usize).is_none_or(|&present| present == 1)
    }

    /// Also tells values of another type from absent ones.
    pub fn presence(self, row: u32) -> Presence {
        match self.0.get(row as usize) {
            None | Some(1) => Presence::Present,
            Some(0) => Presence::Absent,
            Some(_) => Presence::OtherType,
        }
    }

    /// One byte per row, 1 where the value is present; empty when all are.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// One text per row.
pub enum Text {}
/// One code per row into distinct words.
pub enum Words {}
/// One `i64` per row.
pub enum Integers {}
/// One `f64` per row.
pub enum Floats {}
/// One `bool` per row.
pub enum Booleans {}
/// Trace or span ids.
pub enum Ids {}
/// Raw bytes per row.
pub enum Bytes {}
/// Every value with its place.
pub enum Entries {}

impl Layout for Text {
    const LAYOUT: types::Layout = types::Layout::Text;
    type View<'a> = TextView<'a>;

    fn view(column: &types::Column, rows: u32) -> Option<TextView<'_>> {
        let types::Cells::Text(texts) = &column.cells else { return None };
        Some(TextView::new(texts, &column.present, rows))
    }
}

impl Layout for Bytes {
    const LAYOUT: types::Layout = types::Layout::Bytes;
    type View<'a> = TextView<'a>;

    fn view(column: &types::Column, rows: u32) -> Option<TextView<'_>> {
        let types::Cells::Bytes(texts) = &column.cells else { return None };
        Some(TextView::new(texts, &column.present, rows))
    }
}

impl Layout for Words {
    const LAYOUT: types::Layout = types::Layout::Words;
    type View<'a> = WordsView<'a>;

    fn view(column: &types::Column, rows: u32) -> Option<WordsView<'_>> {
        let types::Cells::Words(words) = &column.cells else { return None };
        (words.codes.len() == rows as usize).then(|| WordsView::new(words, &column.present))
    }
}

impl Layout for Integers {
    const LAYOUT: types::Layout = types::Layout::Integers;
    type View<'a> = NumbersView<'a, i64>;

    fn view(column: &types::Column, rows: u32) -> Option<NumbersView<'_, i64>> {
        let types::Cells::Integers(numbers) = &column.cells else { return None };
        (numbers.len() == rows as usize).then(|| NumbersView::new(numbers, &column.present))
    }
}

impl Layout for Floats {
    const LAYOUT: types::Layout = types::Layout::Floats;
    type View<'a> = NumbersView<'a, f64>;

    fn view(column: &types::Column, rows: u32) -> Option<NumbersView<'_, f64>> {
        let types::Cells::Floats(numbers) = &column.cells else { return None };
        (numbers.len() == rows as usize).then(|| NumbersView::new(numbers, &column.present))
    }
}

impl Layout for Booleans {
    const LAYOUT: types::Layout = types::Layout::Booleans;
    type View<'a> = BooleansView<'a>;

    fn view(column: &types::Column, rows: u32) -> Option<BooleansView<'_>> {
        let types::Cells::Booleans(cells) = &column.cells else { return None };
        (cells.len() == rows as usize).then(|| BooleansView::new(cells, &column.present))
    }
}

impl Layout for Ids {
    const LAYOUT: types::Layout = types::Layout::Ids;
    type View<'a> = IdsView<'a>;

    fn view(column: &types::Column, rows: u32) -> Option<IdsView<'_>> {
        let types::Cells::Ids(cells) = &column.cells else { return None };
        IdsView::new(cells, &column.present, rows)
    }
}

impl Layout for Entries {
    const LAYOUT: types::Layout = types::Layout::Entries;
    type View<'a> = EntriesView<'a>;

    fn view(column: &types::Column, _rows: u32) -> Option<EntriesView<'_>> {
        let types::Cells::Entries(entries) = &column.cells else { return None };
        Some(EntriesView::new(entries))
    }
}

impl<'a> ByRow for TextView<'a> {
    type Item = Str<'a>;

    fn at(&self, row: u32) -> Option<Str<'a>> {
        self.get(row)
    }
}

impl<'a> ByRow for WordsView<'a> {
    type Item = Str<'a>;

    fn at(&self, row: u32) -> Option<Str<'a>> {
        self.get(row)
    }
}

impl<T: Copy> ByRow for NumbersView<'_, T> {
    type Item = T;

    fn at(&self, row: u32) -> Option<T> {
        self.get(row)
    }
}

impl ByRow for BooleansView<'_> {
    type Item = bool;

    fn at(&self, row: u32) -> Option<bool> {
        self.get(row)
    }
}

impl<'a> ByRow for IdsView<'a> {
    type Item = &'a [u8];

    fn at(&self, row: u32) -> Option<&'a [u8]> {
        self.get(row)
    }
}

impl<'a> ByRow for EntriesView<'a> {
    type Item = OfRow<'a>;

    fn at(&self, row: u32) -> Option<OfRow<'a>> {
        Some(self.of_row(row))
    }
}
