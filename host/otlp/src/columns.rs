//! Columns: what a plugin is shown. The host's side of the contract's `column`, ready to be lowered without a copy.
//!
//! [`build`] extracts them from a batch, [`cache`] keeps them while nothing touches them, [`fitting`] says how many rows
//! one call may show.

pub mod build;
pub mod cache;
mod cells;
pub mod entries;
mod fit;
mod gather;
mod intern;

pub use crate::shown::Shown;
pub use fit::{MAX_BYTES, MAX_ROWS, fitting};

/// Text `i` is `data[offsets[i]..offsets[i + 1]]`; one offset more than texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// Where each text begins, and where the last ends.
    pub offsets: Vec<u32>,
    /// All texts, end to end.
    pub data: Vec<u8>,
}

/// Row `i` holds `words[codes[i]]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// One code per row.
    pub codes: Vec<u32>,
    /// The distinct words.
    pub words: Texts,
}

/// Every value of a path that stands for many places; see the contract's `entries`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entries {
    /// The row of each entry, as the call numbers rows; for what rows share, the first that shares it.
    pub rows: Vec<u32>,
    /// The place of each entry.
    pub places: Words,
    /// Texts and bytes.
    pub values: Texts,
    /// 0 text, 1 boolean, 2 integer, 3 float, 4 bytes; empty where all are texts.
    pub kinds: Vec<u8>,
    /// The others; empty where all are texts.
    pub numbers: Vec<u64>,
}

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Layout `text`.
    Text(Texts),
    /// Layout `words`.
    Words(Words),
    /// Layout `integers`.
    Integers(Vec<i64>),
    /// Layout `floats`.
    Floats(Vec<f64>),
    /// Layout `booleans`.
    Booleans(Vec<u8>),
    /// Layout `ids`.
    Ids(Vec<u8>),
    /// Layout `bytes`.
    Bytes(Texts),
    /// Layout `entries`.
    Entries(Entries),
}

/// A column of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// 0 absent, 1 present, 2 there with another type; empty when all are present, and for entries.
    pub present: Vec<u8>,
    /// The cells.
    pub cells: Cells,
}

impl Default for Texts {
    fn default() -> Self {
        Self { offsets: vec![0], data: Vec::new() }
    }
}

impl Texts {
    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Text `i`; `None` where the offsets do not lie in the data, as a guest may have sent them.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&[u8]> {
        let (from, to) = (*self.offsets.get(i)?, *self.offsets.get(i + 1)?);
        self.data.get(from as usize..to as usize)
    }

    /// Appends a text.
    pub fn push(&mut self, text: &[u8]) {
        self.data.extend_from_slice(text);
        self.offsets.push(self.data.len() as u32);
    }
}

impl Column {
    /// How many bytes its cells take.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = |texts: &Texts| texts.offsets.len() * 4 + texts.data.len();
        let words = |words: &Words| words.codes.len() * 4 + texts(&words.words);
        let cells = match &self.cells {
            Cells::Text(cells) | Cells::Bytes(cells) => texts(cells),
            Cells::Words(cells) => words(cells),
            Cells::Integers(cells) => cells.len() * 8,
            Cells::Floats(cells) => cells.len() * 8,
            Cells::Booleans(cells) | Cells::Ids(cells) => cells.len(),
            Cells::Entries(cells) => {
                let lists = cells.rows.len() * 4 + cells.kinds.len() + cells.numbers.len() * 8;
                lists + words(&cells.places) + texts(&cells.values)
            }
        };
        self.present.len() + cells
    }
}

#[cfg(test)]
mod tests;
