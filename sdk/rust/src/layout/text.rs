//! Columns of texts: one per row, or codes into distinct words.

use std::borrow::Cow;
use std::fmt;

use super::Present;
use crate::bindings::types;
use crate::rows::{Mask, Rows};

/// A text as it was sent. Mostly UTF-8, but senders do emit other bytes, so it compares and searches as bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Str<'a>(&'a [u8]);

impl<'a> Str<'a> {
    /// The bytes as they were sent.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text, if it is valid UTF-8.
    pub fn to_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }

    /// The text, with invalid UTF-8 replaced; allocates only then.
    pub fn to_str_lossy(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }

    /// True for the empty text.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// True if it begins with `prefix`.
    pub fn starts_with(self, prefix: &str) -> bool {
        self.0.starts_with(prefix.as_bytes())
    }

    /// True if it ends with `suffix`.
    pub fn ends_with(self, suffix: &str) -> bool {
        self.0.ends_with(suffix.as_bytes())
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl PartialEq<str> for Str<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Str<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<String> for Str<'_> {
    fn eq(&self, other: &String) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str_lossy(), formatter)
    }
}

impl fmt::Display for Str<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_str_lossy(), formatter)
    }
}

/// Texts end to end, with an offset more than texts.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    offsets: &'a [u32],
    data: &'a [u8],
}

impl<'a> Texts<'a> {
    pub(crate) fn new(texts: &'a types::Texts) -> Self {
        Self { offsets: &texts.offsets, data: &texts.data }
    }

    /// How many texts there are.
    pub fn len(self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// True if there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The text with this number. Panics if there is none.
    pub fn get(self, number: u32) -> Str<'a> {
        let number = number as usize;
        Str(&self.data[self.offsets[number] as usize..self.offsets[number + 1] as usize])
    }

    /// All texts in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Str<'a>> {
        self.offsets.windows(2).map(move |ends| Str(&self.data[ends[0] as usize..ends[1] as usize]))
    }

    /// All texts end to end, for searches that need not know where one ends.
    pub fn data(self) -> &'a [u8] {
        self.data
    }

    /// Where each text begins in [`data`](Self::data), and at last where the last one ends.
    pub fn offsets(self) -> &'a [u32] {
        self.offsets
    }
}

/// Texts (or raw bytes) by row.
#[derive(Debug, Clone, Copy)]
pub struct TextView<'a> {
    texts: Texts<'a>,
    present: Present<'a>,
}

impl<'a> TextView<'a> {
    pub(crate) fn new(texts: &'a types::Texts, present: &'a [u8], rows: u32) -> Self {
        let texts = Texts::new(texts);
        assert_eq!(texts.len(), rows as usize, "the host shows one text for each row");
        Self { texts, present: Present::new(present) }
    }

    /// The text at a row.
    pub fn get(&self, row: u32) -> Option<Str<'a>> {
        self.present.at(row).then(|| self.texts.get(row))
    }

    /// All texts in the order of rows, empty where there is none.
    pub fn texts(&self) -> Texts<'a> {
        self.texts
    }

    /// Which rows have one.
    pub fn present(&self) -> Present<'a> {
        self.present
    }

    /// The rows whose text is wanted.
    pub fn rows_where(&self, mut wanted: impl FnMut(Str<'a>) -> bool) -> Rows {
        let rows = self.texts.iter().zip(0u32..);
        Rows::These(rows.filter(|&(text, row)| self.present.at(row) && wanted(text)).map(|(_, row)| row).collect())
    }
}

/// Codes by row into distinct words.
#[derive(Debug, Clone, Copy)]
pub struct WordsView<'a> {
    codes: &'a [u32],
    words: Texts<'a>,
    present: Present<'a>,
}

impl<'a> WordsView<'a> {
    pub(crate) fn new(words: &'a types::Words, present: &'a [u8]) -> Self {
        Self { codes: &words.codes, words: Texts::new(&words.words), present: Present::new(present) }
    }

    /// The word at a row.
    pub fn get(&self, row: u32) -> Option<Str<'a>> {
        self.present.at(row).then(|| self.words.get(self.codes[row as usize]))
    }

    /// The distinct words. Where some rows have none, word 0 is empty and stands for those too.
    pub fn words(&self) -> Texts<'a> {
        self.words
    }

    /// The word's number for each row.
    pub fn codes(&self) -> &'a [u32] {
        self.codes
    }

    /// Which rows have one.
    pub fn present(&self) -> Present<'a> {
        self.present
    }

    /// The rows whose word is wanted. `wanted` is asked once for each distinct word, and rows are only walked if it
    /// wants one.
    pub fn rows_where(&self, wanted: impl FnMut(Str<'a>) -> bool) -> Rows {
        let decisions: Vec<u8> = self.words.iter().map(wanted).map(u8::from).collect();
        let wanted = decisions.iter().filter(|&&decision| decision != 0).count();
        if wanted == 0 {
            Rows::NONE
        } else if wanted == decisions.len() && self.present.all() {
            Rows::Every
        } else {
            let mut mask = Mask::none(self.codes.len() as u32);
            self.mark(&decisions, &mut mask);
            mask.into()
        }
    }

    /// As [`rows_where`](Self::rows_where), adding to the rows that a mask has already.
    pub fn mark_where(&self, wanted: impl FnMut(Str<'a>) -> bool, mask: &mut Mask) {
        let decisions: Vec<u8> = self.words.iter().map(wanted).map(u8::from).collect();
        if decisions.contains(&1) {
            self.mark(&decisions, mask);
        }
    }

    fn mark(&self, decisions: &[u8], mask: &mut Mask) {
        let marks = mask.as_bytes_mut().iter_mut().zip(self.codes);
        if self.present.all() {
            for (mark, &code) in marks {
                *mark |= decisions[code as usize];
            }
        } else {
            for ((mark, &code), &present) in marks.zip(self.present.as_bytes()) {
                *mark |= decisions[code as usize] & u8::from(present == 1);
            }
        }
    }
}
