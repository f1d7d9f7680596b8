//! A column for fewer rows, taken from one that is there already: cheaper than looking the values up again.

use super::cells::{PRESENT, empty_texts};
use super::{Cells, Column, Texts, Words};

/// The column that holds, in this order, the rows at `positions` of `column`, which has `rows`. `None` for entries, which name rows by their
/// number and have to be built anew.
pub(super) fn gather(column: &Column, rows: usize, positions: &[u32]) -> Option<Column> {
    let cells = match &column.cells {
        Cells::Text(texts) => Cells::Text(gather_texts(texts, positions)),
        Cells::Bytes(texts) => Cells::Bytes(gather_texts(texts, positions)),
        Cells::Words(words) => Cells::Words(gather_words(words, positions)),
        Cells::Integers(numbers) => Cells::Integers(pick(numbers, positions)),
        Cells::Floats(numbers) => Cells::Floats(pick(numbers, positions)),
        Cells::Booleans(bytes) => Cells::Booleans(pick(bytes, positions)),
        Cells::Ids(bytes) => Cells::Ids(gather_ids(bytes, bytes.len() / rows.max(1), positions)),
        Cells::Entries(_) => return None,
    };
    Some(Column { present: gather_present(&column.present, positions), cells })
}

fn pick<T: Copy>(from: &[T], positions: &[u32]) -> Vec<T> {
    positions.iter().map(|&at| from[at as usize]).collect()
}

fn gather_present(present: &[u8], positions: &[u32]) -> Vec<u8> {
    if positions.iter().all(|&at| present.get(at as usize).is_none_or(|&mark| mark == PRESENT)) {
        return Vec::new();
    }
    pick(present, positions)
}

fn gather_texts(texts: &Texts, positions: &[u32]) -> Texts {
    let mut out = empty_texts(positions.len());
    for &at in positions {
        let (from, to) = (texts.offsets[at as usize], texts.offsets[at as usize + 1]);
        out.data.extend_from_slice(&texts.data[from as usize..to as usize]);
        out.offsets.push(out.data.len() as u32);
    }
    out
}

/// Invariant: only the words of these rows are taken over, because a plugin must not see what stands in others. Word 0
/// stays the empty one.
fn gather_words(words: &Words, positions: &[u32]) -> Words {
    const UNUSED: u32 = u32::MAX;
    let mut new_codes = vec![UNUSED; words.words.len()];
    new_codes[0] = 0;
    let mut kept = Texts { offsets: vec![0, 0], data: Vec::new() };
    let codes = positions.iter().map(|&at| {
        let code = words.codes[at as usize] as usize;
        if new_codes[code] == UNUSED {
            new_codes[code] = kept.len() as u32;
            kept.push(words.words.get(code).expect("every code has a word"));
        }
        new_codes[code]
    });
    Words { codes: codes.collect(), words: kept }
}

fn gather_ids(ids: &[u8], width: usize, positions: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(positions.len() * width);
    for &at in positions {
        out.extend_from_slice(&ids[at as usize * width..][..width]);
    }
    out
}
