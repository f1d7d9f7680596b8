//! What a `set` writes: one constant, or one cell for each row.

use crate::batch::Batch;
use crate::columns::{Cells, Texts, Words};
use crate::edit::Values;

use super::datum::Datum;
use super::target::Target;

/// The values of a `set`, made ready for its target: what many rows share is encoded once.
pub(super) enum Feed<'d> {
    Same(Datum<'d>),
    Texts(&'d Texts),
    Words { words: &'d Words, ready: Vec<Option<Datum<'d>>>, form: Form },
    Integers(&'d [i64]),
    Floats(&'d [f64]),
    Booleans(&'d [u8]),
    Bytes(&'d Texts),
    Nothing,
}

/// How a target wants what is shared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Any,
    Text,
    AsIs,
}

impl Form {
    fn of(target: &Target<'_>) -> Self {
        if target.takes_any() {
            Self::Any
        } else if target.takes_text() {
            Self::Text
        } else {
            Self::AsIs
        }
    }

    fn make<'d>(self, batch: &mut Batch, datum: Datum<'d>) -> Datum<'d> {
        match self {
            Self::Any => Datum::Any(datum.to_any(batch)),
            Self::Text => datum.to_text(batch).map_or(datum, Datum::Text),
            Self::AsIs => datum,
        }
    }
}

impl<'d> Feed<'d> {
    pub(super) fn new(batch: &mut Batch, target: &Target<'_>, values: &'d Values) -> Self {
        let form = Form::of(target);
        match values {
            Values::Same(constant) => Self::Same(form.make(batch, Datum::of_constant(constant))),
            Values::Each(Cells::Text(texts)) => Self::Texts(texts),
            Values::Each(Cells::Words(words)) => Self::Words { words, ready: vec![None; words.words.len()], form },
            Values::Each(Cells::Integers(numbers)) => Self::Integers(numbers),
            Values::Each(Cells::Floats(numbers)) => Self::Floats(numbers),
            Values::Each(Cells::Booleans(bits)) => Self::Booleans(bits),
            Values::Each(Cells::Bytes(bytes)) => Self::Bytes(bytes),
            Values::Each(Cells::Ids(_) | Cells::Entries(_)) => Self::Nothing,
        }
    }

    /// The value for the `k`-th row of the edit.
    #[inline]
    pub(super) fn get(&mut self, batch: &mut Batch, k: usize) -> Option<Datum<'d>> {
        match self {
            Self::Same(datum) => Some(*datum),
            Self::Texts(texts) => texts.get(k).map(Datum::Foreign),
            Self::Words { words, ready, form } => {
                let code = *words.codes.get(k)? as usize;
                let slot = ready.get_mut(code)?;
                if slot.is_none() {
                    *slot = Some(form.make(batch, Datum::Foreign(words.words.get(code)?)));
                }
                *slot
            }
            Self::Integers(numbers) => numbers.get(k).map(|v| Datum::Integer(*v)),
            Self::Floats(numbers) => numbers.get(k).map(|v| Datum::Float(*v)),
            Self::Booleans(bits) => bits.get(k).map(|v| Datum::Boolean(*v != 0)),
            Self::Bytes(bytes) => bytes.get(k).map(Datum::Bytes),
            Self::Nothing => None,
        }
    }
}
