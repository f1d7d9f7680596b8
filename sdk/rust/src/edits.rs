//! The edit buffer: what a plugin answers. Edits apply in order, all or none; each sees what those before it wrote.

mod by_row;

pub use by_row::RowEdits;

use crate::bindings::types::{self, Cells, Edit, Mode, Sampling, Texts, Value, Values};
use crate::layout::Entries;
use crate::plan::{Column, Declared, Reason, Source, Target};
use crate::rows::Rows;

/// Collects the edits of one call. Edits of no rows are left out, so callers need not ask first.
pub struct Edits<'p> {
    declared: &'p Declared,
    list: Vec<Edit>,
    /// Groups that row-wise edits may still join, in the order of `list`.
    open: Vec<by_row::Open>,
}

impl<'p> Edits<'p> {
    pub(crate) fn new(declared: &'p Declared) -> Self {
        Self { declared, list: Vec::new(), open: Vec::new() }
    }

    /// Drops spans. The first edit that drops a span gives its reason.
    pub fn drop(&mut self, rows: impl Into<Rows>, reason: Reason) {
        self.at(rows, |at, declared| Edit::Drop(types::DropRows { at, reason: declared.reason(reason) }));
    }

    /// Keeps spans with this probability, decided by the host from the trace's randomness, and has it written as
    /// `ot=th` into their trace state. 0 drops; a number outside 0 to 1 fails the call.
    pub fn sample(&mut self, rows: impl Into<Rows>, probability: f64, how: Sampling, reason: Reason) {
        self.at(rows, |at, declared| {
            Edit::Sample(types::SampleRows { at, probability, how, reason: declared.reason(reason) })
        });
    }

    /// Says with which probability spans were kept that the plugin chose itself; none where it is unknown, so that
    /// their `ot=th` is erased.
    pub fn weigh(&mut self, rows: impl Into<Rows>, probability: Option<f64>) {
        self.at(rows, |at, _| Edit::Weigh(types::WeighRows { at, probability }));
    }

    /// Sets a place to one value in all these rows, whether it is there or not.
    pub fn set(&mut self, target: Target, rows: impl Into<Rows>, value: impl Into<Value>) {
        self.set_as(target, rows, value, Mode::Upsert);
    }

    /// As [`set`](Self::set), only where the place is absent (`Insert`) or only where it is there (`Update`).
    pub fn set_as(&mut self, target: Target, rows: impl Into<Rows>, value: impl Into<Value>, mode: Mode) {
        let to = Values::Same(value.into());
        self.at(rows, |at, declared| Edit::Set(types::SetPath { path: declared.target(target), at, to, mode }));
    }

    /// Sets a place to a value for each row: one cell for each of `rows`, in order.
    pub fn set_each(&mut self, target: Target, rows: impl Into<Rows>, cells: impl Into<Cells>, mode: Mode) {
        let to = Values::Each(cells.into());
        self.at(rows, |at, declared| Edit::Set(types::SetPath { path: declared.target(target), at, to, mode }));
    }

    /// Copies a value, whatever its type. Rows without it keep what they have.
    pub fn copy(&mut self, source: Source, target: Target, rows: impl Into<Rows>, mode: Mode) {
        self.at(rows, |at, declared| {
            Edit::Copy(types::CopyPath { path: declared.source(source), to: declared.target(target), at, mode })
        });
    }

    /// Moves a value: a rename. Where `mode` forbids the target, the source stays.
    pub fn rename(&mut self, old: Target, new: Target, rows: impl Into<Rows>, mode: Mode) {
        self.at(rows, |at, declared| {
            Edit::Move(types::MovePath { path: declared.target(old), to: declared.target(new), at, mode })
        });
    }

    /// Removes a value; a field of a span becomes empty.
    pub fn remove(&mut self, target: Target, rows: impl Into<Rows>) {
        self.at(rows, |at, declared| Edit::Remove(types::RemovePath { path: declared.target(target), at }));
    }

    /// Replaces entries of a column by texts, each where it stands. The plan must [`write`](crate::PlanBuilder::writes)
    /// their places.
    pub fn rewrite(&mut self, column: Column<Entries>, rewrites: Rewrites) {
        if !rewrites.entries.is_empty() {
            let Rewrites { entries, to } = rewrites;
            self.push(Edit::Rewrite(types::RewriteEntries { column: column.index, entries, to }));
        }
    }

    /// Removes entries of a column, by number. The plan must [`write`](crate::PlanBuilder::writes) their places.
    pub fn remove_entries(&mut self, column: Column<Entries>, entries: impl Into<Vec<u32>>) {
        let entries = entries.into();
        if !entries.is_empty() {
            self.push(Edit::RemoveEntries(types::RemoveEntries { column: column.index, entries }));
        }
    }

    /// Adds an event to a span; `time` in nanoseconds since the Unix epoch. The plan must
    /// [`write`](crate::PlanBuilder::writes) `events`.
    pub fn event(&mut self, row: u32, time: u64, name: impl Into<String>, attributes: Vec<(String, Value)>) {
        self.push(Edit::Event(types::SpanEvent { row, time, name: name.into(), attributes }));
    }

    /// Edits of one row. Made row by row in ascending order, they are joined into few edits.
    pub fn row(&mut self, row: u32) -> RowEdits<'_, 'p> {
        RowEdits::new(self, row)
    }

    /// How many edits there are so far.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True if nothing is changed so far.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn into_list(self) -> Vec<Edit> {
        self.list
    }

    fn at(&mut self, rows: impl Into<Rows>, edit: impl FnOnce(Rows, &Declared) -> Edit) {
        let rows = rows.into();
        if !rows.is_none() {
            self.push(edit(rows, self.declared));
        }
    }

    /// Adds an edit of any rows: no row-wise edit may be joined to one before it.
    fn push(&mut self, edit: Edit) {
        self.open.clear();
        self.list.push(edit);
    }
}

/// Entries of a column with the texts that replace them.
#[derive(Debug, Clone, Default)]
pub struct Rewrites {
    entries: Vec<u32>,
    to: Texts,
}

impl Rewrites {
    /// Replaces an entry by a text.
    pub fn push(&mut self, entry: u32, text: impl AsRef<[u8]>) {
        self.entries.push(entry);
        self.to.push(text);
    }

    /// Replaces an entry by what `write` appends: for texts that are put together, without a buffer for each.
    pub fn push_with(&mut self, entry: u32, write: impl FnOnce(&mut Vec<u8>)) {
        self.entries.push(entry);
        write(&mut self.to.data);
        self.to.offsets.push(self.to.data.len() as u32);
    }

    /// How many entries are replaced.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self { offsets: vec![0], data: Vec::new() }
    }
}

impl Texts {
    /// Appends a text.
    pub fn push(&mut self, text: impl AsRef<[u8]>) {
        self.data.extend_from_slice(text.as_ref());
        self.offsets.push(self.data.len() as u32);
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut texts = Self::default();
        items.into_iter().for_each(|text| texts.push(text));
        texts
    }
}

impl From<Texts> for Cells {
    fn from(texts: Texts) -> Self {
        Self::Text(texts)
    }
}

impl From<Vec<i64>> for Cells {
    fn from(numbers: Vec<i64>) -> Self {
        Self::Integers(numbers)
    }
}

impl From<Vec<f64>> for Cells {
    fn from(numbers: Vec<f64>) -> Self {
        Self::Floats(numbers)
    }
}

impl From<Vec<bool>> for Cells {
    fn from(booleans: Vec<bool>) -> Self {
        Self::Booleans(booleans.into_iter().map(u8::from).collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Self::Boolean(boolean)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}
