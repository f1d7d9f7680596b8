//! Building the columns of a call, as the contract lays them out.

use super::model::{Batch, Data, Leaf};
use super::place::{self, Place};
use super::span::{Value, from_hex};
use crate::bindings::types::{self, Cells, Layout};

/// What one call is shown: rows of the batch and columns of them.
pub(super) struct Slice {
    /// The batch's row for each row of the call.
    pub rows: Vec<usize>,
    pub columns: Vec<types::Column>,
    /// For each column of entries, what each entry stands for; empty for the others.
    pub entries: Vec<Vec<EntryOf>>,
}

/// Where an entry stands.
pub(super) struct EntryOf {
    pub leaf: u32,
    pub place: String,
}

impl Slice {
    /// The columns of these rows. Values that are shared stand once, but anew from each of `starts` on.
    pub fn build(batch: &Batch, rows: &[usize], starts: &[u32], wants: &[types::Want]) -> Result<Self, String> {
        let mut slice = Self { rows: rows.to_vec(), columns: Vec::new(), entries: Vec::new() };
        for want in wants {
            let place = place::parse(&want.path)?;
            let (column, entries) = if want.layout == Layout::Entries {
                entries(batch, rows, starts, &place)
            } else {
                let values = rows.iter().map(|&row| place::read(batch, &batch.rows[row], &place));
                (plain(values.collect(), want.layout, &place)?, Vec::new())
            };
            slice.columns.push(column);
            slice.entries.push(entries);
        }
        Ok(slice)
    }
}

fn plain(values: Vec<Option<Data>>, layout: Layout, place: &Place) -> Result<types::Column, String> {
    let width = if *place == Place::Field(place::Field::TraceId) { 16 } else { 8 };
    let mut present = Vec::new();
    let mut builder = Builder::new(layout, width);
    for value in values {
        present.push(match &value {
            None => 0,
            Some(value) if builder.push(value)? => 1,
            Some(_) => 2,
        });
        if present.last() != Some(&1) {
            builder.push_nothing();
        }
    }
    Ok(builder.finish(present))
}

/// The answer of a lookup table.
pub(super) fn of_values(values: &[Option<&Value>], layout: Layout) -> Result<types::Column, String> {
    let data = values.iter().map(|value| {
        value.map(|value| match value {
            Value::Text(text) => Data::Text(text.clone()),
            Value::Boolean(boolean) => Data::Boolean(*boolean),
            Value::Integer(integer) => Data::Integer(*integer),
            Value::Float(float) => Data::Float(*float),
            Value::Bytes(bytes) => Data::Bytes(bytes.clone()),
            Value::Empty | Value::Array(_) | Value::Map(_) => Data::Empty,
        })
    });
    plain(data.collect(), layout, &Place::Strings)
}

/// Cells as they grow.
struct Builder {
    cells: Cells,
    distinct: Vec<String>,
    width: usize,
}

impl Builder {
    fn new(layout: Layout, width: usize) -> Self {
        let cells = match layout {
            Layout::Text => Cells::Text(types::Texts::default()),
            Layout::Words => Cells::Words(types::Words { codes: Vec::new(), words: types::Texts::default() }),
            Layout::Integers => Cells::Integers(Vec::new()),
            Layout::Floats => Cells::Floats(Vec::new()),
            Layout::Booleans => Cells::Booleans(Vec::new()),
            Layout::Ids => Cells::Ids(Vec::new()),
            Layout::Bytes => Cells::Bytes(types::Texts::default()),
            Layout::Entries => unreachable!("entries are built by themselves"),
        };
        Self { cells, distinct: Vec::new(), width }
    }

