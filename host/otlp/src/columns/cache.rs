//! Columns kept with a batch: built once, and shown to every stage that wants them while no edit touches their path.
//!
//! A column is kept with the rows that it was built for. A call with fewer rows gets them gathered from it. Owns no
//! knowledge of how columns are built (see [`super::build`], [`super::entries`]) nor of plugins.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::build::{Builder, is_entries};
use super::entries::{self, Locators};
use super::fit::{self, fitting, window};
use super::gather::gather;
use super::{Column, Shown};
use crate::batch::Batch;
use crate::path::{Path, Want};

/// How much a cache keeps at most. A batch with more columns than that has them built again.
const BUDGET: usize = 16 << 20;

/// The columns of one batch. Cleared when the batch is done with.
#[derive(Debug, Default)]
pub struct Cache {
    kept: HashMap<Want, Vec<Kept>, RandomState>,
    /// Bytes in `kept`.
    size: usize,
    builder: Builder,
    positions: Vec<u32>,
}

/// A column and the rows that it was built for, all of one window.
#[derive(Debug, Clone)]
struct Kept {
    rows: Arc<[u32]>,
    column: Arc<Column>,
    locators: Option<Arc<Locators>>,
}

impl Cache {
    /// What a call shows: these rows of the batch, ascending and not more than [`fitting`] allows, in the columns that are
    /// wanted.
    pub fn show(&mut self, batch: &Batch, rows: &[u32], wants: &[Want]) -> Shown {
        let mut shown = Shown {
            rows: rows.to_vec(),
            columns: Vec::with_capacity(wants.len()),
            locators: Vec::with_capacity(wants.len()),
        };
        let mut call = Call { batch, rows, wants, own: None, whole: None, placed: None };
        for want in wants {
            let kept = self.column(&mut call, want);
            shown.columns.push(kept.column);
            shown.locators.push(kept.locators);
        }
        shown
    }

    /// Forgets what writes to these paths have made stale.
    pub fn invalidate(&mut self, written: &[Path]) {
        if written.is_empty() {
            return;
        }
        let size = &mut self.size;
        self.kept.retain(|want, all| {
            let stale = written.iter().any(|path| want.path.is_changed_by(path));
            if stale {
                *size -= all.iter().map(|kept| kept.column.size()).sum::<usize>();
            }
            !stale
        });
    }

    /// Forgets everything: for another batch.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.size = 0;
    }

    fn column(&mut self, call: &mut Call<'_>, want: &Want) -> Kept {
        if is_entries(want) {
            return self.entries(call, want);
        }
        let found = self.kept.get(want).and_then(|all| at_window(all, call.rows)).map(|at| &self.kept[want][at]);
        if let Some(kept) = found {
            if *kept.rows == *call.rows {
                return kept.clone();
            }
            if call.place(&kept.rows, &mut self.positions) {
                let column = gather(&kept.column, kept.rows.len(), &self.positions);
                let column = column.expect("columns of entries are not gathered");
                let gathered = Kept { rows: call.own(), column: Arc::new(column), locators: None };
                // Dropped rows do not come back: what is left of the column serves from now on.
                if call.is_whole() {
                    self.keep(want, gathered.clone());
                }
                return gathered;
            }
        }
        self.built(call, want)
    }

    /// Builds a column: for all rows that are left of the window if the call shows most of them, else for its own.
    fn built(&mut self, call: &mut Call<'_>, want: &Want) -> Kept {
        let all = call.whole();
        if all.len() == call.rows.len() || all.len() > 2 * call.rows.len() || !call.whole_fits() {
            let rows = call.own();
            let column = Arc::new(self.builder.build(call.batch, &rows, want));
            let kept = Kept { rows, column, locators: None };
            self.keep(want, kept.clone());
            return kept;
        }
        let column = Arc::new(self.builder.build(call.batch, &all, want));
        self.keep(want, Kept { rows: all.clone(), column: column.clone(), locators: None });
        let placed = call.place(&all, &mut self.positions);
        debug_assert!(placed, "the rows of a call are not dropped");
        let column = gather(&column, all.len(), &self.positions).expect("columns of entries are not gathered");
        Kept { rows: call.own(), column: Arc::new(column), locators: None }
    }

    /// Entries name their rows, so they serve the same rows only.
    fn entries(&mut self, call: &mut Call<'_>, want: &Want) -> Kept {
        if let Some(all) = self.kept.get(want)
            && let Some(at) = at_window(all, call.rows)
            && *all[at].rows == *call.rows
        {
            return all[at].clone();
        }
        let (column, locators) = entries::build(call.batch, call.rows, &want.path);
        let kept = Kept { rows: call.own(), column: Arc::new(column), locators: Some(Arc::new(locators)) };
        self.keep(want, kept.clone());
        kept
    }

    fn keep(&mut self, want: &Want, kept: Kept) {
        let size = kept.column.size();
        if self.size + size > BUDGET {
            self.clear();
        }
        if let Some(all) = self.kept.get_mut(want) {
            if let Some(at) = at_window(all, &kept.rows) {
                self.size -= all[at].column.size();
                all[at] = kept;
            } else {
                all.push(kept);
            }
        } else {
            self.kept.insert(want.clone(), vec![kept]);
        }
        self.size += size;
    }
}

