//! A span that was touched: its original body, copied in runs between the places that changed, in one scan.

use crate::batch::{Batch, Changes, Span};
use crate::index::field;
use crate::wire::{self, Field, Reader, Slice};

use super::list::{self, Beside};
use super::writer::Writer;

/// New elements follow the rest.
const ADDITIONS: Changes = Changes::ADDED_ATTRIBUTES.or(Changes::ADDED_EVENTS);
/// What needs no scan.
const UNSCANNED: Changes = ADDITIONS.or(Changes::VALUES);
/// What concerns attributes that came with the span.
const ATTRIBUTES: Changes = Changes::ATTRIBUTES.or(Changes::VALUES);

/// Writes a touched span as a field of its `ScopeSpans`. The writer is left anywhere in the original.
pub(super) fn put(writer: &mut Writer<'_>, batch: &Batch, span: &Span) {
    let added: u32 = if span.changes.has(ADDITIONS) { 64 } else { 0 };
    let open = writer.begin(field::CHILDREN, span.body.len + added);
    writer.skip_to(span.body.at);
    let attributes = batch.attributes(span.attributes);
    let events = &batch.events[span.events.range()];
    if span.changes.without(UNSCANNED).is_none() {
        if span.changes.has(Changes::VALUES) {
            list::put_values(attributes, writer, batch, field::ATTRIBUTES);
        }
        writer.copy_until(span.body.end());
        if span.changes.has(Changes::ADDED_ATTRIBUTES) {
            list::put_added(attributes, writer, batch, field::ATTRIBUTES);
        }
        if span.changes.has(Changes::ADDED_EVENTS) {
            list::put_added(events, writer, batch, field::EVENTS);
        }
    } else {
        scan(writer, batch, span);
    }
    writer.end(open);
}

fn scan(writer: &mut Writer<'_>, batch: &Batch, span: &Span) {
    let changes = span.changes;
    let mut attributes = Beside::new(batch.attributes(span.attributes));
    let mut events = Beside::new(&batch.events[span.events.range()]);
    let mut links = Beside::new(&batch.links[span.links.range()]);
    // A changed scalar stands where it stood first; it is written once, so that its other occurrences are left out.
    let mut written = Changes::default();
    let mut reader = Reader::within(&batch.bytes, span.body);
    while let Ok(Some(f)) = reader.next() {
        match f.number {
            field::ATTRIBUTES if changes.has(ATTRIBUTES) => attributes.occurrence(writer, batch, &f),
            field::EVENTS if changes.has(Changes::EVENTS) => events.occurrence(writer, batch, &f),
            field::LINKS if changes.has(Changes::LINKS) => links.occurrence(writer, batch, &f),
            _ => {
                let which = scalar(f.number);
                if changes.has(which) {
                    writer.copy_until(f.start);
                    put_scalar(writer, batch, span, which, Some(&f), written.has(which));
                    written.add(which);
                    writer.skip_to(f.end);
                }
            }
        }
    }
    writer.copy_until(span.body.end());
    for which in SCALARS {
        if changes.has(which) && !written.has(which) {
            put_scalar(writer, batch, span, which, None, false);
        }
    }
    if changes.has(ATTRIBUTES) {
        attributes.added(writer, batch, field::ATTRIBUTES);
    } else if changes.has(Changes::ADDED_ATTRIBUTES) {
        list::put_added(batch.attributes(span.attributes), writer, batch, field::ATTRIBUTES);
    }
    if changes.has(Changes::EVENTS) {
        events.added(writer, batch, field::EVENTS);
    } else if changes.has(Changes::ADDED_EVENTS) {
        list::put_added(&batch.events[span.events.range()], writer, batch, field::EVENTS);
    }
}

const SCALARS: [Changes; 6] =
    [Changes::TRACE_STATE, Changes::NAME, Changes::KIND, Changes::START, Changes::END, Changes::STATUS];

/// Which change concerns a field.
#[inline]
fn scalar(number: u32) -> Changes {
    match number {
        field::TRACE_STATE => Changes::TRACE_STATE,
        field::NAME => Changes::NAME,
        field::KIND => Changes::KIND,
        field::START_TIME => Changes::START,
        field::END_TIME => Changes::END,
        field::STATUS => Changes::STATUS,
        _ => Changes::default(),
    }
}

/// Writes a scalar, in the place of `was` if it stood on the wire. Defaults are left out, as protobuf does.
fn put_scalar(
    writer: &mut Writer<'_>,
    batch: &Batch,
    span: &Span,
    which: Changes,
    was: Option<&Field>,
    already_written: bool,
) {
    if which == Changes::STATUS {
        return status(writer, batch, span, was, already_written);
    }
    if already_written {
        return;
    }
    match which {
        Changes::TRACE_STATE => text(writer, batch, field::TRACE_STATE, span.trace_state),
        Changes::NAME => text(writer, batch, field::NAME, span.name),
        Changes::KIND if span.kind != 0 => {
            wire::put_varint_field(&mut writer.out, field::KIND, i64::from(span.kind) as u64);
        }
        Changes::START if span.start_time != 0 => {
            wire::put_fixed64_field(&mut writer.out, field::START_TIME, span.start_time);
        }
        Changes::END if span.end_time != 0 => {
            wire::put_fixed64_field(&mut writer.out, field::END_TIME, span.end_time);
        }
        _ => {}
    }
}

/// Writes a string field unless it is empty.
pub(super) fn text(writer: &mut Writer<'_>, batch: &Batch, number: u32, text: Slice) {
    if !text.is_empty() {
        wire::put_bytes(&mut writer.out, number, batch.get(text));
    }
}

/// A status that came in pieces is written in the place of the first; of the other pieces only what is unknown is left.
fn status(writer: &mut Writer<'_>, batch: &Batch, span: &Span, was: Option<&Field>, already_written: bool) {
    let known = !already_written && (span.status_code != 0 || !span.status_message.is_empty());
    let piece = was.and_then(|f| f.bytes().ok()).unwrap_or(Slice::EMPTY);
    let unknown = || {
        let mut reader = Reader::within(&batch.bytes, piece);
        std::iter::from_fn(move || reader.next().ok().flatten())
            .filter(|f| f.number != field::STATUS_MESSAGE && f.number != field::STATUS_CODE)
    };
    // A status that was there stays, even if nothing is left in it.
    if !known && (was.is_none() || already_written) && unknown().next().is_none() {
        return;
    }
    let open = writer.begin(field::STATUS, span.status_message.len + 4);
    if known {
        text(writer, batch, field::STATUS_MESSAGE, span.status_message);
        if span.status_code != 0 {
            wire::put_varint_field(&mut writer.out, field::STATUS_CODE, i64::from(span.status_code) as u64);
        }
    }
    for f in unknown() {
        writer.out.extend_from_slice(&batch.bytes[f.start as usize..f.end as usize]);
    }
    writer.end(open);
}
