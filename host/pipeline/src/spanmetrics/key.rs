//! What tells series apart, as bytes: a series is found by them without a look at what they mean, and named by them when it is shown.
//!
//! A key is the family's byte and one value after another. The key of the family alone is the series of what was too much.

use std::borrow::Cow;

use otlp::value::Value;

/// The values of kinds, by OTLP's numbers.
const KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
/// Those of status codes.
const STATUSES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

const ABSENT: u8 = 0;
const TEXT: u8 = 1;
const INTEGER: u8 = 2;
const FLOAT: u8 = 3;
const TRUE: u8 = 4;
const FALSE: u8 = 5;
const KIND: u8 = 6;
const STATUS: u8 = 7;

/// A value of a label.
#[derive(Debug, Clone, PartialEq)]
pub enum Label<'k> {
    /// A text; what is no UTF-8 is replaced.
    Text(Cow<'k, str>),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Float(f64),
    /// True or false.
    Boolean(bool),
}

impl std::fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Boolean(truth) => truth.fmt(f),
        }
    }
}

/// Appends nothing: the span has no such value.
pub fn put_absent(key: &mut Vec<u8>) {
    key.push(ABSENT);
}

/// Appends a text, cut to `most` bytes.
#[inline]
pub fn put_text(key: &mut Vec<u8>, text: &[u8], most: usize) {
    let text = cut(text, most);
    key.push(TEXT);
    key.extend_from_slice(&(text.len() as u16).to_le_bytes());
    key.extend_from_slice(text);
}

/// Appends a value. Lists, maps and bytes tell no series apart: they count as absent, and the answer is false.
#[inline]
pub fn put_value(key: &mut Vec<u8>, value: Value<'_>, most: usize) -> bool {
    match value {
        Value::Text(text) => put_text(key, text, most),
        Value::Integer(number) => {
            key.push(INTEGER);
            key.extend_from_slice(&number.to_le_bytes());
        }
        Value::Float(number) => {
            key.push(FLOAT);
            key.extend_from_slice(&number.to_le_bytes());
        }
        Value::Boolean(truth) => key.push(if truth { TRUE } else { FALSE }),
        Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => return false,
    }
    true
}

/// Appends a span's kind. A number that OTLP does not have counts as unspecified.
#[inline]
pub fn put_kind(key: &mut Vec<u8>, kind: i32) {
    key.extend([KIND, u8::try_from(kind).ok().filter(|kind| usize::from(*kind) < KINDS.len()).unwrap_or(0)]);
}

/// Appends a status code, likewise.
#[inline]
pub fn put_status(key: &mut Vec<u8>, code: i32) {
    key.extend([STATUS, u8::try_from(code).ok().filter(|code| usize::from(*code) < STATUSES.len()).unwrap_or(0)]);
}

/// The values of a key, without the family's byte; `None` where there is none.
pub fn labels(key: &[u8]) -> impl Iterator<Item = Option<Label<'_>>> {
    let mut rest = key.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&tag, after) = rest.split_first()?;
        let (label, after) = match tag {
            TEXT => {
                let (len, after) = after.split_first_chunk::<2>()?;
                let (text, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
                (Some(Label::Text(String::from_utf8_lossy(text))), after)
            }
            INTEGER => {
                let (number, after) = after.split_first_chunk::<8>()?;
                (Some(Label::Integer(i64::from_le_bytes(*number))), after)
            }
            FLOAT => {
                let (number, after) = after.split_first_chunk::<8>()?;
                (Some(Label::Float(f64::from_le_bytes(*number))), after)
            }
            TRUE | FALSE => (Some(Label::Boolean(tag == TRUE)), after),
            KIND | STATUS => {
                let (&number, after) = after.split_first()?;
                let words: &[&str] = if tag == KIND { &KINDS } else { &STATUSES };
                (words.get(usize::from(number)).map(|word| Label::Text(Cow::Borrowed(*word))), after)
            }
            _ => (None, after),
        };
        rest = after;
        Some(label)
    })
}

/// The first `most` bytes, or less where that would cut a character in two.
pub fn cut(text: &[u8], most: usize) -> &[u8] {
    let most = most.min(usize::from(u16::MAX));
    if text.len() <= most {
        return text;
    }
    let is_within = |byte: u8| byte & 0xc0 == 0x80;
    let mut end = most;
    while end > most.saturating_sub(3) && is_within(text[end]) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_went_into_it() {
        let mut key = vec![b'c'];
        put_text(&mut key, "käse".as_bytes(), 2);
        put_kind(&mut key, 3);
        put_kind(&mut key, 77);
        put_status(&mut key, 2);
        put_status(&mut key, -1);
        for value in [Value::Integer(-7), Value::Float(0.5), Value::Boolean(true), Value::Text(b"\xff")] {
            assert!(put_value(&mut key, value, 100));
        }
        assert!(!put_value(&mut key, Value::Bytes(b"x"), 100));
        put_absent(&mut key);
        let shown: Vec<_> = labels(&key).map(|label| label.map(|label| label.to_string())).collect();
        let expected = [
            "k",
            "SPAN_KIND_CLIENT",
            "SPAN_KIND_UNSPECIFIED",
            "STATUS_CODE_ERROR",
            "STATUS_CODE_UNSET",
            "-7",
            "0.5",
            "true",
            "\u{fffd}",
        ];
        let expected: Vec<_> = expected.into_iter().map(|text| Some(text.to_owned())).chain([None]).collect();
        assert_eq!(shown, expected);
        assert_eq!(labels(b"c").count(), 0);
    }
}