/// Which of these is of the same window as `rows`.
fn at_window(all: &[Kept], rows: &[u32]) -> Option<usize> {
    let wanted = rows.first().map(|&row| window(row));
    all.iter().position(|kept| kept.rows.first().map(|&row| window(row)) == wanted)
}

/// One call's rows, and what is found out about them when it is first needed.
struct Call<'c> {
    batch: &'c Batch,
    rows: &'c [u32],
    wants: &'c [Want],
    own: Option<Arc<[u32]>>,
    /// All rows of the window that are not dropped, and whether one call can show them.
    whole: Option<(Arc<[u32]>, Option<bool>)>,
    /// For which rows the positions were computed, and whether they hold all of the call's.
    placed: Option<(Arc<[u32]>, bool)>,
}

impl Call<'_> {
    fn own(&mut self) -> Arc<[u32]> {
        self.own.get_or_insert_with(|| self.rows.into()).clone()
    }

    fn whole(&mut self) -> Arc<[u32]> {
        if self.whole.is_none() {
            let all = self.find_whole();
            self.whole = Some((all, None));
        }
        let (all, _) = self.whole.as_ref().expect("it was just found");
        all.clone()
    }

    fn find_whole(&mut self) -> Arc<[u32]> {
        // The usual case first: nothing but this call's rows is left of the batch.
        if self.rows.len() == self.batch.live() as usize {
            return self.own();
        }
        let first = self.rows.first().map_or(0, |&row| window(row) * fit::MAX_ROWS);
        let last = (first + fit::MAX_ROWS).min(self.batch.rows());
        let live = (first..last).filter(|&row| !self.batch.spans[row as usize].dropped);
        let all: Vec<u32> = live.collect();
        if all == self.rows { self.own() } else { all.into() }
    }

    fn is_whole(&mut self) -> bool {
        self.whole().len() == self.rows.len()
    }

    fn whole_fits(&mut self) -> bool {
        let all = self.whole();
        let (batch, wants) = (self.batch, self.wants);
        let (_, fits) = self.whole.as_mut().expect("it was just found");
        *fits.get_or_insert_with(|| fitting(batch, &all, wants) == all.len())
    }

    /// Writes the place of each of the call's rows among `among`, and says whether all have one.
    fn place(&mut self, among: &Arc<[u32]>, positions: &mut Vec<u32>) -> bool {
        if let Some((last, holds)) = &self.placed
            && Arc::ptr_eq(last, among)
        {
            return *holds;
        }
        positions.clear();
        let mut at = 0;
        for &row in self.rows {
            while among.get(at).is_some_and(|&other| other < row) {
                at += 1;
            }
            if among.get(at) != Some(&row) {
                break;
            }
            positions.push(at as u32);
        }
        let holds = positions.len() == self.rows.len();
        self.placed = Some((among.clone(), holds));
        holds
    }
}

#[cfg(test)]
mod tests;
