//! Headers whose values are kept in files.

use std::path::PathBuf;

use http::HeaderName;

/// A header whose value a file holds. The file is read again when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHeader {
    /// Its name.
    pub name: HeaderName,
    /// Where its value is; a line's end behind it does not count.
    pub file: PathBuf,
    /// What becomes of it.
    pub form: Form,
}

/// What becomes of what a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The value, as it is.
    Plain,
    /// A token: `Bearer TOKEN`.
    Bearer,
    /// The password of a user: HTTP's basic authentication.
    Basic {
        /// The user.
        username: String,
    },
}
