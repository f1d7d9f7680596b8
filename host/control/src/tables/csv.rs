//! CSV as people and spreadsheets write it: a header row, one row for each key. A file that is not whole or not plain is refused with the
//! line; nothing is guessed.

use csv::{ErrorKind, Position, ReaderBuilder, StringRecord, Trim};

use super::keyed::{Builder, Cell, Keyed};

/// What some programs write at the beginning of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file. `key` names the column of keys; the first one without it. An empty value is none.
pub(super) fn read(content: &[u8], key: Option<&str>, separator: u8) -> Result<Keyed, String> {
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16; save it as UTF-8".to_owned());
    }
    let content = content.strip_prefix(MARK).unwrap_or(content);
    let mut reader = ReaderBuilder::new().delimiter(separator).has_headers(false).trim(Trim::All).from_reader(content);
    let mut record = StringRecord::new();
    if !reader.read_record(&mut record).map_err(|error| said(&error, content))? {
        return Err("it is empty; the first row must name the columns".to_owned());
    }
    let mut builder = Builder::new(true);
    let (columns, of_keys) = columns(&record, key, &mut builder)?;
    let mut last = 1;
    while reader.read_record(&mut record).map_err(|error| said(&error, content))? {
        last = record.position().map_or(last, |at| line_of(at, content));
        row(&record, &columns, of_keys, &mut builder).map_err(|error| format!("line {last}: {error}"))?;
    }
    // Without its end a quoted value takes all that follows, and looks like one.
    if memchr::memchr_iter(b'"', content).count() % 2 == 1 {
        return Err(format!("line {last}: a quotation mark is not closed (within a quoted value it is written twice)"));
    }
    Ok(builder.finish())
}

/// The numbers of the columns' fields, and which column has the keys.
fn columns(header: &StringRecord, key: Option<&str>, builder: &mut Builder) -> Result<(Vec<u32>, usize), String> {
    for (at, name) in header.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("line 1: column {} has no name", at + 1));
        }
        if header.iter().take(at).any(|earlier| earlier == name) {
            return Err(format!("line 1: the column `{name}` is there twice"));
        }
    }
    let of_keys = match key {
        None => 0,
        Some(key) => header.iter().position(|name| name == key).ok_or_else(|| {
            let names: Vec<&str> = header.iter().collect();
            format!("line 1: there is no column `{key}` for the keys; there are {}", names.join(", "))
        })?,
    };
    Ok((header.iter().map(|name| builder.field(name)).collect(), of_keys))
}

fn row(record: &StringRecord, columns: &[u32], of_keys: usize, builder: &mut Builder) -> Result<(), String> {
    let said = |error: super::keyed::RowError| error.to_string();
    builder.row(&record[of_keys]).map_err(said)?;
    for (&field, value) in columns.iter().zip(record).filter(|(_, value)| !value.is_empty()) {
        builder.cell(field, Cell::Text(value)).map_err(said)?;
    }
    builder.end_row().map_err(said)
}

/// Where a record begins: the reader's own place is before the blank lines that it skips.
fn line_of(at: &Position, content: &[u8]) -> u64 {
    let rest = content.get(at.byte() as usize..).unwrap_or_default();
    let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    at.line() + blank.filter(|&&byte| byte == b'\n').count() as u64
}

fn said(error: &csv::Error, content: &[u8]) -> String {
    match error.kind() {
        ErrorKind::UnequalLengths { pos: Some(at), expected_len, len } => {
            let (line, plural) = (line_of(at, content), if *len == 1 { "" } else { "s" });
            format!("line {line}: it has {len} value{plural}, the header row names {expected_len} columns")
        }
        ErrorKind::Utf8 { pos: Some(at), err } => {
            let (line, value) = (line_of(at, content), err.field() + 1);
            format!("line {line}: value {value} is not UTF-8 text; save the file as UTF-8")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
