//! A table in memory: rows by key, in a few large pieces, so that even the last holder of an old one is rid of it in a moment.
//!
//! Built once, then never changed. Equal texts are kept once.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use otlp::path::Layout;
use otlp::value::Value;
use wasm::tables::{Rows, Table};

/// A row that is not there.
const NONE: u32 = u32::MAX;

/// A text, in the arena.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u32,
    len: u32,
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cell<'a> {
    Text(&'a str),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// What no layout can show, as a list.
    Other,
}

#[derive(Debug, Clone, Copy)]
enum Kept {
    Text(Place),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Other,
}

/// Why a row is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    #[error("the key is empty")]
    EmptyKey,
    #[error("the key `{0}` is there twice")]
    Twice(String),
    #[error("it is too large for a table")]
    TooLarge,
}

/// The finished table.
pub(super) struct Keyed {
    fields: HashMap<Box<str>, u32>,
    /// Rows by the hash of their keys. It is seeded, so that no sender can choose keys that collide.
    index: HashTable<u32>,
    hasher: RandomState,
    keys: Vec<Place>,
    /// Where the cells of each row begin, and at last where those of the last one end.
    starts: Vec<u32>,
    /// Each row's in the order of their fields.
    cells: Vec<(u32, Kept)>,
    arena: Vec<u8>,
    /// Whether its values have no types of their own: texts that are read as they are asked for.
    untyped: bool,
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed").field("entries", &self.keys.len()).finish_non_exhaustive()
    }
}

/// A table in the making.
pub(super) struct Builder {
    table: Keyed,
    texts: HashTable<Place>,
}

impl Builder {
    pub fn new(untyped: bool) -> Self {
        let table = Keyed {
            fields: HashMap::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            keys: Vec::new(),
            starts: vec![0],
            cells: Vec::new(),
            arena: Vec::new(),
            untyped,
        };
        Self { table, texts: HashTable::new() }
    }

    /// The number of a field.
    pub fn field(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.table.fields.get(name) {
            return known;
        }
        let number = self.table.fields.len() as u32;
        self.table.fields.insert(name.into(), number);
        number
    }

    /// Begins the row of a key.
    pub fn row(&mut self, key: &str) -> Result<(), RowError> {
        if key.is_empty() {
            return Err(RowError::EmptyKey);
        }
        if self.table.row(key.as_bytes()) != NONE {
            return Err(RowError::Twice(key.chars().take(100).collect()));
        }
        let place = self.text(key)?;
        let Keyed { index, hasher, keys, arena, .. } = &mut self.table;
        let row = keys.len() as u32;
        keys.push(place);
        let hash = |row: &u32| hasher.hash_one(slice(arena, keys[*row as usize]));
        index.insert_unique(hash(&row), row, hash);
        Ok(())
    }

    /// A value of the row.
    pub fn cell(&mut self, field: u32, cell: Cell<'_>) -> Result<(), RowError> {
        let kept = match cell {
            Cell::Text(text) => Kept::Text(self.text(text)?),
            Cell::Integer(number) => Kept::Integer(number),
            Cell::Float(number) => Kept::Float(number),
            Cell::Boolean(boolean) => Kept::Boolean(boolean),
            Cell::Other => Kept::Other,
        };
        self.table.cells.push((field, kept));
        Ok(())
    }

    /// Ends the row. Of a field that it has twice the first value counts.
    pub fn end_row(&mut self) -> Result<(), RowError> {
        let Keyed { cells, starts, .. } = &mut self.table;
        let start = starts.last().map_or(0, |&start| start as usize);
        // Stable: the first value stays before the second.
        cells[start..].sort_by_key(|(field, _)| *field);
        let mut end = start;
        for at in start..cells.len() {
            if at == start || cells[at].0 != cells[end - 1].0 {
                cells[end] = cells[at];
                end += 1;
            }
        }
        cells.truncate(end);
        starts.push(u32::try_from(end).map_err(|_| RowError::TooLarge)?);
        Ok(())
    }

