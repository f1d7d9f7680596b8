//! Whether edits keep to the contract and to the plan. Everything that fails a call fails here, before anything is
//! applied: all or none.

use crate::batch::Batch;
use crate::columns::{Cells, Texts, Words};
use crate::edit::permissions::Permissions;
use crate::edit::{Constant, Edit, Rows, Values};
use crate::path::Path;
use crate::shown::Shown;

mod budget;
mod entries;
mod fault;
mod types;

use budget::Budget;
pub use budget::MOST_BYTES;
pub use fault::{EditError, EditFault};
use types::Type;

/// How many edits one call may answer.
pub const MOST_EDITS: usize = 1 << 16;
/// How many rows all edits of a call may name together: some hundred edits of every row of the largest call.
pub const MOST_ROWS: usize = 1 << 22;

/// Checks what a plugin answered to what was shown of `batch`, before [`super::apply::apply`].
pub fn check(batch: &Batch, shown: &Shown, permissions: &Permissions, edits: &[Edit]) -> Result<(), EditError> {
    let budget = Budget::new(batch, shown);
    let mut checker = Checker { shown, permissions, seen: Vec::new(), rows: 0, budget };
    for (number, edit) in edits.iter().enumerate() {
        let fault = if number == MOST_EDITS { Err(EditFault::TooManyEdits) } else { checker.edit(edit) };
        fault.map_err(|fault| EditError { number, kind: edit.name(), fault })?;
    }
    Ok(())
}

struct Checker<'a> {
    shown: &'a Shown,
    permissions: &'a Permissions,
    /// One bit for each row that `these` has named.
    seen: Vec<u64>,
    /// How many rows all edits so far name.
    rows: usize,
    budget: Budget<'a>,
}

