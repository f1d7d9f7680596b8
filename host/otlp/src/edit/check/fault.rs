//! What can be wrong with edits, said so that a plugin's author finds it.

use crate::path::Path;

/// An edit that breaks the contract. The call fails, and nothing is applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("edit {number} ({kind}): {fault}")]
pub struct EditError {
    /// Which one, counted from 0.
    pub number: usize,
    /// Its kind, as the contract names it.
    pub kind: &'static str,
    /// What is wrong.
    pub fault: EditFault,
}

/// What is wrong with an edit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EditFault {
    /// It names a row that was not shown.
    #[error("row {row} is out of range, the call shows {rows} rows")]
    RowOutOfRange {
        /// The row.
        row: u32,
        /// How many there are.
        rows: usize,
    },
    /// `these` names a row twice.
    #[error("row {0} is named twice")]
    RowTwice(u32),
    /// `marked` has not one byte per row.
    #[error("{marks} marks for {rows} rows, one for each is needed")]
    Marks {
        /// How many it has.
        marks: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// `each` has not one cell for each of its rows.
    #[error("{cells} cells for the {rows} rows of the edit, one for each is needed")]
    Cells {
        /// How many it has.
        cells: usize,
        /// How many rows the edit has.
        rows: usize,
    },
    /// `each` of a layout that cannot be written.
    #[error("each cannot be given as {0}")]
    EachOf(&'static str),
    /// Offsets that do not ascend or reach beyond the data.
    #[error("text {text} does not lie in the data that came with it")]
    Offsets {
        /// Which one.
        text: usize,
    },
    /// A code without a word.
    #[error("code {code} has no word, there are {words}")]
    Code {
        /// The code.
        code: u32,
        /// How many words there are.
        words: usize,
    },
    /// A path that nobody can write, or that is written by entries only.
    #[error("{0} cannot be written by this edit")]
    NotWritable(Path),
    /// A path that the plan does not name among `writes`.
    #[error("{0} is not among the plan's `writes` (or was not granted)")]
    MayNotWrite(Path),
    /// A path that the plan names nowhere.
    #[error("{0} is neither a column of the plan nor among its `reads` (or was not granted)")]
    MayNotRead(Path),
    /// A path that stands for many places.
    #[error("{0} stands for many places and cannot be copied")]
    NotASource(Path),
    /// A plan without `may-drop`.
    #[error("the plan does not say `may-drop` (or it was not granted)")]
    MayNotDrop,
    /// A value of a type that the path does not take.
    #[error("{path} does not take {what}")]
    WrongType {
        /// The path.
        path: Path,
        /// What it was given.
        what: &'static str,
    },
    /// A number that the path does not take.
    #[error("{path} does not take the number {value}")]
    Number {
        /// The path.
        path: Path,
        /// What it was given.
        value: i64,
    },
    /// A probability that is none.
    #[error("{0} is no probability, it must be from 0 to 1")]
    Probability(f64),
    /// A column that the plan does not have, or not as entries.
    #[error("column {column} is not a column of entries, the plan has {columns} columns")]
    NotEntries {
        /// The column.
        column: u32,
        /// How many there are.
        columns: usize,
    },
    /// An entry that was not shown.
    #[error("entry {entry} is out of range, column {column} has {entries}")]
    EntryOutOfRange {
        /// The entry.
        entry: u32,
        /// The column.
        column: u32,
        /// How many there are.
        entries: usize,
    },
    /// Not one text for each entry.
    #[error("{texts} texts for {entries} entries")]
    TextsForEntries {
        /// How many texts.
        texts: usize,
        /// How many entries.
        entries: usize,
    },
    /// An entry at a place that takes no text.
    #[error("entry {entry} at {place} takes no text")]
    TakesNoText {
        /// The entry.
        entry: u32,
        /// Its place.
        place: String,
    },
    /// An entry at a place that cannot be removed.
    #[error("entry {entry} at {place} cannot be removed")]
    CannotBeRemoved {
        /// The entry.
        entry: u32,
        /// Its place.
        place: String,
    },
    /// An entry at a place that the plan does not name among `writes`.
    #[error("entry {entry} at {place} is not among the plan's `writes` (or was not granted)")]
    MayNotWriteEntry {
        /// The entry.
        entry: u32,
        /// Its place.
        place: String,
    },
    /// More than [`super::MOST_EDITS`].
    #[error("more than 65536 edits in one call")]
    TooManyEdits,
    /// More than [`super::MOST_ROWS`].
    #[error("the edits of one call name more than 4194304 rows and entries together")]
    TooManyRows,
    /// More than [`super::MOST_BYTES`].
    #[error(
        "the edits of one call could write {bytes} bytes up to here, 268435456 is the most: write less, or to fewer rows"
    )]
    TooManyBytes {
        /// How many, by an upper estimate.
        bytes: u64,
    },
    /// The edits of earlier calls have left no room.
    #[error("earlier edits of this batch take {bytes} bytes, no more are taken beyond 268435456")]
    BatchIsFull {
        /// How many.
        bytes: u64,
    },
}
