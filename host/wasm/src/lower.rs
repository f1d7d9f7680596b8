//! Columns on their way in: borrowed from where the host built them, so that each list is copied once, into the guest.

use otlp::columns::{Cells, Column, Entries, Texts, Words};

use crate::bindings::tracemill::plugin::types::{CellsParam, ColumnParam, EntriesParam, TextsParam, WordsParam};

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
