//! Row-wise edits, joined: `set` on row 1, 2, 3 becomes one edit of three rows.
//!
//! Edits of different rows do not see each other, so a row may join an earlier group as long as no later group holds
//! the same row. Rows are made in ascending order, so it is enough to know each group's last row.

use super::Edits;
use crate::bindings::types::{self, Cells, Edit, Mode, Texts, Value, Values};
use crate::plan::{Reason, Target};
use crate::rows::Rows;

/// Edits of one row: `edits.row(row.number()).set(self.team, "payments")`.
pub struct RowEdits<'e, 'p> {
    edits: &'e mut Edits<'p>,
    row: u32,
}

/// A group that rows may still join.
pub(super) struct Open {
    /// Where it is in the list.
    index: usize,
    last_row: u32,
    what: What,
}

/// What makes two row-wise edits the same but for their rows.
#[derive(Clone, Copy, PartialEq)]
enum What {
    Drop(Reason),
    Set(Target, Mode, Kind),
    Rename(Target, Target, Mode),
    Remove(Target),
}

/// The type of a value, since one column of cells holds one.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Boolean,
    Integer,
    Float,
    Bytes,
}

impl<'e, 'p> RowEdits<'e, 'p> {
    pub(super) fn new(edits: &'e mut Edits<'p>, row: u32) -> Self {
        Self { edits, row }
    }

    /// Drops the span.
    pub fn drop(self, reason: Reason) {
        let declared = self.edits.declared;
        self.join(What::Drop(reason), |at| Edit::Drop(types::DropRows { at, reason: declared.reason(reason) }));
    }

    /// Sets a place, whether it is there or not.
    pub fn set(&mut self, target: Target, value: impl Into<Value>) -> &mut Self {
        self.set_as(target, value, Mode::Upsert)
    }

    /// Sets a place, only where it is absent (`Insert`) or only where it is there (`Update`).
    pub fn set_as(&mut self, target: Target, value: impl Into<Value>, mode: Mode) -> &mut Self {
        let value = value.into();
        let kind = match &value {
            Value::Text(_) => Kind::Text,
            Value::Boolean(_) => Kind::Boolean,
            Value::Integer(_) => Kind::Integer,
            Value::Float(_) => Kind::Float,
            Value::Bytes(_) => Kind::Bytes,
        };
        let declared = self.edits.declared;
        let index = self.reborrow().join(What::Set(target, mode, kind), |at| {
            let cells = match kind {
                Kind::Text => Cells::Text(Texts::default()),
                Kind::Boolean => Cells::Booleans(Vec::new()),
                Kind::Integer => Cells::Integers(Vec::new()),
                Kind::Float => Cells::Floats(Vec::new()),
                Kind::Bytes => Cells::Bytes(Texts::default()),
            };
            Edit::Set(types::SetPath { path: declared.target(target), at, to: Values::Each(cells), mode })
        });
        if let Edit::Set(types::SetPath { to: Values::Each(cells), .. }) = &mut self.edits.list[index] {
            match (cells, value) {
                (Cells::Text(texts), Value::Text(text)) => texts.push(text),
                (Cells::Bytes(texts), Value::Bytes(bytes)) => texts.push(bytes),
                (Cells::Booleans(cells), Value::Boolean(boolean)) => cells.push(u8::from(boolean)),
                (Cells::Integers(cells), Value::Integer(number)) => cells.push(number),
                (Cells::Floats(cells), Value::Float(number)) => cells.push(number),
                _ => unreachable!("a group is joined by values of its kind only"),
            }
        }
        self
    }

    /// Moves a value: a rename.
    pub fn rename(&mut self, old: Target, new: Target, mode: Mode) -> &mut Self {
        let declared = self.edits.declared;
        self.reborrow().join(What::Rename(old, new, mode), |at| {
            Edit::Move(types::MovePath { path: declared.target(old), to: declared.target(new), at, mode })
        });
        self
    }

    /// Removes a value.
    pub fn remove(&mut self, target: Target) -> &mut Self {
        let declared = self.edits.declared;
        self.reborrow()
            .join(What::Remove(target), |at| Edit::Remove(types::RemovePath { path: declared.target(target), at }));
        self
    }

