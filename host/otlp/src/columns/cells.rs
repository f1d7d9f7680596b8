//! Cells in the making: one value after the other, in the layout that is wanted.

use super::intern::Interner;
use super::{Cells, Column, Texts};
use crate::path::Layout;
use crate::value::Value;

/// The column's `present`: kept only from the first row on that is not simply there.
#[derive(Debug, Default)]
pub(super) struct Presence {
    rows: usize,
    marks: Vec<u8>,
}

/// There is nothing.
pub(super) const ABSENT: u8 = 0;
/// The cell holds it.
pub(super) const PRESENT: u8 = 1;
/// There is something of another type.
pub(super) const OTHER: u8 = 2;

impl Presence {
    #[inline]
    pub(super) fn there(&mut self) {
        self.rows += 1;
        if !self.marks.is_empty() {
            self.marks.push(PRESENT);
        }
    }

    #[inline]
    pub(super) fn not_there(&mut self, mark: u8) {
        self.marks.resize(self.rows, PRESENT);
        self.marks.push(mark);
        self.rows += 1;
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.marks
    }
}

/// Collects the values of `count` rows into cells of `layout`. A value of another type leaves its row empty.
pub(super) fn collect<'b>(
    interner: &mut Interner,
    layout: Layout,
    count: usize,
    values: impl Iterator<Item = Option<Value<'b>>>,
) -> Column {
    match layout {
        Layout::Words => {
            let (mut presence, mut words) = (Presence::default(), interner.begin(count));
            for value in values {
                if let Some(Value::Text(text)) = value {
                    presence.there();
                    words.push(text);
                } else {
                    presence.not_there(mark(value));
                    words.push_none();
                }
            }
            Column { present: presence.finish(), cells: Cells::Words(words.finish()) }
        }
        Layout::Text => texts(count, values, |value| if let Value::Text(text) = value { Some(text) } else { None })
            .column(Cells::Text),
        Layout::Bytes => texts(count, values, |value| if let Value::Bytes(bytes) = value { Some(bytes) } else { None })
            .column(Cells::Bytes),
        Layout::Integers => numbers(count, values, |value| if let Value::Integer(v) = value { Some(v) } else { None })
            .column(Cells::Integers),
        Layout::Floats => numbers(count, values, |value| if let Value::Float(v) = value { Some(v) } else { None })
            .column(Cells::Floats),
        Layout::Booleans => {
            numbers(count, values, |value| if let Value::Boolean(v) = value { Some(u8::from(v)) } else { None })
                .column(Cells::Booleans)
        }
        // `Want::new` lets neither through for a path with values; ids have their own way.
        Layout::Ids | Layout::Entries => {
            let mut presence = Presence::default();
            values.for_each(|value| presence.not_there(mark(value)));
            Column { present: presence.finish(), cells: Cells::Ids(Vec::new()) }
        }
    }
}

fn mark(value: Option<Value<'_>>) -> u8 {
    if value.is_some() { OTHER } else { ABSENT }
}

/// What is there of each row, and the cells.
pub(super) struct Collected<T>(pub(super) Presence, pub(super) T);

impl<T> Collected<T> {
    pub(super) fn column(self, cells: impl FnOnce(T) -> Cells) -> Column {
        Column { present: self.0.finish(), cells: cells(self.1) }
    }
}

#[inline]
fn texts<'b>(
    count: usize,
    values: impl Iterator<Item = Option<Value<'b>>>,
    take: impl Fn(Value<'b>) -> Option<&'b [u8]>,
) -> Collected<Texts> {
    let mut presence = Presence::default();
    let mut texts = empty_texts(count);
    for value in values {
        match value.and_then(&take) {
            Some(text) => {
                presence.there();
                texts.data.extend_from_slice(text);
            }
            None => presence.not_there(mark(value)),
        }
        texts.offsets.push(texts.data.len() as u32);
    }
    Collected(presence, texts)
}

/// No texts, with room for the offsets of `count`.
pub(super) fn empty_texts(count: usize) -> Texts {
    let mut offsets = Vec::with_capacity(count + 1);
    offsets.push(0);
    Texts { offsets, data: Vec::with_capacity(count * 16) }
}

#[inline]
fn numbers<'b, T: Default>(
    count: usize,
    values: impl Iterator<Item = Option<Value<'b>>>,
    take: impl Fn(Value<'b>) -> Option<T>,
) -> Collected<Vec<T>> {
    let mut presence = Presence::default();
    let mut numbers = Vec::with_capacity(count);
    for value in values {
        if let Some(number) = value.and_then(&take) {
            presence.there();
            numbers.push(number);
        } else {
            presence.not_there(mark(value));
            numbers.push(T::default());
        }
    }
    Collected(presence, numbers)
}