    /// False if the value does not fit the layout.
    fn push(&mut self, value: &Data) -> Result<bool, String> {
        match (&mut self.cells, value) {
            (Cells::Text(texts), Data::Text(text)) => texts.push(text),
            (Cells::Words(_), Data::Text(text)) => self.push_word(text.clone()),
            (Cells::Integers(cells), Data::Integer(integer)) => cells.push(*integer),
            (Cells::Floats(cells), Data::Float(float)) => cells.push(*float),
            (Cells::Booleans(cells), Data::Boolean(boolean)) => cells.push(u8::from(*boolean)),
            (Cells::Bytes(texts), Data::Bytes(bytes)) => texts.push(bytes),
            (Cells::Ids(cells), Data::Text(hex)) => {
                let id = from_hex(hex).filter(|id| id.len() == self.width);
                cells.extend(id.ok_or_else(|| format!("`{hex}` is no id of {} bytes", self.width))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push_word(&mut self, word: String) {
        let code = self.distinct.iter().position(|known| *known == word).unwrap_or_else(|| {
            self.distinct.push(word);
            self.distinct.len() - 1
        });
        if let Cells::Words(words) = &mut self.cells {
            words.codes.push(code as u32);
        }
    }

    fn push_nothing(&mut self) {
        match &mut self.cells {
            Cells::Text(texts) | Cells::Bytes(texts) => texts.push(""),
            // `finish` gives rows without a word code 0.
            Cells::Words(words) => words.codes.push(u32::MAX),
            Cells::Integers(cells) => cells.push(0),
            Cells::Floats(cells) => cells.push(0.0),
            Cells::Booleans(cells) => cells.push(0),
            Cells::Ids(cells) => cells.extend(std::iter::repeat_n(0, self.width)),
            Cells::Entries(_) => unreachable!("entries are built by themselves"),
        }
    }

    fn finish(mut self, present: Vec<u8>) -> types::Column {
        let all = present.iter().all(|&present| present == 1);
        if let Cells::Words(words) = &mut self.cells {
            if !all {
                // Word 0 is then empty, and stands for present empty texts too.
                let old_empty = self.distinct.iter().position(String::is_empty);
                let empty = old_empty.map(|index| index as u32);
                if let Some(index) = old_empty {
                    self.distinct.remove(index);
                }
                self.distinct.insert(0, String::new());
                for code in &mut words.codes {
                    *code = match (*code, empty) {
                        (u32::MAX, _) => 0,
                        (code, Some(empty)) if code == empty => 0,
                        (code, Some(empty)) if code > empty => code,
                        (code, _) => code + 1,
                    };
                }
            }
            words.words = self.distinct.iter().collect();
        }
        types::Column { present: if all { Vec::new() } else { present }, cells: self.cells }
    }
}

fn entries(batch: &Batch, rows: &[usize], starts: &[u32], place: &Place) -> (types::Column, Vec<EntryOf>) {
    let mut seen_resources = Vec::new();
    let mut seen_scopes = Vec::new();
    let mut of = Vec::new();
    let mut places = Builder::new(Layout::Words, 0);
    let (mut numbers_of_rows, mut kinds, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let mut values = types::Texts::default();
    for (number, &row) in rows.iter().enumerate() {
        let record = &batch.rows[row];
        if starts.binary_search(&(number as u32)).is_ok() {
            seen_resources.clear();
            seen_scopes.clear();
        }
        let with_resource = first(&mut seen_resources, record.resource);
        let with_scope = first(&mut seen_scopes, record.scope);
        for found in place::leaves(batch, record, place, with_resource, with_scope) {
            numbers_of_rows.push(number as u32);
            places.push_word(found.place.clone());
            let (kind, number, bytes) = parts(found.leaf);
            kinds.push(kind);
            numbers.push(number);
            values.push(bytes);
            of.push(EntryOf { leaf: found.leaf.id, place: found.place });
        }
    }
    let Cells::Words(places) = places.finish(Vec::new()).cells else { unreachable!("places are words") };
    if kinds.iter().all(|&kind| kind == 0) {
        (kinds, numbers) = (Vec::new(), Vec::new());
    }
    let entries = types::Entries { rows: numbers_of_rows, places, values, kinds, numbers };
    (types::Column { present: Vec::new(), cells: Cells::Entries(entries) }, of)
}

fn first(seen: &mut Vec<usize>, index: usize) -> bool {
    let new = !seen.contains(&index);
    if new {
        seen.push(index);
    }
    new
}

/// Kind, number and bytes of an entry.
fn parts(leaf: &Leaf) -> (u8, u64, &[u8]) {
    match &leaf.data {
        Data::Text(text) => (0, 0, text.as_bytes()),
        Data::Boolean(boolean) => (1, u64::from(*boolean), b""),
        Data::Integer(integer) => (2, integer.cast_unsigned(), b""),
        Data::Float(float) => (3, float.to_bits(), b""),
        Data::Bytes(bytes) => (4, 0, bytes),
        Data::Empty | Data::Array(_) | Data::Map(_) => unreachable!("entries are single values"),
    }
}
