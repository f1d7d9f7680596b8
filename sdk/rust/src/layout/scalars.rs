//! Columns of numbers, booleans and ids.

use super::Present;

/// Numbers by row.
#[derive(Debug, Clone, Copy)]
pub struct NumbersView<'a, T> {
    numbers: &'a [T],
    present: Present<'a>,
}

impl<'a, T: Copy> NumbersView<'a, T> {
    pub(crate) fn new(numbers: &'a [T], present: &'a [u8]) -> Self {
        Self { numbers, present: Present::new(present) }
    }

    /// The number at a row.
    pub fn get(&self, row: u32) -> Option<T> {
        self.present.at(row).then(|| self.numbers[row as usize])
    }

    /// All numbers, 0 where there is none.
    pub fn as_slice(&self) -> &'a [T] {
        self.numbers
    }

    /// Which rows have one.
    pub fn present(&self) -> Present<'a> {
        self.present
    }

    /// Calls `each` with the rows whose number is wanted.
    pub fn for_each_where(&self, mut wanted: impl FnMut(T) -> bool, mut each: impl FnMut(u32)) {
        for (row, &number) in self.numbers.iter().enumerate() {
            if wanted(number) && self.present.at(row as u32) {
                each(row as u32);
            }
        }
    }
}

/// Booleans by row.
#[derive(Debug, Clone, Copy)]
pub struct BooleansView<'a> {
    cells: &'a [u8],
    present: Present<'a>,
}

impl<'a> BooleansView<'a> {
    pub(crate) fn new(cells: &'a [u8], present: &'a [u8]) -> Self {
        Self { cells, present: Present::new(present) }
    }

    /// The boolean at a row.
    pub fn get(&self, row: u32) -> Option<bool> {
        self.present.at(row).then(|| self.cells[row as usize] != 0)
    }

    /// Which rows have one.
    pub fn present(&self) -> Present<'a> {
        self.present
    }
}

/// Ids by row: 16 bytes each for traces, 8 for spans.
#[derive(Debug, Clone, Copy)]
pub struct IdsView<'a> {
    cells: &'a [u8],
    width: usize,
    present: Present<'a>,
}

impl<'a> IdsView<'a> {
    pub(crate) fn new(cells: &'a [u8], present: &'a [u8], rows: u32) -> Option<Self> {
        let rows = rows as usize;
        let width = cells.len().checked_div(rows)?;
        (width > 0 && cells.len() == width * rows).then_some(Self { cells, width, present: Present::new(present) })
    }

    /// The id at a row; none if it is empty or all zero.
    pub fn get(&self, row: u32) -> Option<&'a [u8]> {
        self.present.at(row).then(|| &self.cells[row as usize * self.width..][..self.width])
    }

    /// All ids in the order of rows, zero where there is none.
    pub fn iter(&self) -> std::slice::ChunksExact<'a, u8> {
        self.cells.chunks_exact(self.width)
    }

    /// Which rows have one.
    pub fn present(&self) -> Present<'a> {
        self.present
    }
}

impl<'a> IntoIterator for &IdsView<'a> {
    type Item = &'a [u8];
    type IntoIter = std::slice::ChunksExact<'a, u8>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
