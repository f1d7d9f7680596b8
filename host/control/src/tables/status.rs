//! What there is to be said about lookup tables: a snapshot that is replaced whole, so that readers wait for nobody.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub table: String,
    /// Its file.
    pub file: String,
    /// `csv`, `json` or `mmdb`.
    pub format: String,
    /// Whether it can be asked; with an error beside it, it is the last good one that is.
    pub ready: bool,
    /// Its rows, or networks.
    pub entries: u64,
    /// Bytes of memory that it takes, about.
    pub bytes: u64,
    /// When what is asked was read, in seconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loaded_at: Option<u64>,
    /// Why the newest file is not what is asked, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where the newest snapshot is.
pub type Shared = Arc<ArcSwap<Vec<Status>>>;
