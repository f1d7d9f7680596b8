//! Lists of attributes, events and links while their owner is scanned: what stays, what is rewritten, what is new.

use crate::batch::{Attribute, Batch, Part};
use crate::value;
use crate::wire::{self, Field, Payload, Reader};

use super::writer::Writer;

/// Walks a list beside the occurrences of its field on the wire.
///
/// Invariant: elements that came on the wire stand in the list in their order there, and added ones behind them.
pub(super) struct Beside<'a, T> {
    list: &'a [T],
    ordinal: u32,
}

impl<'a, T: Element> Beside<'a, T> {
    pub(super) fn new(list: &'a [T]) -> Self {
        Self { list, ordinal: 0 }
    }

    /// Takes the next occurrence on the wire: copies it, writes it anew, or leaves it out.
    #[inline]
    pub(super) fn occurrence(&mut self, writer: &mut Writer<'_>, batch: &Batch, field: &Field) {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        match self.list.first() {
            Some(first) if first.ordinal() == Some(ordinal) => {
                self.list = &self.list[1..];
                if first.is_changed() {
                    writer.copy_until(field.start);
                    first.put(writer, batch, field.number, Some(field));
                    writer.skip_to(field.end);
                }
            }
            _ => {
                writer.copy_until(field.start);
                writer.skip_to(field.end);
            }
        }
    }

    /// Whether nothing is left to write.
    pub(super) fn is_done(&self) -> bool {
        self.list.is_empty()
    }

    /// Writes what was added.
    pub(super) fn added(&mut self, writer: &mut Writer<'_>, batch: &Batch, number: u32) {
        for element in self.list {
            if element.ordinal().is_none() {
                element.put(writer, batch, number, None);
            }
        }
        self.list = &[];
    }
}

/// Writes those elements of a list that were added, without looking at the others.
pub(super) fn put_added<T: Element>(list: &[T], writer: &mut Writer<'_>, batch: &Batch, number: u32) {
    let first = list.iter().rposition(|element| element.ordinal().is_some()).map_or(0, |last| last + 1);
    for element in &list[first..] {
        element.put(writer, batch, number, None);
    }
}

/// Writes the new values of attributes in the places of the old, and what stands between. Only where nothing but values of
/// attributes that are [`crate::batch::Origin::is_short`] has changed, or was added.
pub(super) fn put_values(list: &[Attribute], writer: &mut Writer<'_>, batch: &Batch, number: u32) {
    for attribute in list {
        if attribute.origin.is_changed() && attribute.origin.is_short() {
            // See the invariant of `value::next_short_pair`.
            let start = attribute.key.at - 4;
            let len = batch.bytes[start as usize + 1];
            writer.copy_until(start);
            attribute.put(writer, batch, number, None);
            writer.skip_to(start + 2 + u32::from(len));
        }
    }
}

/// An element of such a list.
pub(super) trait Element {
    fn ordinal(&self) -> Option<u32>;
    fn is_changed(&self) -> bool;
    /// Writes it as field `number`; `was` is what stood on the wire.
    fn put(&self, writer: &mut Writer<'_>, batch: &Batch, number: u32, was: Option<&Field>);
}

impl Element for Part {
    #[inline]
    fn ordinal(&self) -> Option<u32> {
        self.origin.ordinal()
    }

    #[inline]
    fn is_changed(&self) -> bool {
        self.origin.is_changed()
    }

    fn put(&self, writer: &mut Writer<'_>, batch: &Batch, number: u32, _was: Option<&Field>) {
        // Unknown fields are in the body: edits splice it.
        wire::put_bytes(&mut writer.out, number, batch.get(self.body));
    }
}

impl Element for Attribute {
    #[inline]
    fn ordinal(&self) -> Option<u32> {
        self.origin.ordinal()
    }

    #[inline]
    fn is_changed(&self) -> bool {
        self.origin.is_changed()
    }

    #[inline]
    fn put(&self, writer: &mut Writer<'_>, batch: &Batch, number: u32, was: Option<&Field>) {
        let (key, value) = (batch.get(self.key), batch.get(self.value));
        let pair = wire::field_len(value::field::KEY, key.len()) + wire::field_len(value::field::VALUE, value.len());
        if let Some(Field { payload: Payload::Bytes(was), .. }) = was {
            // Key and value are known, anything else in the pair goes with them.
            let unknown = |f: &Field| f.number != value::field::KEY && f.number != value::field::VALUE;
            let fields = || {
                let mut reader = Reader::within(&batch.bytes, *was);
                std::iter::from_fn(move || reader.next().ok().flatten()).filter(unknown)
            };
            let others: usize = fields().map(|f| (f.end - f.start) as usize).sum();
            wire::put_header(&mut writer.out, number, pair + others);
            value::put_pair(&mut writer.out, key, value);
            for f in fields() {
                writer.out.extend_from_slice(&batch.bytes[f.start as usize..f.end as usize]);
            }
        } else {
            wire::put_header(&mut writer.out, number, pair);
            value::put_pair(&mut writer.out, key, value);
        }
    }
}
