//! The layout `entries`: every value of a path that stands for many places, with its place.

use super::{Cells, Column, Entries};
use crate::batch::Batch;
use crate::path::Path;

/// Where the entries of a column stand; kept beside the column and not shown to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locators {
    pub(crate) path: Path,
}

/// The entries of `path` in these rows, and where they stand.
#[must_use]
pub fn build(_batch: &Batch, _rows: &[u32], path: &Path) -> (Column, Locators) {
    (Column { present: Vec::new(), cells: Cells::Entries(Entries::default()) }, Locators { path: path.clone() })
}
