//! What a hostile or broken guest might answer: any edits that the contract's types can say, right in most of their parts and wrong in some.

use super::{Choices, PATHS};
use rand::RngExt as _;
use tracemill_otlp::columns::{Cells, Entries, Texts, Words};
use tracemill_otlp::edit::permissions::Permissions;
use tracemill_otlp::edit::{Constant, Edit, Rows, Sampling, Values};
use tracemill_otlp::path::{Path, Want};
use tracemill_otlp::shown::Shown;

/// What is no path, or hardly one.
const NO_PATHS: &[&str] = &[
    "",
    "nmae",
    "attributes[\"",
    "attributes[\"a\"",
    "attributes[a]",
    "attributes[\"a\"][\"b\"]",
    "\0",
    "name ",
    "\u{1f980}",
];
const NUMBERS: &[u64] = &[0, 1, 2, 7, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 63, u64::MAX];
const FLOATS: &[f64] = &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, -1.0, 1.5, f64::MIN_POSITIVE, f64::MAX];
/// Not all of it is UTF-8.
const BYTES: &[u8] = b"plain \xf0\x9f\xa6\x80 \xff\xfe\xc3\xe2\x82 \xed\xa0\x80 \0 ot=th:zz;rv:x,=,";

impl Choices {
    /// What a plan and an operator may have left a plugin.
    pub(crate) fn permissions(&mut self, wants: &[Want]) -> Permissions {
        let all = Self::all_paths();
        let share = [1.0, 0.5][self.0.random_range(0..2)];
        let mut some = |all: &[Path]| all.iter().filter(|_| self.0.random_bool(share)).cloned().collect::<Vec<_>>();
        let (reads, writes) = (some(&all), some(&all));
        Permissions::new(wants, &reads, [], &writes, self.0.random_bool(0.7))
    }

    /// An answer to what was shown.
    pub(crate) fn answer(&mut self, shown: &Shown) -> Vec<Edit<String>> {
        let wrong = [0.0, 0.01, 0.05, 0.4][self.0.random_range(0..4)];
        let mut guest = Guest { choices: self, shown, wrong };
        let mut answer: Vec<_> = (0..guest.below(6)).map(|_| guest.edit()).collect();
        if guest.is_wrong() && !answer.is_empty() {
            let again = answer[guest.below(answer.len())].clone();
            let times = guest.below(30);
            answer.extend(std::iter::repeat_n(again, times));
        }
        answer
    }
}

struct Guest<'a> {
    choices: &'a mut Choices,
    shown: &'a Shown,
    /// How likely each part is wrong.
    wrong: f64,
}

