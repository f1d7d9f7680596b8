//! From a file to a table, by its format. Every error is for people, and says what to do where that is not plain.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use wasm::tables::Table;

use super::{csv, json, mmdb};
use crate::config::tables::{Format, TableConfig};
use crate::config::units::show_size;

/// A table that was read.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub table: Arc<dyn Table>,
    /// Its rows, or networks.
    pub entries: u64,
    /// Bytes of memory that it takes, about.
    pub bytes: u64,
}

/// Why a file gives no table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReadError {
    /// It cannot be read now; that may change though the file does not, as its mode does.
    Unreadable(String),
    /// What is in it is no table.
    Wrong(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(why) | Self::Wrong(why) => f.write_str(why),
        }
    }
}

/// Reads a table's file.
pub(super) fn read(config: &TableConfig) -> Result<Loaded, ReadError> {
    let content = content(&config.file, config.size)?;
    match &config.format {
        Format::Csv { key, separator } => csv::read(&content, key.as_deref(), *separator).map(keyed),
        Format::Json { key } => json::read(&content, key.as_deref()).map(keyed),
        Format::Mmdb => mmdb::read(content).map(|table| Loaded {
            entries: table.entries(),
            bytes: table.bytes(),
            table: Arc::new(table),
        }),
    }
    .map_err(ReadError::Wrong)
}

fn keyed(table: super::keyed::Keyed) -> Loaded {
    Loaded { entries: table.entries(), bytes: table.bytes(), table: Arc::new(table) }
}

fn content(file: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
    let unreadable = |error: std::io::Error| ReadError::Unreadable(format!("it cannot be read: {error}"));
    let meta = std::fs::metadata(file).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(ReadError::Wrong("it is no regular file".to_owned()));
    }
    // A file that is appended to meanwhile is bounded all the same.
    let mut content = Vec::with_capacity(meta.len().min(most) as usize);
    File::open(file).and_then(|open| open.take(most + 1).read_to_end(&mut content)).map_err(unreadable)?;
    if content.len() as u64 > most {
        let size = show_size(most);
        return Err(ReadError::Wrong(format!("it is larger than {size}; set the table's `size` if that is meant")));
    }
    Ok(content)
}
