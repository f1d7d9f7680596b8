//! The layout `entries`: every value of a path that stands for many places, with its place; and finding entries again.
//!
//! Where an entry stands is not kept for each of them, since few are edited: the walk that has shown them is repeated for
//! the rows that are. Invariant: an entry is looked for before anything of its path is written.

use super::{Cells, Column, Entries, Texts, Words};
use crate::batch::Batch;
use crate::path::Path;
use crate::value::Value;
use crate::wire::Slice;

mod places;
pub(crate) mod walk;

use places::Places;
use walk::{Base, Place, Shows, Visit};

/// Where the entries of a column stand; kept beside the column and not shown to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locators {
    pub(crate) path: Path,
    /// The first entry of each row, and the number of all.
    starts: Vec<u32>,
    /// Entries of what rows share, in ascending order.
    shared: Vec<SharedEntries>,
}

/// The entries of a scope or a resource: behind those of the first row that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SharedEntries {
    start: u32,
    end: u32,
    owner: Owner,
}

/// What an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// A row of the call.
    Row(u32),
    /// A scope of the batch.
    Scope(u32),
    /// A resource of the batch.
    Resource(u32),
}

/// The entries of `path` in these rows, and where they stand.
#[must_use]
pub fn build(batch: &Batch, rows: &[u32], path: &Path) -> (Column, Locators) {
    let shows = Shows::of(path);
    let mut builder = Builder::new(rows.len(), shows.all_types());
    let mut starts = Vec::with_capacity(rows.len() + 1);
    let mut shared = Vec::new();
    let mut scopes = Seen::new(shows.shows_scopes(), rows.len(), batch.scopes.len());
    let mut resources = Seen::new(shows.shows_resources(), rows.len(), batch.resources.len());
    for (row, &number) in rows.iter().enumerate() {
        starts.push(builder.count());
        let span = &batch.spans[number as usize];
        walk::span(batch, span, &shows, &mut builder);
        if scopes.is_first(span.scope) {
            let start = builder.count();
            walk::scope(batch, span.scope, &shows, &mut builder);
            shared.push(SharedEntries { start, end: builder.count(), owner: Owner::Scope(span.scope) });
        }
        let resource = batch.scope(span).resource;
        if resources.is_first(resource) {
            let start = builder.count();
            walk::resource(batch, resource, &shows, &mut builder);
            shared.push(SharedEntries { start, end: builder.count(), owner: Owner::Resource(resource) });
        }
        builder.end_row(row as u32);
    }
    starts.push(builder.count());
    shared.retain(|entries| entries.start < entries.end);
    let column = Column { present: Vec::new(), cells: Cells::Entries(builder.finish()) };
    (column, Locators { path: path.clone(), starts, shared })
}

/// Which scopes or resources have been shown.
struct Seen {
    shown: bool,
    /// Empty for a single row, which is the first of whatever it has: it must not cost what all of them would.
    flags: Vec<bool>,
}

impl Seen {
    fn new(shown: bool, rows: usize, all: usize) -> Self {
        Self { shown, flags: vec![false; if shown && rows > 1 { all } else { 0 }] }
    }

    fn is_first(&mut self, number: u32) -> bool {
        self.shown && self.flags.get_mut(number as usize).is_none_or(|seen| !std::mem::replace(seen, true))
    }
}

struct Builder<'b> {
    /// Whether there are values that are no texts.
    mixed: bool,
    places: Places<'b>,
    entries: Entries,
}

