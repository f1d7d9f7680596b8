//! Edits and decisions on their way out: what a guest answered, moved into the host's own types.
//!
//! Nothing is checked here. Paths are read by `otlp::edit::named`; what an edit may do to which rows is checked by `otlp::edit::check`, whoever
//! made it; decisions are read by `Decisions::read`.

use otlp::columns::{Cells, Entries, Texts, Words};
use otlp::edit::{Constant, Edit, Mode, Rows, Sampling, Values};
use pipeline::chain::sampler::Decisions;

use crate::bindings::sampler::contract as sampler;
use crate::bindings::tracemill::plugin::types as wit;

/// An edit as the guest named it.
pub(crate) fn edit(edit: wit::Edit) -> Edit<String> {
    match edit {
        wit::Edit::Drop(wit::DropRows { at, reason }) => Edit::Drop { at: rows(at), reason },
        wit::Edit::Sample(wit::SampleRows { at, probability, how, reason }) => {
            Edit::Sample { at: rows(at), probability, how: sampling(how), reason }
        }
        wit::Edit::Weigh(wit::WeighRows { at, probability }) => Edit::Weigh { at: rows(at), probability },
        wit::Edit::Set(wit::SetPath { path, at, to, mode: how }) => {
            Edit::Set { path, at: rows(at), to: values(to), mode: mode(how) }
        }
        wit::Edit::Copy(wit::CopyPath { path, to, at, mode: how }) => {
            Edit::Copy { path, to, at: rows(at), mode: mode(how) }
        }
        wit::Edit::Move(wit::MovePath { path, to, at, mode: how }) => {
            Edit::Move { path, to, at: rows(at), mode: mode(how) }
        }
        wit::Edit::Remove(wit::RemovePath { path, at }) => Edit::Remove { path, at: rows(at) },
        wit::Edit::Rewrite(wit::RewriteEntries { column, entries, to }) => {
            Edit::Rewrite { column, entries, to: texts(to) }
        }
        wit::Edit::RemoveEntries(wit::RemoveEntries { column, entries }) => Edit::RemoveEntries { column, entries },
        wit::Edit::Event(wit::SpanEvent { row, time, name, attributes }) => Edit::Event {
            row,
            time,
            name,
            attributes: attributes.into_iter().map(|(key, value)| (key, constant(value))).collect(),
        },
    }
}

/// Decisions as the guest made them.
pub(crate) fn decisions(of: sampler::Decisions) -> Decisions {
    let sampler::Decisions { actions, numbers, reasons } = of;
    Decisions { actions, numbers, reasons: words(reasons) }
}

fn rows(of: wit::Rows) -> Rows {
    match of {
        wit::Rows::Every => Rows::Every,
        wit::Rows::These(rows) => Rows::These(rows),
        wit::Rows::Marked(marks) => Rows::Marked(marks),
    }
}

fn values(of: wit::Values) -> Values {
    match of {
        wit::Values::Same(value) => Values::Same(constant(value)),
        wit::Values::Each(of) => Values::Each(cells(of)),
    }
}

/// A constant of an edit or a condition.
pub(crate) fn constant(of: wit::Value) -> Constant {
    match of {
        wit::Value::Text(text) => Constant::Text(text),
        wit::Value::Boolean(boolean) => Constant::Boolean(boolean),
        wit::Value::Integer(integer) => Constant::Integer(integer),
        wit::Value::Float(float) => Constant::Float(float),
        wit::Value::Bytes(bytes) => Constant::Bytes(bytes),
    }
}

fn cells(of: wit::CellsResult) -> Cells {
    match of {
        wit::CellsResult::Text(of) => Cells::Text(texts(of)),
        wit::CellsResult::Words(of) => Cells::Words(words(of)),
        wit::CellsResult::Integers(of) => Cells::Integers(of),
        wit::CellsResult::Floats(of) => Cells::Floats(of),
        wit::CellsResult::Booleans(of) => Cells::Booleans(of),
        wit::CellsResult::Ids(of) => Cells::Ids(of),
        wit::CellsResult::Bytes(of) => Cells::Bytes(texts(of)),
        wit::CellsResult::Entries(of) => Cells::Entries(Entries {
            rows: of.rows,
            places: words(of.places),
            values: texts(of.values),
            kinds: of.kinds,
            numbers: of.numbers,
        }),
    }
}

fn words(of: wit::WordsResult) -> Words {
    Words { codes: of.codes, words: texts(of.words) }
}

fn texts(of: wit::TextsResult) -> Texts {
    Texts { offsets: of.offsets, data: of.data }
}

fn mode(of: wit::Mode) -> Mode {
    match of {
        wit::Mode::Upsert => Mode::Upsert,
        wit::Mode::Insert => Mode::Insert,
        wit::Mode::Update => Mode::Update,
    }
}

fn sampling(of: wit::Sampling) -> Sampling {
    match of {
        wit::Sampling::Equalizing => Sampling::Equalizing,
        wit::Sampling::Proportional => Sampling::Proportional,
    }
}
