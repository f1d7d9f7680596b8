//! Applying edits that have been checked. Infallible: whatever could fail the call has failed in [`super::check`].
//!
//! Edits are applied in order, and each sees what those before it wrote. New bytes go into the batch's arena, and the
//! index is turned there; nothing is allocated for each row.

use crate::batch::{Batch, Changes};
use crate::edit::{Edit, Mode, Rows, Values};
use crate::path::Path;
use crate::shown::Shown;

mod attributes;
mod datum;
mod drops;
mod entries;
mod feed;
mod owners;
mod parts;
mod patch;
mod source;
mod span;
mod splicer;
mod target;
mod trace_state;

use entries::Resolved;
use feed::Feed;
use owners::LiveRows;
use source::Source;
use splicer::Splicer;
use target::Target;

/// What a call's edits have done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// How many rows left for each reason, in the order of the edits.
    pub dropped: Vec<(String, u32)>,
    /// How many of the rows shown were written to (and not dropped by an earlier edit).
    pub touched: u32,
    /// The paths that may read differently now. Drops are not among them.
    pub written: Vec<Path>,
}

/// Applies `edits`, which [`super::check::check`] has accepted for this batch and what was shown of it.
pub fn apply(batch: &mut Batch, shown: &Shown, edits: &[Edit]) -> Applied {
    let resolved = entries::resolve(batch, shown, edits);
    // Who shares what, as it was shown; asked for entries only.
    let owners_then = if resolved.is_empty() {
        Vec::new()
    } else {
        let owners = |row: &u32| {
            let scope = batch.spans[*row as usize].scope;
            (scope, batch.scopes[scope as usize].resource)
        };
        shown.rows.iter().map(owners).collect()
    };
    let tracking = edits.len() > 1 && !resolved.is_empty();
    let mut applier = Applier {
        touched: vec![0; shown.rows.len().div_ceil(64)],
        batch,
        shown,
        applied: Applied::default(),
        last_scope: u32::MAX,
        scratch: Vec::new(),
        splicer: Splicer::new(tracking),
        resolved,
        owners_then,
        live: LiveRows::default(),
    };
    for (number, edit) in edits.iter().enumerate() {
        applier.edit(number, edit);
        #[cfg(test)]
        assert!(applier.live_rows_are_right(), "after edit {number}");
    }
    let touched = applier.touched.iter().map(|word| word.count_ones()).sum();
    Applied { touched, ..applier.applied }
}

struct Applier<'a> {
    batch: &'a mut Batch,
    shown: &'a Shown,
    applied: Applied,
    /// One bit for each row of the call.
    touched: Vec<u64>,
    /// The scope whose owners were told last that something below them has changed.
    last_scope: u32,
    scratch: Vec<u8>,
    splicer: Splicer,
    /// The entries of each edit; empty if no edit has any.
    resolved: Vec<Resolved>,
    /// Scope and resource of each row of the call, as it was shown.
    owners_then: Vec<(u32, u32)>,
    live: LiveRows,
}

impl<'a> Applier<'a> {
    fn edit(&mut self, number: usize, edit: &'a Edit) {
        match edit {
            Edit::Drop { at, reason } => self.drop_rows(at, reason),
            Edit::Sample { at, probability, how, reason } => self.sample(at, *probability, *how, reason),
            Edit::Weigh { at, probability } => self.weigh(at, *probability),
            Edit::Set { path, at, to, mode } => self.set(path, at, to, *mode),
            Edit::Copy { path, to, at, mode } => {
                if path != to {
                    self.copy(path, to, at, *mode, None);
                }
            }
            Edit::Move { path, to, at, mode } => self.move_path(path, to, at, *mode),
            Edit::Remove { path, at } => self.remove(path, at),
            Edit::Rewrite { to, .. } => self.edit_entries(number, Some(to)),
            Edit::RemoveEntries { .. } => self.edit_entries(number, None),
            Edit::Event { row, time, name, attributes } => self.add_event(*row, *time, name, attributes),
        }
    }

    fn set(&mut self, path: &'a Path, at: &Rows, to: &'a Values, mode: Mode) {
        let Some(target) = Target::of(self.batch, path) else { return };
        let mut feed = Feed::new(self.batch, &target, to);
        self.write(&target, at, mode, |batch, k, _row| feed.get(batch, k), None);
        self.note(path);
    }

    /// Copies one path to another. The rows that were written are noted in `done`.
    fn copy(&mut self, path: &Path, to: &Path, at: &Rows, mode: Mode, done: Option<&mut Vec<u32>>) {
        let Some(target) = Target::of(self.batch, to) else { return };
        let mut source = Source::of(self.batch, path);
        self.write(&target, at, mode, |batch, _k, row| source.read(batch, row), done);
        self.note(to);
    }

    fn move_path(&mut self, path: &Path, to: &Path, at: &Rows, mode: Mode) {
        if path == to {
            return;
        }
        if let (Path::Attribute(from), Path::Attribute(into)) = (path, to) {
            self.move_attribute(from, into, at, mode);
            self.note(to);
        } else {
            let mut moved = Vec::new();
            self.copy(path, to, at, mode, Some(&mut moved));
            self.remove(path, &Rows::These(moved));
        }
        self.note(path);
    }

    fn remove(&mut self, path: &Path, at: &Rows) {
        let Some(target) = Target::of(self.batch, path) else { return };
        self.erase(&target, at);
        self.note(path);
    }

    fn note(&mut self, path: &Path) {
        if !self.applied.written.contains(path) {
            self.applied.written.push(path.clone());
        }
    }

    fn note_path(&mut self, path: Path) {
        if !self.applied.written.contains(&path) {
            self.applied.written.push(path);
        }
    }

    /// Calls `each` with every live row of `at`: its place in `at`, and its number in the call.
    #[inline]
    fn for_rows(&mut self, at: &Rows, mut each: impl FnMut(&mut Self, usize, u32)) {
        let shown = self.shown;
        let mut live = |applier: &mut Self, k: usize, row: u32| {
            if !applier.batch.spans[shown.rows[row as usize] as usize].dropped {
                each(applier, k, row);
            }
        };
        match at {
            Rows::Every => {
                for row in 0..shown.rows.len() {
                    live(self, row, row as u32);
                }
            }
            Rows::These(rows) => {
                for (k, &row) in rows.iter().enumerate() {
                    live(self, k, row);
                }
            }
            Rows::Marked(marks) => {
                let marked = marks.iter().enumerate().filter(|(_, mark)| **mark != 0);
                for (k, (row, _)) in marked.enumerate() {
                    live(self, k, row as u32);
                }
            }
        }
    }

    /// The batch's row behind a row of the call.
    #[inline]
    fn batch_row(&self, row: u32) -> usize {
        self.shown.rows[row as usize] as usize
    }

    /// Notes what has changed of a row.
    #[inline]
    fn changed(&mut self, row: u32, changes: Changes) {
        let span = self.batch_row(row);
        self.batch.spans[span].changes.add(changes);
        let scope = self.batch.spans[span].scope;
        if scope != self.last_scope {
            self.batch.touch_owners(scope as usize);
            self.last_scope = scope;
        }
        self.touch(row);
    }

    #[inline]
    fn touch(&mut self, row: u32) {
        self.touched[row as usize / 64] |= 1 << (row % 64);
    }
}