impl Builder<'_> {
    fn new(rows: usize, all_types: bool) -> Self {
        // What spans of medium size have; others grow from there.
        let expected = rows * 16;
        let entries = Entries {
            rows: Vec::with_capacity(expected),
            places: Words { codes: Vec::with_capacity(expected), words: Texts::default() },
            values: Texts { offsets: Vec::with_capacity(expected + 1), data: Vec::with_capacity(expected * 24) },
            kinds: Vec::with_capacity(if all_types { expected } else { 0 }),
            numbers: Vec::with_capacity(if all_types { expected } else { 0 }),
        };
        let mut builder = Self { mixed: false, places: Places::new(), entries };
        builder.entries.values.offsets.push(0);
        builder
    }

    fn count(&self) -> u32 {
        self.entries.places.codes.len() as u32
    }

    /// All entries since the last call are of this row.
    fn end_row(&mut self, row: u32) {
        self.entries.rows.resize(self.entries.places.codes.len(), row);
    }

    fn finish(self) -> Entries {
        let mut entries = self.entries;
        if !self.mixed {
            entries.kinds = Vec::new();
            entries.numbers = Vec::new();
        }
        entries
    }

    /// Notes a value that is no text; those before it get their kinds now.
    fn number(&mut self, kind: u8, number: u64) {
        let before = self.entries.places.codes.len() - 1;
        self.mixed = true;
        self.entries.kinds.resize(before, 0);
        self.entries.numbers.resize(before, 0);
        self.entries.kinds.push(kind);
        self.entries.numbers.push(number);
    }
}

impl<'b> Visit<'b> for Builder<'b> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most of a column's time goes by here, and a place by memory costs more")]
    fn value(&mut self, place: &Place<'_, 'b>, value: Value<'_>, _at: Slice) {
        let code = self.places.code(place, &mut self.entries.places);
        self.entries.places.codes.push(code);
        let mut text: &[u8] = &[];
        match value {
            Value::Text(value) => {
                text = value;
                if self.mixed {
                    self.entries.kinds.push(0);
                    self.entries.numbers.push(0);
                }
            }
            Value::Boolean(v) => self.number(1, u64::from(v)),
            Value::Integer(v) => self.number(2, v as u64),
            Value::Float(v) => self.number(3, v.to_bits()),
            Value::Bytes(bytes) => {
                text = bytes;
                self.number(4, 0);
            }
            Value::Empty | Value::Array(_) | Value::Map(_) => {}
        }
        self.entries.values.push(text);
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) entry: u32,
    pub(crate) owner: Owner,
    pub(crate) base: Base,
    /// Of an attribute, event or link: its place in the batch's list.
    pub(crate) part: u32,
    /// Where in the attribute's value, the event or the link; see [`Visit`].
    pub(crate) at: Slice,
}

/// Finds entries, given in ascending order, each once.
pub(crate) fn find(batch: &Batch, rows: &[u32], locators: &Locators, wanted: &[u32], found: &mut Vec<Found>) {
    let shows = Shows::of(&locators.path);
    let mut rest = wanted;
    while let Some(&first) = rest.first() {
        let shared = locators.shared.partition_point(|entries| entries.end <= first);
        let shared = locators.shared.get(shared);
        let (start, end, owner) = match shared {
            Some(entries) if entries.start <= first => (entries.start, entries.end, entries.owner),
            _ => {
                let row = locators.starts.partition_point(|&start| start <= first).saturating_sub(1);
                let Some(&next) = locators.starts.get(row + 1) else { return };
                let end = shared.map_or(next, |entries| entries.start.min(next));
                (locators.starts[row], end, Owner::Row(row as u32))
            }
        };
        let count = rest.partition_point(|&entry| entry < end);
        let mut finder = Finder { entry: start, wanted: &rest[..count], owner, found };
        match owner {
            Owner::Row(row) => walk::span(batch, &batch.spans[rows[row as usize] as usize], &shows, &mut finder),
            Owner::Scope(number) => walk::scope(batch, number, &shows, &mut finder),
            Owner::Resource(number) => walk::resource(batch, number, &shows, &mut finder),
        }
        rest = &rest[count.max(1)..];
    }
}

struct Finder<'f> {
    /// The number of the entry that comes next.
    entry: u32,
    wanted: &'f [u32],
    owner: Owner,
    found: &'f mut Vec<Found>,
}

impl<'b> Visit<'b> for Finder<'_> {
    #[inline]
    fn value(&mut self, place: &Place<'_, 'b>, _value: Value<'_>, at: Slice) {
        let entry = self.entry;
        self.entry += 1;
        if self.wanted.first() == Some(&entry) {
            self.wanted = &self.wanted[1..];
            self.found.push(Found { entry, owner: self.owner, base: place.base, part: place.part, at });
        }
    }
}

#[cfg(test)]
mod tests;
