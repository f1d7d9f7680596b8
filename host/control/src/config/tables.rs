//! The `tables` section: the files of lookup tables, one for each name.

use std::path::{Path, PathBuf};

use super::table::Table;

/// How large a file may be. Above the upper bound places in it would not fit into 32 bits.
const SIZE: std::ops::RangeInclusive<u64> = (1 << 10)..=(2 << 30);
const USUAL_SIZE: u64 = 256 << 20;

/// One lookup table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableConfig {
    /// By which plugins ask for it.
    pub name: String,
    /// Where it is.
    pub file: PathBuf,
    /// What it is.
    pub format: Format,
    /// The largest file that is taken, in bytes.
    pub size: u64,
}

/// What a table's file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Values with a separator between them; the first row names the columns.
    Csv {
        /// The column of keys; the first one where it is not said.
        key: Option<String>,
        /// What stands between two values.
        separator: u8,
    },
    /// An object of objects, or an array of them.
    Json {
        /// For an array: the field of keys.
        key: Option<String>,
    },
    /// `MaxMind` DB; the keys are IP addresses.
    Mmdb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv,
    Json,
    Mmdb,
}

impl Format {
    /// What it is called in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Csv { .. } => "csv",
            Self::Json { .. } => "json",
            Self::Mmdb => "mmdb",
        }
    }
}

/// Reads one table; `None` if it has no usable file (the problem is noted).
pub(super) fn read(name: &str, table: &mut Table<'_>) -> Option<TableConfig> {
    let file = table.text("file").map(PathBuf::from);
    let said = table.choice("format", &[("csv", Kind::Csv), ("json", Kind::Json), ("mmdb", Kind::Mmdb)]);
    let key = table.text("key");
    let separators = [("comma", b','), ("semicolon", b';'), ("tab", b'\t')];
    let separator = table.choice("separator", &separators);
    let size = table.size("size", SIZE).unwrap_or(USUAL_SIZE);
    let Some(file) = file else {
        if !table.has("file") {
            table.refuse_whole("needs `file`: a .csv, .json or .mmdb file");
        }
        return None;
    };
    let Some(kind) = said.or_else(|| by_ending(&file)) else {
        if !table.has("format") {
            table.refuse("file", "its ending does not tell what it is: set `format` beside it to csv, json or mmdb");
        }
        return None;
    };
    if kind == Kind::Mmdb && key.is_some() {
        table.refuse("key", "is for csv and json: the keys of an mmdb file are IP addresses");
    }
    if kind != Kind::Csv && separator.is_some() {
        table.refuse("separator", "is for csv");
    }
    let format = match kind {
        Kind::Csv => Format::Csv { key, separator: separator.unwrap_or(b',') },
        Kind::Json => Format::Json { key },
        Kind::Mmdb => Format::Mmdb,
    };
    Some(TableConfig { name: name.to_owned(), file, format, size })
}

fn by_ending(file: &Path) -> Option<Kind> {
    let ending = file.extension()?.to_str()?.to_ascii_lowercase();
    [("csv", Kind::Csv), ("json", Kind::Json), ("mmdb", Kind::Mmdb)]
        .into_iter()
        .find_map(|(known, kind)| (known == ending).then_some(kind))
}
