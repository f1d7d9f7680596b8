//! `find`: a guest's question to a table, checked, answered in columns, and counted.
//!
//! Invariant: nothing here panics on what a guest passes; whatever is wrong with a question is said in the answer.

use std::sync::Arc;

use otlp::columns::build::Builder;
use otlp::columns::{Column, Texts};
use otlp::path::Layout;
use otlp::value::Value;

use super::{Access, Entry, Set};
use crate::metrics::{Asked, Sink};

/// Keys times fields of one find. It bounds the time that a guest is in the host, where no deadline ends it: a cell costs less than a
/// microsecond.
const CELLS: usize = 1 << 16;

/// A field that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) layout: Layout,
}

/// What is wrong with a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FindError {
    #[error("no lookup table named `{0}` is configured")]
    Unknown(String),
    #[error("the lookup table `{0}` is not granted to this plugin: add it to `grants.tables` in its sidecar")]
    NotGranted(String),
    #[error("the lookup table `{0}` is not among the `tables` of this plugin's plan")]
    NotPlanned(String),
    #[error("the lookup table `{table}` could not be read: {why}")]
    Broken { table: String, why: Arc<str> },
    #[error("the lookup table `{table}` has no field `{field}`")]
    NoField { table: String, field: String },
    #[error(
        "the field `{field}` is asked for as `{layout}`, which no lookup table has; take text, words, integers, floats, booleans or bytes"
    )]
    Layout { field: String, layout: Layout },
    #[error("the offsets of the keys are empty; there must be one more than keys")]
    NoOffsets,
    #[error("key {0} does not lie in the data of the keys: its offsets are wrong")]
    Offsets(usize),
    #[error("{keys} keys and {fields} fields are asked for at once; keys times fields must not be above {CELLS}")]
    TooMany { keys: usize, fields: usize },
    #[error("the texts of the answer have more than {0} bytes; ask for fewer keys or fields at once")]
    TooLarge(usize),
}

/// Asks tables for one instance.
pub(crate) struct Finder {
    access: Access,
    /// The tables that the plan names; `None` until it is known, and where its contract knows no such list.
    planned: Option<Arc<[String]>>,
    sink: Arc<Sink>,
    /// Bytes of texts that an answer may have.
    most: usize,
    /// What this call sees, from its first find on.
    seen: Option<Arc<Set>>,
    builder: Builder,
    /// The counters of the tables that were asked, looked up once.
    asked: Vec<(Arc<str>, Asked)>,
}

impl Finder {
    pub(crate) fn new(access: Access, sink: Arc<Sink>, most: usize) -> Self {
        Self { access, planned: None, sink, most, seen: None, builder: Builder::default(), asked: Vec::new() }
    }

    /// From now on only these are answered: the plan has named them.
    pub(crate) fn plan(&mut self, tables: Option<&[String]>) {
        self.planned = tables.map(Into::into);
    }

    /// A call begins or has ended: the next find sees the tables of its own time, and no old ones are kept meanwhile.
    pub(crate) fn renew(&mut self) {
        self.seen = None;
    }

    /// One column for each field, one row for each key.
    pub(crate) fn find(&mut self, table: &str, fields: &[Field], keys: &Texts) -> Result<Vec<Column>, FindError> {
        if self.access.granted.as_ref().is_some_and(|granted| !granted.iter().any(|granted| granted == table)) {
            return Err(FindError::NotGranted(shown(table)));
        }
        if self.planned.as_ref().is_some_and(|planned| !planned.iter().any(|planned| planned == table)) {
            return Err(FindError::NotPlanned(shown(table)));
        }
        let seen = Arc::clone(self.seen.get_or_insert_with(|| self.access.tables.current()));
        let Some((name, entry)) = seen.get_key_value(table) else { return Err(FindError::Unknown(shown(table))) };
        let found = match entry {
            Entry::Ready(found) => found,
            Entry::Broken(why) => return Err(FindError::Broken { table: shown(table), why: Arc::clone(why) }),
        };
        check(fields, keys)?;
        let count = keys.len();
        let rows = found.find(&mut (0..count).map(|key| keys.get(key).unwrap_or_default()));
        let mut room = self.most;
        let mut columns = Vec::with_capacity(fields.len());
        for Field { name, layout } in fields {
            let Some(values) = rows.values(name, *layout) else {
                return Err(FindError::NoField { table: shown(table), field: shown(name) });
            };
            let mut fits = true;
            let values = values.map(|value| {
                let Some(Value::Text(text) | Value::Bytes(text)) = value else { return value };
                match room.checked_sub(text.len()) {
                    Some(left) => room = left,
                    None => fits = false,
                }
                // Nothing more is gathered of an answer that will not be given.
                value.filter(|_| fits)
            });
            let column = self.builder.collect(*layout, count, values);
            if !fits {
                return Err(FindError::TooLarge(self.most));
            }
            columns.push(column);
        }
        let found = rows.found();
        self.count(name, count as u64, found);
        Ok(columns)
    }

    fn count(&mut self, table: &Arc<str>, asked: u64, found: u64) {
        let known = self.asked.iter().position(|(known, _)| known == table);
        let at = known.unwrap_or_else(|| {
            self.asked.push((Arc::clone(table), self.sink.asked(table)));
            self.asked.len() - 1
        });
        let Asked { keys, rows } = &self.asked[at].1;
        keys.inc_by(asked);
        rows.inc_by(found);
    }
}

fn check(fields: &[Field], keys: &Texts) -> Result<(), FindError> {
    if keys.offsets.is_empty() {
        return Err(FindError::NoOffsets);
    }
    if keys.len().saturating_mul(fields.len().max(1)) > CELLS || fields.len() > CELLS {
        return Err(FindError::TooMany { keys: keys.len(), fields: fields.len() });
    }
    if let Some(wrong) = (0..keys.len()).find(|&key| keys.get(key).is_none()) {
        return Err(FindError::Offsets(wrong));
    }
    match fields.iter().find(|field| matches!(field.layout, Layout::Ids | Layout::Entries)) {
        Some(Field { name, layout }) => Err(FindError::Layout { field: shown(name), layout: *layout }),
        None => Ok(()),
    }
}

/// As much of a guest's word as a message takes.
fn shown(word: &str) -> String {
    word[..word.floor_char_boundary(100)].to_owned()
}

#[cfg(test)]
mod tests;
