//! Edits: what a plugin answers. The host's side of the contract's `edit`.

use crate::columns::{Cells, Texts};
use crate::path::Path;

pub mod apply;
pub mod check;
pub mod named;
pub mod permissions;

/// Which rows of the call an edit is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Every row.
    Every,
    /// These, each once.
    These(Vec<u32>),
    /// One byte per row, 0 = not this row.
    Marked(Vec<u8>),
}

/// A constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// Text.
    Text(String),
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Constant {
    /// As it is written.
    #[must_use]
    pub fn as_value(&self) -> crate::value::Value<'_> {
        use crate::value::Value;
        match self {
            Self::Text(text) => Value::Text(text.as_bytes()),
            Self::Boolean(v) => Value::Boolean(*v),
            Self::Integer(v) => Value::Integer(*v),
            Self::Float(v) => Value::Float(*v),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// The same on every row.
    Same(Constant),
    /// One cell for each row of the edit, in order.
    Each(Cells),
}

/// What an edit may find at its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Anything.
    Upsert,
    /// Nothing.
    Insert,
    /// Something.
    Update,
}

/// How a probability is meant; see the contract's `sampling`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// A trace already sampled at or below this probability passes whole.
    Equalizing,
    /// Whatever arrives is thinned by it.
    Proportional,
}

/// One edit, over the rows of the call that it answers. Its paths are text until somebody has read them ([`named`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Edit<P = Path> {
    /// Rows leave the batch.
    Drop {
        /// Which rows.
        at: Rows,
        /// Why.
        reason: String,
    },
    /// Rows are kept with a probability.
    Sample {
        /// Which rows.
        at: Rows,
        /// 0 to 1.
        probability: f64,
        /// How it is meant.
        how: Sampling,
        /// Why the others leave.
        reason: String,
    },
    /// Rows that the plugin has chosen to keep.
    Weigh {
        /// Which rows.
        at: Rows,
        /// Their whole probability, where it is known.
        probability: Option<f64>,
    },
    /// Writes a path.
    Set {
        /// Where.
        path: P,
        /// Which rows.
        at: Rows,
        /// What.
        to: Values,
        /// Over what.
        mode: Mode,
    },
    /// Copies one path to another.
    Copy {
        /// The source.
        path: P,
        /// The target.
        to: P,
        /// Which rows.
        at: Rows,
        /// Over what.
        mode: Mode,
    },
    /// Moves one path to another.
    Move {
        /// The source.
        path: P,
        /// The target.
        to: P,
        /// Which rows.
        at: Rows,
        /// Over what.
        mode: Mode,
    },
    /// Removes a path.
    Remove {
        /// What.
        path: P,
        /// Which rows.
        at: Rows,
    },
    /// Replaces entries of an `entries` column by texts.
    Rewrite {
        /// The column's place in the plan.
        column: u32,
        /// Which entries.
        entries: Vec<u32>,
        /// One text for each.
        to: Texts,
    },
    /// Removes entries of an `entries` column.
    RemoveEntries {
        /// The column's place in the plan.
        column: u32,
        /// Which entries.
        entries: Vec<u32>,
    },
    /// Adds an event.
    Event {
        /// The row.
        row: u32,
        /// Nanoseconds since the Unix epoch.
        time: u64,
        /// Its name.
        name: String,
        /// Its attributes.
        attributes: Vec<(String, Constant)>,
    },
}

impl<P> Edit<P> {
    /// Its kind, as the contract names it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drop { .. } => "drop",
            Self::Sample { .. } => "sample",
            Self::Weigh { .. } => "weigh",
            Self::Set { .. } => "set",
            Self::Copy { .. } => "copy",
            Self::Move { .. } => "move",
            Self::Remove { .. } => "remove",
            Self::Rewrite { .. } => "rewrite",
            Self::RemoveEntries { .. } => "remove-entries",
            Self::Event { .. } => "event",
        }
    }
}

#[cfg(test)]
mod tests;
