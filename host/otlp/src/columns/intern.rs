//! Distinct words: one code for each, the empty word first.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::{Texts, Words};

/// Gives words their codes. Its table is kept from column to column.
#[derive(Debug, Default)]
pub(super) struct Interner {
    /// Codes, by the hash of their words. The hash is seeded, so that no sender can choose words that collide.
    table: HashTable<u32>,
    hasher: RandomState,
}

/// One column of words in the making. Word 0 is the empty one: what rows without a value hold.
pub(super) struct Interning<'i> {
    interner: &'i mut Interner,
    words: Texts,
    codes: Vec<u32>,
    /// Codes of words that came lately, by [`slot`]: most words come again soon, and need no hash then.
    recent: [u32; SLOTS],
}

const SLOTS: usize = 64;

/// A place for a word that is cheap to find and tells most words of a column apart.
#[inline]
fn slot(word: &[u8]) -> usize {
    let at = |i: usize| word.get(i).map_or(0, |&byte| usize::from(byte));
    (word.len() * 5 + at(word.len() / 2) * 3 + at(word.len().wrapping_sub(1)) * 7) % SLOTS
}

impl Interner {
    pub(super) fn begin(&mut self, rows: usize) -> Interning<'_> {
        self.table.clear();
        let words = Texts { offsets: vec![0, 0], data: Vec::new() };
        Interning { interner: self, words, codes: Vec::with_capacity(rows), recent: [0; SLOTS] }
    }
}

impl Interning<'_> {
    /// Appends a row that holds `word`.
    #[inline]
    pub(super) fn push(&mut self, word: &[u8]) {
        let slot = slot(word);
        if self.word(self.recent[slot]) != word {
            self.recent[slot] = self.code(word);
        }
        self.codes.push(self.recent[slot]);
    }

    /// Appends a row without a value.
    #[inline]
    pub(super) fn push_none(&mut self) {
        self.codes.push(0);
    }

    #[inline]
    fn word(&self, code: u32) -> &[u8] {
        let (from, to) = (self.words.offsets[code as usize], self.words.offsets[code as usize + 1]);
        &self.words.data[from as usize..to as usize]
    }

    fn code(&mut self, word: &[u8]) -> u32 {
        if word.is_empty() {
            return 0;
        }
        let Interner { table, hasher } = &mut *self.interner;
        let hash = |word: &[u8]| {
            let mut state = hasher.build_hasher();
            state.write(word);
            state.finish()
        };
        let words = &self.words;
        let at = |code: u32| words.get(code as usize).expect("every code in the table has a word");
        let hashed = hash(word);
        if let Some(&code) = table.find(hashed, |&code| at(code) == word) {
            return code;
        }
        let code = words.len() as u32;
        table.insert_unique(hashed, code, |&code| hash(at(code)));
        self.words.push(word);
        code
    }

    pub(super) fn finish(self) -> Words {
        Words { codes: self.codes, words: self.words }
    }
}
