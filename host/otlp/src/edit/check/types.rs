//! What a path takes, and whether what is to be written there is that.

use crate::columns::Cells;
use crate::edit::Constant;
use crate::path::Path;

use super::fault::EditFault;
use super::{cells_len, kind_of, texts_are_whole, words_are_whole};

/// What a path takes that is written otherwise than by entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Any,
    Text,
    /// A number of 32 bits.
    Enumeration,
    /// Nanoseconds since the Unix epoch.
    Time,
}

impl Type {
    /// `None` where a path cannot be written, or by entries only.
    pub(super) fn of(path: &Path) -> Option<Self> {
        Some(match path {
            Path::Attribute(_)
            | Path::ResourceAttribute(_)
            | Path::ScopeAttribute(_)
            | Path::EventAttribute(_)
            | Path::LinkAttribute(_) => Self::Any,
            Path::TraceState
            | Path::Name
            | Path::StatusMessage
            | Path::ResourceSchemaUrl
            | Path::ScopeName
            | Path::ScopeVersion
            | Path::ScopeSchemaUrl
            | Path::EventName => Self::Text,
            Path::Kind | Path::StatusCode => Self::Enumeration,
            Path::StartTime | Path::EndTime => Self::Time,
            _ => return None,
        })
    }

    fn takes(self, value: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Text => false,
            Self::Enumeration => i32::try_from(value).is_ok(),
            Self::Time => value >= 0,
        }
    }
}

pub(super) fn constant(path: &Path, constant: &Constant) -> Result<(), EditFault> {
    let taken = match (Type::of(path), constant) {
        (Some(Type::Any), _) | (Some(Type::Text), Constant::Text(_)) => true,
        (Some(taker), Constant::Integer(value)) if taker != Type::Text => {
            if !taker.takes(*value) {
                return Err(EditFault::Number { path: path.clone(), value: *value });
            }
            true
        }
        _ => false,
    };
    if taken { Ok(()) } else { Err(EditFault::WrongType { path: path.clone(), what: kind_of(constant) }) }
}

/// Checks cells of which there must be one for each of `rows`.
pub(super) fn cells(path: &Path, cells: &Cells, rows: usize) -> Result<(), EditFault> {
    let what = match cells {
        Cells::Text(texts) => {
            texts_are_whole(texts)?;
            "text"
        }
        Cells::Words(words) => {
            words_are_whole(words)?;
            "text"
        }
        Cells::Bytes(texts) => {
            texts_are_whole(texts)?;
            "bytes"
        }
        Cells::Integers(_) => "an integer",
        Cells::Floats(_) => "a float",
        Cells::Booleans(_) => "a boolean",
        Cells::Ids(_) => return Err(EditFault::EachOf("ids")),
        Cells::Entries(_) => return Err(EditFault::EachOf("entries")),
    };
    let len = cells_len(cells).unwrap_or(0);
    if len != rows {
        return Err(EditFault::Cells { cells: len, rows });
    }
    let taker = Type::of(path);
    match (taker, cells) {
        (Some(Type::Any), _) | (Some(Type::Text), Cells::Text(_) | Cells::Words(_)) => Ok(()),
        (Some(taker @ (Type::Enumeration | Type::Time)), Cells::Integers(numbers)) => {
            match numbers.iter().find(|value| !taker.takes(**value)) {
                Some(&value) => Err(EditFault::Number { path: path.clone(), value }),
                None => Ok(()),
            }
        }
        _ => Err(EditFault::WrongType { path: path.clone(), what }),
    }
}
