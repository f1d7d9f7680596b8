//! Edits as they come from whoever made them, their paths still text, made into edits that can be checked.
//!
//! Only what the types demand is checked here: a path must be one. What an edit may do to which rows is [`check`](super::check)'s.

use hashbrown::HashMap;

use super::Edit;
use crate::path::{Path, PathError};

/// Paths that are kept parsed; a plugin names few, and one that names many pays for the parsing. With the bound on a path's length that bounds
/// their bytes too.
const KEPT: usize = 256;

/// The paths that a plugin's edits have named so far.
#[derive(Debug, Default)]
pub struct Paths {
    known: HashMap<String, Path>,
}

/// An edit that names no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("edit {edit}: {reason}")]
pub struct NamedError {
    /// Counted from 1.
    edit: usize,
    reason: PathError,
}

impl Paths {
    /// Knows the paths of a plan from the start.
    #[must_use]
    pub fn new(paths: impl IntoIterator<Item = Path>) -> Self {
        Self { known: paths.into_iter().take(KEPT).map(|path| (path.to_string(), path)).collect() }
    }

    /// Reads the paths of edits.
    ///
    /// # Errors
    ///
    /// The first edit that names something else.
    pub fn edits(&mut self, named: impl IntoIterator<Item = Edit<String>>) -> Result<Vec<Edit>, NamedError> {
        let read = |(at, edit): (usize, Edit<String>)| {
            edit.with_paths(|text| self.parse(text)).map_err(|reason| NamedError { edit: at + 1, reason })
        };
        named.into_iter().enumerate().map(read).collect()
    }

    fn parse(&mut self, text: String) -> Result<Path, PathError> {
        if let Some(path) = self.known.get(&text) {
            return Ok(path.clone());
        }
        let path: Path = text.parse()?;
        if self.known.len() < KEPT {
            self.known.insert(text, path.clone());
        }
        Ok(path)
    }
}

impl<P> Edit<P> {
    /// The same edit with other paths.
    fn with_paths<Q, E>(self, mut read: impl FnMut(P) -> Result<Q, E>) -> Result<Edit<Q>, E> {
        Ok(match self {
            Self::Drop { at, reason } => Edit::Drop { at, reason },
            Self::Sample { at, probability, how, reason } => Edit::Sample { at, probability, how, reason },
            Self::Weigh { at, probability } => Edit::Weigh { at, probability },
            Self::Set { path, at, to, mode } => Edit::Set { path: read(path)?, at, to, mode },
            Self::Copy { path, to, at, mode } => Edit::Copy { path: read(path)?, to: read(to)?, at, mode },
            Self::Move { path, to, at, mode } => Edit::Move { path: read(path)?, to: read(to)?, at, mode },
            Self::Remove { path, at } => Edit::Remove { path: read(path)?, at },
            Self::Rewrite { column, entries, to } => Edit::Rewrite { column, entries, to },
            Self::RemoveEntries { column, entries } => Edit::RemoveEntries { column, entries },
            Self::Event { row, time, name, attributes } => Edit::Event { row, time, name, attributes },
        })
    }
}
