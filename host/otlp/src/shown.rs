//! What one call of a plugin shows: its rows, its columns, and where their entries stand.

use std::sync::Arc;

use crate::columns::Column;
use crate::columns::entries::Locators;

/// The rows and columns of one call. Edits name rows by their number here, and columns by their place here.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The batch's row behind each row of the call; each row once.
    pub rows: Vec<u32>,
    /// The plan's columns, in its order.
    pub columns: Vec<Arc<Column>>,
    /// For each column in layout `entries`: where its entries stand.
    pub locators: Vec<Option<Arc<Locators>>>,
}