    fn reborrow(&mut self) -> RowEdits<'_, 'p> {
        RowEdits { edits: self.edits, row: self.row }
    }

    /// Adds the row to a group, a new one if need be; gives the group's place in the list.
    fn join(self, what: What, new: impl FnOnce(Rows) -> Edit) -> usize {
        let Self { edits, row } = self;
        for open in edits.open.iter_mut().rev() {
            if open.what == what && open.last_row < row {
                open.last_row = row;
                add_row(&mut edits.list[open.index], row);
                return open.index;
            }
            if open.last_row >= row {
                break;
            }
        }
        let index = edits.list.len();
        edits.list.push(new(Rows::These(vec![row])));
        edits.open.push(Open { index, last_row: row, what });
        index
    }
}

fn add_row(edit: &mut Edit, row: u32) {
    let at = match edit {
        Edit::Drop(edit) => &mut edit.at,
        Edit::Set(edit) => &mut edit.at,
        Edit::Move(edit) => &mut edit.at,
        Edit::Remove(edit) => &mut edit.at,
        _ => unreachable!("only these edits are made row by row"),
    };
    if let Rows::These(rows) = at {
        rows.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::PlanBuilder;

    fn rows_of(edit: &Edit) -> &[u32] {
        match edit {
            Edit::Drop(types::DropRows { at: Rows::These(rows), .. })
            | Edit::Set(types::SetPath { at: Rows::These(rows), .. })
            | Edit::Remove(types::RemovePath { at: Rows::These(rows), .. }) => rows,
            other => panic!("not an edit of some rows: {other:?}"),
        }
    }

    #[test]
    fn edits_of_many_rows_are_joined_by_what_they_do() {
        let mut plan = PlanBuilder::default();
        let (team, size, why) = (plan.writes("team"), plan.writes("size"), plan.drops("why"));
        let declared = plan.finish();
        let mut edits = Edits::new(&declared);
        for row in 0..100u32 {
            if row % 10 == 0 {
                edits.row(row).drop(why);
            } else {
                edits.row(row).set(team, format!("team {row}")).set(size, i64::from(row));
            }
        }
        let list = edits.into_list();
        assert_eq!(list.len(), 3);
        assert_eq!(list.iter().map(|edit| rows_of(edit).len()).collect::<Vec<_>>(), [10, 90, 90]);
        let Edit::Set(types::SetPath { to: Values::Each(Cells::Text(texts)), .. }) = &list[1] else {
            panic!("the second edit sets texts")
        };
        assert_eq!((texts.offsets.len(), &texts.data[..6]), (91, &b"team 1"[..]));
    }

    #[test]
    fn the_order_of_one_rows_edits_is_kept() {
        let mut plan = PlanBuilder::default();
        let team = plan.writes("team");
        let declared = plan.finish();
        let mut edits = Edits::new(&declared);
        edits.row(0).set(team, "a").remove(team).set(team, "b");
        edits.row(1).set(team, "c");
        edits.row(0).remove(team);
        let list = edits.into_list();
        let rows: Vec<_> = list.iter().map(rows_of).collect();
        assert_eq!(rows, [&[0][..], &[0], &[0, 1], &[0]]);
    }

    #[test]
    fn edits_of_whole_columns_come_between() {
        let mut plan = PlanBuilder::default();
        let team = plan.writes("team");
        let declared = plan.finish();
        let mut edits = Edits::new(&declared);
        edits.row(0).set(team, "a");
        edits.remove(team, Rows::Every);
        edits.row(1).set(team, "b");
        assert_eq!(edits.len(), 3);
    }

    #[test]
    fn edits_of_no_rows_are_left_out() {
        let mut plan = PlanBuilder::default();
        let (team, why) = (plan.writes("team"), plan.drops("why"));
        let declared = plan.finish();
        let mut edits = Edits::new(&declared);
        edits.drop(Rows::NONE, why);
        edits.set(team, Rows::Marked(vec![0, 0, 0]), 1i64);
        assert!(edits.is_empty());
    }
}
