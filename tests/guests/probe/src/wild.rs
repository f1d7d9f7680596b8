//! Answers whose lists and strings lie anywhere in this guest's memory, or beyond it: what a guest that builds its answer by hand could return.

use crate::bindings::exports::tracemill::plugin::processor::Edit;
use crate::bindings::tracemill::plugin::types::{
    Cells, DropRows, Mode, RewriteEntries, Rows, SetPath, SpanEvent, Texts, Value, Values, Words,
};

/// Ends of memory, of pages and of what 32 bits hold, and places where something is.
const PLACES: [u32; 8] = [8, 0x000f_fff8, 0x0010_0000, 0x0010_0400, 0x0011_0000, 0x03ff_fff8, 0x7fff_fff8, 0xffff_fff0];
const LENGTHS: [u32; 8] = [0, 1, 3, 64, 5_000, 1 << 20, 0x1fff_ffff, 0x7fff_ffff];

/// The same answer for the same seed.
pub fn answer(seed: u32) -> Vec<Edit> {
    let mut wild = Wild(seed | 1);
    (0..=wild.below(3)).map(|_| wild.edit()).collect()
}

struct Wild(u32);

impl Wild {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) as usize % most
    }

    fn edit(&mut self) -> Edit {
        let path = || "attributes[\"probe\"]".to_owned();
        match self.below(5) {
            0 => Edit::Drop(DropRows { at: self.rows(), reason: self.string() }),
            1 => Edit::Set(SetPath { path: self.string(), at: Rows::Every, to: self.cells(), mode: Mode::Upsert }),
            2 => Edit::Set(SetPath { path: path(), at: self.rows(), to: self.cells(), mode: Mode::Upsert }),
            3 => Edit::Rewrite(RewriteEntries { column: 0, entries: self.list(), to: self.texts() }),
            _ => Edit::Event(SpanEvent {
                row: 0,
                time: 1,
                name: self.string(),
                attributes: vec![(self.string(), Value::Bytes(self.list()))],
            }),
        }
    }

    fn rows(&mut self) -> Rows {
        if self.below(2) == 0 { Rows::These(self.list()) } else { Rows::Marked(self.list()) }
    }

    fn cells(&mut self) -> Values {
        Values::Each(match self.below(4) {
            0 => Cells::Text(self.texts()),
            1 => Cells::Integers(self.list()),
            2 => Cells::Words(Words { codes: self.list(), words: self.texts() }),
            _ => Cells::Booleans(self.list()),
        })
    }

    fn texts(&mut self) -> Texts {
        Texts { offsets: self.list(), data: self.list() }
    }

    #[expect(unsafe_code, reason = "what a guest in another language could do, this one has to do on purpose")]
    #[expect(clippy::same_length_and_capacity, reason = "neither is true")]
    fn list<T>(&mut self) -> Vec<T> {
        if self.below(2) == 0 {
            return Vec::new();
        }
        let (at, length) = (std::hint::black_box(PLACES[self.below(8)]), LENGTHS[self.below(8)] as usize);
        // SAFETY: there is none to promise, which is the point: the host must not trust where a guest says that a list lies. Nothing in this
        // guest looks at it, until it is freed after the host has read it: that may trap, which is one more thing that a guest may do.
        unsafe { Vec::from_raw_parts(at as usize as *mut T, length, length) }
    }

    #[expect(unsafe_code, reason = "likewise")]
    fn string(&mut self) -> String {
        // SAFETY: as above.
        unsafe { String::from_utf8_unchecked(self.list()) }
    }
}
