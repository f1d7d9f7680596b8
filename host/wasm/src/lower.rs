//! Columns on their way in: borrowed from where the host built them, so that each list is copied once, into the guest. What `find`
//! answers is moved there, because nobody else has it.

use otlp::columns::{Cells, Column, Entries, Texts, Words};
use pipeline::chain::sampler::{Due, Traces};

use crate::bindings::sampler::contract as sampler;
use crate::bindings::tracemill::plugin::types::{
    self as wit, CellsParam, ColumnParam, EntriesParam, TextsParam, WordsParam,
};

/// A column as the guest's memory takes it.
pub(crate) fn column(column: &Column) -> ColumnParam<'_> {
    ColumnParam { present: &column.present, cells: cells(&column.cells) }
}

fn cells(cells: &Cells) -> CellsParam<'_> {
    match cells {
        Cells::Text(of) => CellsParam::Text(texts(of)),
        Cells::Words(of) => CellsParam::Words(words(of)),
        Cells::Integers(of) => CellsParam::Integers(of),
        Cells::Floats(of) => CellsParam::Floats(of),
        Cells::Booleans(of) => CellsParam::Booleans(of),
        Cells::Ids(of) => CellsParam::Ids(of),
        Cells::Bytes(of) => CellsParam::Bytes(texts(of)),
        Cells::Entries(of) => CellsParam::Entries(entries(of)),
    }
}

fn texts(of: &Texts) -> TextsParam<'_> {
    TextsParam { offsets: &of.offsets, data: &of.data }
}

fn words(of: &Words) -> WordsParam<'_> {
    WordsParam { codes: &of.codes, words: texts(&of.words) }
}

fn entries(of: &Entries) -> EntriesParam<'_> {
    EntriesParam {
        rows: &of.rows,
        places: words(&of.places),
        values: texts(&of.values),
        kinds: &of.kinds,
        numbers: &of.numbers,
    }
}

/// Traces as the guest's memory takes them; `due` is theirs, by [`why`].
pub(crate) fn traces<'t>(traces: &'t Traces, due: &'t [sampler::Due]) -> sampler::Traces<'t> {
    sampler::Traces {
        due,
        starts: &traces.starts,
        whole: &traces.whole,
        ids: &traces.ids,
        roots: &traces.roots,
        spans: &traces.spans,
        sizes: &traces.sizes,
        errors: &traces.errors,
        weights: &traces.weights,
        start_times: &traces.start_times,
        durations: &traces.durations,
    }
}

/// Why a trace is due.
pub(crate) fn why(due: Due) -> sampler::Due {
    match due {
        Due::Early => sampler::Due::Early,
        Due::RootSeen => sampler::Due::RootSeen,
        Due::Idle => sampler::Due::Idle,
        Due::WaitedLongEnough => sampler::Due::WaitedLongEnough,
        Due::OverBudget => sampler::Due::OverBudget,
        Due::ShuttingDown => sampler::Due::ShuttingDown,
    }
}

/// A column that is the guest's alone.
pub(crate) fn owned(column: Column) -> wit::ColumnResult {
    let texts = |of: Texts| wit::TextsResult { offsets: of.offsets, data: of.data };
    let words = |of: Words| wit::WordsResult { codes: of.codes, words: texts(of.words) };
    let cells = match column.cells {
        Cells::Text(of) => wit::CellsResult::Text(texts(of)),
        Cells::Words(of) => wit::CellsResult::Words(words(of)),
        Cells::Integers(of) => wit::CellsResult::Integers(of),
        Cells::Floats(of) => wit::CellsResult::Floats(of),
        Cells::Booleans(of) => wit::CellsResult::Booleans(of),
        Cells::Ids(of) => wit::CellsResult::Ids(of),
        Cells::Bytes(of) => wit::CellsResult::Bytes(texts(of)),
        Cells::Entries(Entries { rows, places, values, kinds, numbers }) => {
            wit::CellsResult::Entries(wit::EntriesResult {
                rows,
                places: words(places),
                values: texts(values),
                kinds,
                numbers,
            })
        }
    };
    wit::ColumnResult { present: column.present, cells }
}
