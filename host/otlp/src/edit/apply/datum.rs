//! A value on its way from a source to a target, and the forms in which it is written.

use crate::batch::Batch;
use crate::edit::Constant;
use crate::value::{self, Value};
use crate::wire::{Reader, Slice};

/// A value that is written somewhere. Slices are the batch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Datum<'d> {
    /// The body of an `AnyValue`, with valid text.
    Any(Slice),
    /// Text, valid.
    Text(Slice),
    /// Text from outside, as it came.
    Foreign(&'d [u8]),
    /// A boolean.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// Bytes from outside.
    Bytes(&'d [u8]),
}

impl<'d> Datum<'d> {
    pub(super) fn of_constant(constant: &'d Constant) -> Self {
        match constant {
            Constant::Text(text) => Self::Foreign(text.as_bytes()),
            Constant::Boolean(v) => Self::Boolean(*v),
            Constant::Integer(v) => Self::Integer(*v),
            Constant::Float(v) => Self::Float(*v),
            Constant::Bytes(bytes) => Self::Bytes(bytes),
        }
    }

    /// As the body of an `AnyValue`.
    #[inline]
    pub(super) fn to_any(self, batch: &mut Batch) -> Slice {
        match self {
            Self::Any(body) => body,
            Self::Text(text) => {
                let at = batch.arena_at();
                crate::wire::put_header(&mut batch.arena, value::field::STRING, text.len as usize);
                batch.append(text);
                batch.since(at)
            }
            Self::Foreign(text) => put(batch, Value::Text(&valid(text))),
            Self::Boolean(v) => put(batch, Value::Boolean(v)),
            Self::Integer(v) => put(batch, Value::Integer(v)),
            Self::Float(v) => put(batch, Value::Float(v)),
            Self::Bytes(bytes) => put(batch, Value::Bytes(bytes)),
        }
    }

    /// As text, if it is one.
    #[inline]
    pub(super) fn to_text(self, batch: &mut Batch) -> Option<Slice> {
        match self {
            Self::Any(body) => text_in(batch, body),
            Self::Text(text) => Some(text),
            Self::Foreign(text) => Some(batch.put(&valid(text))),
            _ => None,
        }
    }

    /// As an integer, if it is one.
    #[inline]
    pub(super) fn to_integer(self, batch: &Batch) -> Option<i64> {
        match self {
            Self::Any(body) => match value::read(batch.get(body)) {
                Value::Integer(v) => Some(v),
                _ => None,
            },
            Self::Integer(v) => Some(v),
            _ => None,
        }
    }
}

fn put(batch: &mut Batch, value: Value<'_>) -> Slice {
    let at = batch.arena_at();
    value::put(&mut batch.arena, value);
    batch.since(at)
}

/// Where the text in a canonical `AnyValue` stands, if it holds one.
pub(super) fn text_in(batch: &Batch, body: Slice) -> Option<Slice> {
    let mut reader = Reader::new(batch.get(body));
    while let Ok(Some(f)) = reader.next() {
        if f.number == value::field::STRING {
            let text = f.bytes().ok()?;
            return Some(Slice { at: body.at + text.at, len: text.len });
        }
    }
    None
}

/// Text with U+FFFD in the place of what is no UTF-8.
#[inline]
pub(super) fn valid(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    match String::from_utf8_lossy(text) {
        std::borrow::Cow::Borrowed(text) => std::borrow::Cow::Borrowed(text.as_bytes()),
        std::borrow::Cow::Owned(text) => std::borrow::Cow::Owned(text.into_bytes()),
    }
}

/// The same text, valid: where it stands if it is, else a valid copy in the arena.
#[inline]
pub(super) fn valid_text(batch: &mut Batch, text: Slice) -> Slice {
    if std::str::from_utf8(batch.get(text)).is_ok() {
        return text;
    }
    let text = valid(batch.get(text)).into_owned();
    batch.put(&text)
}

/// The same `AnyValue`, with valid text.
#[inline]
pub(super) fn valid_any(batch: &mut Batch, body: Slice) -> Slice {
    match value::read(batch.get(body)) {
        Value::Text(text) if std::str::from_utf8(text).is_err() => {
            let text = valid(text).into_owned();
            put(batch, Value::Text(&text))
        }
        Value::Array(_) | Value::Map(_) => match value::valid::any(batch.get(body)) {
            Some(valid) => batch.put(&valid),
            None => body,
        },
        _ => body,
    }
}