impl Checker<'_> {
    fn edit(&mut self, edit: &Edit) -> Result<(), EditFault> {
        match edit {
            Edit::Drop { at, .. } => {
                self.may_drop()?;
                self.rows(at)?;
            }
            Edit::Sample { at, probability, .. } => {
                self.may_drop()?;
                self.rows(at)?;
                probability_is_valid(*probability)?;
                self.budget.states(at)?;
            }
            Edit::Weigh { at, probability } => {
                self.may_drop()?;
                self.rows(at)?;
                probability.map_or(Ok(()), probability_is_valid)?;
                self.budget.states(at)?;
            }
            Edit::Set { path, at, to, .. } => {
                self.target(path)?;
                let rows = self.rows(at)?;
                match to {
                    Values::Same(constant) => types::constant(path, constant)?,
                    Values::Each(cells) => types::cells(path, cells, rows)?,
                }
                self.budget.set(path, at, rows, Some(to))?;
            }
            Edit::Copy { path, to, at, .. } => {
                self.source(path)?;
                self.target(to)?;
                let rows = self.rows(at)?;
                self.budget.copy(to, at, rows)?;
            }
            Edit::Move { path, to, at, .. } => {
                self.target(path)?;
                self.target(to)?;
                let rows = self.rows(at)?;
                self.budget.set(path, at, rows, None)?;
                // An attribute that gets another key takes its value along.
                let is_renamed = matches!((path, to), (Path::Attribute(_), Path::Attribute(_)));
                if is_renamed { self.budget.set(to, at, rows, None)? } else { self.budget.copy(to, at, rows)? }
            }
            Edit::Remove { path, at } => {
                self.target(path)?;
                let rows = self.rows(at)?;
                self.budget.set(path, at, rows, None)?;
            }
            Edit::Rewrite { column, entries, to } => {
                if to.len() != entries.len() {
                    return Err(EditFault::TextsForEntries { texts: to.len(), entries: entries.len() });
                }
                texts_are_whole(to)?;
                self.visit(entries.len())?;
                entries::check(self.shown, self.permissions, *column, entries, entries::Use::Rewrite)?;
                self.budget.entries(entries::rows_of(self.shown, *column, entries), Some(to))?;
            }
            Edit::RemoveEntries { column, entries } => {
                self.visit(entries.len())?;
                entries::check(self.shown, self.permissions, *column, entries, entries::Use::Remove)?;
                self.budget.entries(entries::rows_of(self.shown, *column, entries), None)?;
            }
            Edit::Event { row, name, attributes, .. } => {
                self.visit(1)?;
                if *row as usize >= self.shown.rows.len() {
                    return Err(EditFault::RowOutOfRange { row: *row, rows: self.shown.rows.len() });
                }
                if !self.permissions.may_write(&Path::Events) {
                    return Err(EditFault::MayNotWrite(Path::Events));
                }
                self.budget.event(*row, name, attributes)?;
            }
        }
        Ok(())
    }

    fn may_drop(&self) -> Result<(), EditFault> {
        if self.permissions.may_drop() { Ok(()) } else { Err(EditFault::MayNotDrop) }
    }

    /// A path that is written otherwise than by entries.
    fn target(&self, path: &Path) -> Result<(), EditFault> {
        if Type::of(path).is_none() {
            return Err(EditFault::NotWritable(path.clone()));
        }
        if !self.permissions.may_write(path) {
            return Err(EditFault::MayNotWrite(path.clone()));
        }
        Ok(())
    }

    fn source(&self, path: &Path) -> Result<(), EditFault> {
        let is_one_of_many = matches!(path, Path::EventName | Path::EventAttribute(_) | Path::LinkAttribute(_));
        if path.is_many() && !is_one_of_many {
            return Err(EditFault::NotASource(path.clone()));
        }
        if !self.permissions.may_read(path) {
            return Err(EditFault::MayNotRead(path.clone()));
        }
        Ok(())
    }

    /// How many rows an edit is for.
    fn rows(&mut self, at: &Rows) -> Result<usize, EditFault> {
        let rows = self.shown.rows.len();
        let count = match at {
            Rows::Every => rows,
            Rows::These(these) => {
                self.seen.clear();
                self.seen.resize(rows.div_ceil(64), 0);
                for &row in these {
                    let Some(word) = self.seen.get_mut(row as usize / 64).filter(|_| (row as usize) < rows) else {
                        return Err(EditFault::RowOutOfRange { row, rows });
                    };
                    let bit = 1 << (row % 64);
                    if *word & bit != 0 {
                        return Err(EditFault::RowTwice(row));
                    }
                    *word |= bit;
                }
                these.len()
            }
            Rows::Marked(marks) if marks.len() != rows => {
                return Err(EditFault::Marks { marks: marks.len(), rows });
            }
            Rows::Marked(marks) => marks.iter().filter(|mark| **mark != 0).count(),
        };
        self.visit(count)?;
        Ok(count)
    }

    fn visit(&mut self, rows: usize) -> Result<(), EditFault> {
        self.rows += rows;
        if self.rows > MOST_ROWS { Err(EditFault::TooManyRows) } else { Ok(()) }
    }
}

fn probability_is_valid(probability: f64) -> Result<(), EditFault> {
    if (0.0..=1.0).contains(&probability) { Ok(()) } else { Err(EditFault::Probability(probability)) }
}

/// Whether the offsets ascend within the data.
fn texts_are_whole(texts: &Texts) -> Result<(), EditFault> {
    match texts.offsets.windows(2).position(|pair| pair[0] > pair[1] || pair[1] as usize > texts.data.len()) {
        Some(text) => Err(EditFault::Offsets { text }),
        None => Ok(()),
    }
}

fn words_are_whole(words: &Words) -> Result<(), EditFault> {
    texts_are_whole(&words.words)?;
    let known = words.words.len();
    match words.codes.iter().find(|code| **code as usize >= known) {
        Some(&code) => Err(EditFault::Code { code, words: known }),
        None => Ok(()),
    }
}

fn cells_len(cells: &Cells) -> Option<usize> {
    match cells {
        Cells::Text(texts) | Cells::Bytes(texts) => Some(texts.len()),
        Cells::Words(words) => Some(words.codes.len()),
        Cells::Integers(numbers) => Some(numbers.len()),
        Cells::Floats(numbers) => Some(numbers.len()),
        Cells::Booleans(bits) => Some(bits.len()),
        Cells::Ids(_) | Cells::Entries(_) => None,
    }
}

fn kind_of(constant: &Constant) -> &'static str {
    match constant {
        Constant::Text(_) => "text",
        Constant::Boolean(_) => "a boolean",
        Constant::Integer(_) => "an integer",
        Constant::Float(_) => "a float",
        Constant::Bytes(_) => "bytes",
    }
}

#[cfg(test)]
mod tests;
