//! Columns of entries: values with the places where they stand.

use std::ops::Range;

use super::text::{Str, Texts};
use crate::bindings::types;

/// Every value of a path that stands for many places, row by row.
#[derive(Clone, Copy)]
pub struct EntriesView<'a> {
    entries: &'a types::Entries,
    values: Texts<'a>,
    places: Texts<'a>,
}

impl<'a> EntriesView<'a> {
    pub(crate) fn new(entries: &'a types::Entries) -> Self {
        Self { entries, values: Texts::new(&entries.values), places: Texts::new(&entries.places.words) }
    }

    /// How many entries there are.
    pub fn len(&self) -> u32 {
        self.entries.rows.len() as u32
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.rows.is_empty()
    }

    /// The entry with this number. Panics if there is none.
    pub fn get(&self, number: u32) -> Entry<'a> {
        Entry { view: *self, number }
    }

    /// All entries, row by row.
    pub fn iter(&self) -> OfRow<'a> {
        OfRow { view: *self, numbers: 0..self.len() }
    }

    /// The entries of one row. A resource or scope value stands once, at the first row that shares it.
    pub fn of_row(&self, row: u32) -> OfRow<'a> {
        let rows = &self.entries.rows;
        let first = rows.partition_point(|&other| other < row) as u32;
        let end = rows.partition_point(|&other| other <= row) as u32;
        OfRow { view: *self, numbers: first..end }
    }

    /// The row of each entry.
    pub fn rows(&self) -> &'a [u32] {
        &self.entries.rows
    }

    /// The distinct places: paths without event, link and array numbers. Judge each once, by its number.
    pub fn places(&self) -> Texts<'a> {
        self.places
    }

    /// The number of each entry's place.
    pub fn place_codes(&self) -> &'a [u32] {
        &self.entries.places.codes
    }

    /// The text of each entry, empty where it is no text and no bytes. One search over `values().data()` is cheaper
    /// than one for each entry.
    pub fn values(&self) -> Texts<'a> {
        self.values
    }

    /// True if all entries are texts, as in a column of `strings`.
    pub fn all_texts(&self) -> bool {
        self.entries.kinds.is_empty()
    }
}

impl<'a> IntoIterator for &EntriesView<'a> {
    type Item = Entry<'a>;
    type IntoIter = OfRow<'a>;

    fn into_iter(self) -> OfRow<'a> {
        self.iter()
    }
}

/// Iterates over entries.
#[derive(Clone)]
pub struct OfRow<'a> {
    view: EntriesView<'a>,
    numbers: Range<u32>,
}

impl<'a> Iterator for OfRow<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.numbers.next().map(|number| self.view.get(number))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.numbers.size_hint()
    }
}

impl ExactSizeIterator for OfRow<'_> {}

/// One value with its place.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    view: EntriesView<'a>,
    number: u32,
}

/// The value of an entry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EntryValue<'a> {
    /// A text.
    Text(Str<'a>),
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// Raw bytes.
    Bytes(&'a [u8]),
}

impl<'a> Entry<'a> {
    /// The entry's number, by which `rewrite` and `remove_entries` name it.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The row that it stands in.
    pub fn row(&self) -> u32 {
        self.view.entries.rows[self.number as usize]
    }

    /// The number of its place in [`EntriesView::places`].
    pub fn place_code(&self) -> u32 {
        self.view.entries.places.codes[self.number as usize]
    }

    /// The path of its place: `attributes["http.route"]`, `events.attributes["exception.message"]`.
    pub fn place(&self) -> Str<'a> {
        self.view.places.get(self.place_code())
    }

    /// The value, if it is a text.
    pub fn text(&self) -> Option<Str<'a>> {
        match self.value() {
            EntryValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value, whatever its type.
    pub fn value(&self) -> EntryValue<'a> {
        let entries = self.view.entries;
        let number = self.number as usize;
        let bits = || entries.numbers[number];
        match entries.kinds.get(number) {
            None | Some(0) => EntryValue::Text(self.view.values.get(self.number)),
            Some(1) => EntryValue::Boolean(bits() != 0),
            Some(2) => EntryValue::Integer(bits().cast_signed()),
            Some(3) => EntryValue::Float(f64::from_bits(bits())),
            Some(_) => EntryValue::Bytes(self.view.values.get(self.number).as_bytes()),
        }
    }
}
