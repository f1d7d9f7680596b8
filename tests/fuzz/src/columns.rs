//! Any columns of any batch: well formed, whatever the request held, and the same whether kept or built anew.

use crate::choices::Choices;
use crate::index::load;
use bytes::Bytes;
use tracemill_otlp::batch::Batch;
use tracemill_otlp::columns::cache::Cache;
use tracemill_otlp::columns::{Cells, Column, Texts, Words, fitting};
use tracemill_otlp::path::{Layout, Want};

/// The target.
pub fn columns(data: &[u8]) -> bool {
    let Some((body, mut choices)) = Choices::split(data) else { return false };
    let Some(batch) = load(&Bytes::copy_from_slice(body)) else { return false };
    let mut kept = Cache::default();
    for _ in 0..3 {
        let (rows, wants) = (choices.some_of(batch.rows()), choices.wants());
        look(&batch, &rows, &wants, &mut kept);
    }
    true
}

fn look(batch: &Batch, rows: &[u32], wants: &[Want], kept: &mut Cache) {
    let rows = &rows[..fitting(batch, rows, wants)];
    if rows.is_empty() {
        return;
    }
    let shown = kept.show(batch, rows, wants);
    let anew = Cache::default().show(batch, rows, wants);
    assert_eq!(shown.columns.len(), wants.len());
    for ((column, again), want) in shown.columns.iter().zip(&anew.columns).zip(wants) {
        check(column, want, rows.len());
        check(again, want, rows.len());
        assert_eq!(read(column, rows.len()), read(again, rows.len()), "{want:?} kept and built anew");
    }
}

/// What a guest may rely on without looking.
fn check(column: &Column, want: &Want, rows: usize) {
    let present = column.present.len();
    assert!(present == 0 || present == rows && column.present.iter().all(|&value| value <= 2), "{want:?}: present");
    match &column.cells {
        Cells::Text(texts) | Cells::Bytes(texts) => check_texts(texts, rows),
        Cells::Words(words) => check_words(words, rows),
        Cells::Integers(cells) => assert_eq!(cells.len(), rows),
        Cells::Floats(cells) => assert_eq!(cells.len(), rows),
        Cells::Booleans(cells) => assert!(cells.len() == rows && cells.iter().all(|&value| value <= 1)),
        Cells::Ids(cells) => assert!(cells.len() == rows * 8 || cells.len() == rows * 16, "{want:?}: ids"),
        Cells::Entries(entries) => {
            let count = entries.rows.len();
            assert!(present == 0 && want.layout == Layout::Entries);
            assert!(entries.rows.iter().all(|&row| (row as usize) < rows), "an entry in a row that is not shown");
            assert!(entries.rows.is_sorted(), "entries come row by row");
            check_words(&entries.places, count);
            check_texts(&entries.values, count);
            assert!(entries.kinds.is_empty() || entries.kinds.len() == count);
            assert_eq!(entries.kinds.len(), entries.numbers.len());
        }
    }
}

fn check_texts(texts: &Texts, count: usize) {
    assert_eq!(texts.offsets.len(), count + 1);
    assert!(texts.offsets[0] == 0 && texts.offsets.is_sorted());
    assert_eq!(texts.offsets.last().map(|&end| end as usize), Some(texts.data.len()));
}

fn check_words(words: &Words, count: usize) {
    assert_eq!(words.codes.len(), count);
    let known = words.words.offsets.len() - 1;
    check_texts(&words.words, known);
    assert!(words.codes.iter().all(|&code| (code as usize) < known), "a code without a word");
}

/// A column's values row by row: two may number their words differently and still say the same.
fn read(column: &Column, rows: usize) -> Vec<(u8, Vec<u8>)> {
    let cell = |row: usize| match &column.cells {
        Cells::Text(texts) | Cells::Bytes(texts) => texts.get(row).map(<[u8]>::to_vec),
        Cells::Words(words) => words.words.get(words.codes[row] as usize).map(<[u8]>::to_vec),
        Cells::Integers(cells) => Some(cells[row].to_le_bytes().to_vec()),
        Cells::Floats(cells) => Some(cells[row].to_bits().to_le_bytes().to_vec()),
        Cells::Booleans(cells) => Some(vec![cells[row]]),
        Cells::Ids(cells) => Some(cells.chunks(cells.len() / rows).nth(row).unwrap_or_default().to_vec()),
        Cells::Entries(_) => None,
    };
    let present = |row: usize| column.present.get(row).copied().unwrap_or(1);
    match &column.cells {
        Cells::Entries(entries) => (0..entries.rows.len())
            .map(|entry| {
                (entries.kinds.get(entry).copied().unwrap_or(0), entries.values.get(entry).unwrap_or_default().to_vec())
            })
            .collect(),
        _ => (0..rows).map(|row| (present(row), cell(row).expect("a cell for each row"))).collect(),
    }
}