impl Guest<'_> {
    fn below(&mut self, most: usize) -> usize {
        self.choices.0.random_range(0..most.max(1))
    }

    fn is_wrong(&mut self) -> bool {
        self.choices.0.random_bool(self.wrong)
    }

    /// A number below `count`, or any.
    fn number(&mut self, count: usize) -> u32 {
        if self.is_wrong() || count == 0 {
            let near = [count as u32, count as u32 + 1, NUMBERS[self.below(NUMBERS.len())] as u32];
            return near[self.below(3)];
        }
        self.below(count) as u32
    }

    fn edit(&mut self) -> Edit<String> {
        let (at, rows) = self.rows();
        match self.below(12) {
            0 => Edit::Drop { at, reason: self.text() },
            1 => {
                let how = if self.is_wrong() { Sampling::Equalizing } else { Sampling::Proportional };
                Edit::Sample { at, probability: self.probability(), how, reason: self.text() }
            }
            2 => {
                let probability = (self.below(2) == 0).then(|| self.probability());
                Edit::Weigh { at, probability }
            }
            3 => Edit::Set { path: self.path(), at, to: Values::Same(self.constant()), mode: self.choices.mode() },
            4..=6 => {
                let path = self.path();
                let to = Values::Each(self.cells(&path, rows));
                Edit::Set { path, at, to, mode: self.choices.mode() }
            }
            7 => Edit::Copy { path: self.path(), to: self.path(), at, mode: self.choices.mode() },
            8 => Edit::Move { path: self.path(), to: self.path(), at, mode: self.choices.mode() },
            9 => Edit::Remove { path: self.path(), at },
            10 => {
                let (column, entries) = self.entries();
                if self.below(2) == 0 {
                    return Edit::RemoveEntries { column, entries };
                }
                let to = self.texts(entries.len());
                Edit::Rewrite { column, entries, to }
            }
            _ => {
                let row = self.number(self.shown.rows.len());
                let count = if self.is_wrong() { 300 } else { self.below(4) };
                let attributes = (0..count).map(|_| (self.text(), self.constant())).collect();
                Edit::Event { row, time: self.choices.0.random(), name: self.text(), attributes }
            }
        }
    }

    /// Rows, and how many cells they ask for.
    fn rows(&mut self) -> (Rows, usize) {
        let count = self.shown.rows.len();
        match self.below(3) {
            0 => (Rows::Every, count),
            1 => {
                let mut these = self.choices.some_of(count as u32);
                if self.is_wrong() {
                    these.push(self.number(count));
                }
                let rows = these.len();
                (Rows::These(these), rows)
            }
            _ => {
                let length = if self.is_wrong() { self.below(count * 2 + 2) } else { count };
                let marks: Vec<u8> = (0..length).map(|_| self.choices.0.random_range(0..3)).collect();
                let rows = marks.iter().filter(|mark| **mark != 0).count();
                (Rows::Marked(marks), rows)
            }
        }
    }

    fn path(&mut self) -> String {
        if self.is_wrong() {
            return match self.below(NO_PATHS.len() + 1) {
                0 => format!("attributes[\"{}\"]", "k".repeat(5_000)),
                at => NO_PATHS[at - 1].to_owned(),
            };
        }
        PATHS[self.below(PATHS.len())].to_owned()
    }

    fn probability(&mut self) -> f64 {
        if self.is_wrong() { FLOATS[self.below(FLOATS.len())] } else { self.choices.0.random_range(0.0..=1.0) }
    }

    fn text(&mut self) -> String {
        if self.is_wrong() { "\u{0}\u{1f980}x".repeat(self.below(10_000)) } else { self.choices.text() }
    }

    fn constant(&mut self) -> Constant {
        if !self.is_wrong() {
            return self.choices.constant();
        }
        match self.below(4) {
            0 => Constant::Float(FLOATS[self.below(FLOATS.len())]),
            1 => Constant::Integer(NUMBERS[self.below(NUMBERS.len())].cast_signed()),
            2 => Constant::Bytes(BYTES.repeat(self.below(500))),
            _ => Constant::Text(self.text()),
        }
    }

    /// Cells that the path may take, or any.
    fn cells(&mut self, path: &str, rows: usize) -> Cells {
        let rows = if self.is_wrong() { self.below(rows * 2 + 2) } else { rows };
        let takes_text = !matches!(path, "kind" | "flags" | "status.code" | "duration") && !path.ends_with("_nano");
        let kind = if self.is_wrong() { self.below(8) } else { [self.below(2), 2][usize::from(!takes_text)] };
        match kind {
            0 => Cells::Text(self.texts(rows)),
            1 => Cells::Words(self.words(rows)),
            2 => Cells::Integers((0..rows).map(|_| self.integer()).collect()),
            3 => Cells::Floats((0..rows).map(|_| self.probability()).collect()),
            4 => Cells::Booleans((0..rows).map(|_| self.choices.0.random()).collect()),
            5 => Cells::Ids((0..self.below(rows * 17 + 1)).map(|_| self.choices.0.random()).collect()),
            6 => Cells::Bytes(self.texts(rows)),
            _ => Cells::Entries(Entries {
                rows: (0..rows).map(|_| self.number(rows)).collect(),
                places: self.words(rows),
                values: self.texts(rows),
                kinds: (0..self.below(rows + 1)).map(|_| self.choices.0.random()).collect(),
                numbers: (0..self.below(rows + 1)).map(|_| self.choices.0.random()).collect(),
            }),
        }
    }

    fn integer(&mut self) -> i64 {
        if self.is_wrong() { NUMBERS[self.below(NUMBERS.len())].cast_signed() } else { i64::from(self.below(3) as u32) }
    }

    fn words(&mut self, codes: usize) -> Words {
        let known = self.below(5) + 1;
        Words { codes: (0..codes).map(|_| self.number(known)).collect(), words: self.texts(known) }
    }

    /// Texts whose offsets may descend, begin anywhere, or reach beyond the data.
    fn texts(&mut self, count: usize) -> Texts {
        let mut texts = Texts::default();
        for _ in 0..count {
            let from = self.below(BYTES.len());
            let end = (from + self.below(9)).min(BYTES.len());
            texts.push(&BYTES[from..end]);
        }
        if self.is_wrong() {
            match self.below(5) {
                0 => texts.offsets.clear(),
                1 => texts.data.truncate(self.below(texts.data.len())),
                2 => texts.offsets.reverse(),
                3 => texts.offsets.push(self.number(texts.data.len())),
                _ => {
                    let at = self.below(texts.offsets.len());
                    let wrong = self.number(0);
                    texts.offsets.iter_mut().skip(at).take(1).for_each(|offset| *offset = wrong);
                }
            }
        }
        texts
    }

    fn entries(&mut self) -> (u32, Vec<u32>) {
        let column =
            if self.is_wrong() { self.number(self.shown.columns.len()) } else { self.choices.column(self.shown) };
        let mut entries = self.choices.entries(self.shown, column);
        if self.is_wrong() {
            let known = entries.len();
            entries.push(self.number(known));
            entries.reverse();
        }
        (column, entries)
    }
}
