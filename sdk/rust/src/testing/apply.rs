//! Applying edits, and refusing those that the contract refuses.

mod entries;
mod write;

use super::columns::Slice;
use super::model::{Batch, Data, EventRecord, Leaf};
use super::place::{self, Place};
use super::sampling::{Outcome, State};
use crate::bindings::types::{self, Cells, Edit, Mode, Rows, Value, Values};
use crate::layout::Texts;

/// Applies the edits of one call. The error says which edit the host would refuse, and why.
pub(super) fn apply(batch: &mut Batch, slice: &Slice, plan: &types::Plan, edits: Vec<Edit>) -> Result<(), String> {
    for (number, edit) in edits.into_iter().enumerate() {
        let what = format!("{edit:?}");
        let mut apply = Apply { batch, slice, plan };
        apply.edit(edit).map_err(|problem| {
            let what: String = what.chars().take(200).collect();
            format!("edit {number} is refused: {problem}: {what}")
        })?;
    }
    Ok(())
}

struct Apply<'a> {
    batch: &'a mut Batch,
    slice: &'a Slice,
    plan: &'a types::Plan,
}

impl Apply<'_> {
    fn edit(&mut self, edit: Edit) -> Result<(), String> {
        match edit {
            Edit::Drop(edit) => {
                self.may_drop()?;
                for row in self.live(&edit.at)? {
                    self.batch.rows[row].dropped = Some(edit.reason.clone());
                }
            }
            Edit::Sample(edit) => {
                self.may_drop()?;
                for row in self.live(&edit.at)? {
                    let record = &mut self.batch.rows[row];
                    let state = State::of(&record.plain.trace_id, record.trace_state.text());
                    match state.sample(edit.probability, edit.how)? {
                        Outcome::Drop => record.dropped = Some(edit.reason.clone()),
                        Outcome::Keep { trace_state } => record.trace_state.set_text(&trace_state),
                    }
                }
            }
            Edit::Weigh(edit) => {
                self.may_drop()?;
                for row in self.live(&edit.at)? {
                    let record = &mut self.batch.rows[row];
                    let weighed =
                        State::of(&record.plain.trace_id, record.trace_state.text()).weigh(edit.probability)?;
                    record.trace_state.set_text(&weighed);
                }
            }
            Edit::Set(edit) => self.set(&edit)?,
            Edit::Copy(edit) => {
                if !self.plan.reads.contains(&edit.path) && !self.plan.columns.iter().any(|want| want.path == edit.path)
                {
                    return Err(format!("the plan does not read `{}`", edit.path));
                }
                let (from, to) = (place::parse(&edit.path)?, self.writable(&edit.to)?);
                for row in self.live(&edit.at)? {
                    if let Some(data) = place::read(self.batch, &self.batch.rows[row], &from) {
                        write::write(self.batch, row, &to, data, edit.mode);
                    }
                }
            }
            Edit::Move(edit) => {
                let (from, to) = (self.writable(&edit.path)?, self.writable(&edit.to)?);
                for row in self.live(&edit.at)? {
                    if let Some(data) = place::read(self.batch, &self.batch.rows[row], &from)
                        && write::write(self.batch, row, &to, data, edit.mode)
                    {
                        write::remove(self.batch, row, &from);
                    }
                }
            }
            Edit::Remove(edit) => {
                let place = self.writable(&edit.path)?;
                for row in self.live(&edit.at)? {
                    write::remove(self.batch, row, &place);
                }
            }
            Edit::Rewrite(edit) => entries::rewrite(self.batch, self.slice, &self.plan.writes, &edit)?,
            Edit::RemoveEntries(edit) => entries::remove(self.batch, self.slice, &self.plan.writes, &edit)?,
            Edit::Event(edit) => {
                if !self.plan.writes.iter().any(|path| path == "events") {
                    return Err("the plan does not write `events`".to_owned());
                }
                for row in self.live(&Rows::These(vec![edit.row]))? {
                    let attributes = edit.attributes.iter().map(|(key, value)| (key.clone(), Leaf::new(data(value))));
                    self.batch.rows[row].events.push(EventRecord {
                        name: Leaf::new(Data::Text(edit.name.clone())),
                        time: Leaf::new(Data::Integer(edit.time.cast_signed())),
                        attributes: attributes.collect(),
                    });
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, edit: &types::SetPath) -> Result<(), String> {
        let place = self.writable(&edit.path)?;
        let rows = self.chosen(&edit.at)?;
        let values: Vec<Data> = match &edit.to {
            Values::Same(value) => {
                let value = data(value);
                if !write::fits(&place, &value) {
                    return Err(format!("`{}` cannot be {value:?}", edit.path));
                }
                vec![value; rows.len()]
            }
            Values::Each(cells) => cells_as_data(cells)?,
        };
        if values.len() != rows.len() {
            return Err(format!("{} values for {} rows", values.len(), rows.len()));
        }
        for (row, value) in rows.into_iter().zip(values) {
            if self.batch.rows[row].dropped.is_none() {
                if !write::fits(&place, &value) {
                    return Err(format!("`{}` cannot be {value:?}", edit.path));
                }
                write::write(self.batch, row, &place, value, edit.mode);
            }
        }
        Ok(())
    }

    fn may_drop(&self) -> Result<(), String> {
        if self.plan.may_drop { Ok(()) } else { Err("the plan does not say that it may drop".to_owned()) }
    }

    /// A place that the plan names among its writes.
    fn writable(&self, path: &str) -> Result<Place, String> {
        if !place::covers(&self.plan.writes, path) {
            return Err(format!("the plan does not write `{path}`"));
        }
        let place = place::parse(path)?;
        let is_one = !place.is_many()
            || matches!(place, Place::EventsAttribute(_) | Place::LinksAttribute(_) | Place::EventsName);
        if place.is_writable() && is_one { Ok(place) } else { Err(format!("`{path}` cannot be written by this edit")) }
    }

    /// The rows of the batch that an edit names and that no edit has dropped.
    fn live(&self, at: &Rows) -> Result<Vec<usize>, String> {
        let mut rows = self.chosen(at)?;
        rows.retain(|&row| self.batch.rows[row].dropped.is_none());
        Ok(rows)
    }

    /// The rows of the batch that an edit names.
    fn chosen(&self, at: &Rows) -> Result<Vec<usize>, String> {
        let rows = &self.slice.rows;
        match at {
            Rows::Every => Ok(rows.clone()),
            Rows::Marked(marks) if marks.len() != rows.len() => {
                Err(format!("{} marks for {} rows", marks.len(), rows.len()))
            }
            Rows::Marked(marks) => {
                Ok(rows.iter().zip(marks).filter(|(_, mark)| **mark != 0).map(|(row, _)| *row).collect())
            }
            Rows::These(these) => {
                let mut sorted = these.clone();
                sorted.sort_unstable();
                if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                    return Err("a row stands twice in `these`".to_owned());
                }
                let row = |&row: &u32| rows.get(row as usize).copied().ok_or_else(|| format!("there is no row {row}"));
                these.iter().map(row).collect()
            }
        }
    }
}

fn data(value: &Value) -> Data {
    match value {
        Value::Text(text) => Data::Text(text.clone()),
        Value::Boolean(boolean) => Data::Boolean(*boolean),
        Value::Integer(integer) => Data::Integer(*integer),
        Value::Float(float) => Data::Float(*float),
        Value::Bytes(bytes) => Data::Bytes(bytes.clone()),
    }
}

fn cells_as_data(cells: &Cells) -> Result<Vec<Data>, String> {
    let text = |bytes: &[u8]| Data::Text(String::from_utf8_lossy(bytes).into_owned());
    Ok(match cells {
        Cells::Text(texts) => Texts::new(texts).iter().map(|one| text(one.as_bytes())).collect(),
        Cells::Words(words) => {
            let distinct = Texts::new(&words.words);
            let word = |&code: &u32| {
                let known = (code as usize) < distinct.len();
                known.then(|| text(distinct.get(code).as_bytes())).ok_or_else(|| format!("there is no word {code}"))
            };
            words.codes.iter().map(word).collect::<Result<_, _>>()?
        }
        Cells::Integers(cells) => cells.iter().map(|&cell| Data::Integer(cell)).collect(),
        Cells::Floats(cells) => cells.iter().map(|&cell| Data::Float(cell)).collect(),
        Cells::Booleans(cells) => cells.iter().map(|&cell| Data::Boolean(cell != 0)).collect(),
        Cells::Bytes(texts) => Texts::new(texts).iter().map(|one| Data::Bytes(one.as_bytes().to_vec())).collect(),
        Cells::Ids(_) | Cells::Entries(_) => return Err("`each` takes no ids and no entries".to_owned()),
    })
}

/// Whether a mode allows writing where something is, or where nothing is.
fn allows(mode: Mode, is_there: bool) -> bool {
    match mode {
        Mode::Upsert => true,
        Mode::Insert => !is_there,
        Mode::Update => is_there,
    }
}