    pub fn finish(mut self) -> Keyed {
        let Keyed { keys, starts, cells, arena, .. } = &mut self.table;
        keys.shrink_to_fit();
        starts.shrink_to_fit();
        cells.shrink_to_fit();
        arena.shrink_to_fit();
        self.table
    }

    fn text(&mut self, text: &str) -> Result<Place, RowError> {
        let Keyed { arena, hasher, .. } = &mut self.table;
        let text = text.as_bytes();
        let hash = hasher.hash_one(text);
        if let Some(known) = self.texts.find(hash, |&place| slice(arena, place) == text) {
            return Ok(*known);
        }
        let number = |size: usize| u32::try_from(size).map_err(|_| RowError::TooLarge);
        let place = Place { at: number(arena.len())?, len: number(text.len())? };
        number(arena.len() + text.len())?;
        arena.extend_from_slice(text);
        self.texts.insert_unique(hash, place, |&place| hasher.hash_one(slice(arena, place)));
        Ok(place)
    }
}

fn slice(arena: &[u8], place: Place) -> &[u8] {
    &arena[place.at as usize..place.at as usize + place.len as usize]
}

impl Keyed {
    /// How many rows it has.
    pub fn entries(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Bytes of memory that it takes, about.
    pub fn bytes(&self) -> u64 {
        let pieces = [
            self.arena.len(),
            size_of_val(&*self.cells),
            size_of_val(&*self.starts),
            size_of_val(&*self.keys),
            // A row's number and a byte of its hash for each place.
            self.index.capacity() * (size_of::<u32>() + 1),
        ];
        pieces.into_iter().sum::<usize>() as u64
    }

    fn row(&self, key: &[u8]) -> u32 {
        let is_it = |&row: &u32| slice(&self.arena, self.keys[row as usize]) == key;
        self.index.find(self.hasher.hash_one(key), is_it).copied().unwrap_or(NONE)
    }

    fn value(&self, row: u32, field: u32, layout: Layout) -> Option<Value<'_>> {
        if row == NONE {
            return None;
        }
        let cells = &self.cells[self.starts[row as usize] as usize..self.starts[row as usize + 1] as usize];
        let at = cells.binary_search_by_key(&field, |(field, _)| *field).ok()?;
        Some(match cells[at].1 {
            Kept::Text(place) if self.untyped => read_as(slice(&self.arena, place), layout),
            Kept::Text(place) => Value::Text(slice(&self.arena, place)),
            Kept::Integer(number) => Value::Integer(number),
            Kept::Float(number) => Value::Float(number),
            Kept::Boolean(boolean) => Value::Boolean(boolean),
            Kept::Other => Value::Empty,
        })
    }
}

/// A text as the layout wants it; as it is where it is no such thing.
fn read_as(text: &[u8], layout: Layout) -> Value<'_> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| match layout {
        Layout::Integers => text.parse().ok().map(Value::Integer),
        Layout::Floats => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float),
        Layout::Booleans => text.parse().ok().map(Value::Boolean),
        _ => None,
    });
    match layout {
        Layout::Bytes => Value::Bytes(text),
        _ => parsed.unwrap_or(Value::Text(text)),
    }
}

impl Table for Keyed {
    fn find<'t>(&'t self, keys: &mut dyn Iterator<Item = &[u8]>) -> Box<dyn Rows + 't> {
        Box::new(Found { table: self, rows: keys.map(|key| self.row(key)).collect() })
    }
}

/// Its rows for some keys.
struct Found<'t> {
    table: &'t Keyed,
    rows: Vec<u32>,
}

impl Rows for Found<'_> {
    fn found(&self) -> u64 {
        self.rows.iter().filter(|row| **row != NONE).count() as u64
    }

    fn values<'r>(&'r self, field: &str, layout: Layout) -> Option<Box<dyn Iterator<Item = Option<Value<'r>>> + 'r>> {
        let field = *self.table.fields.get(field)?;
        Some(Box::new(self.rows.iter().map(move |&row| self.table.value(row, field, layout))))
    }
}
