//! Edits of events and links by path: every event or link of a row.

use crate::batch::{Batch, Changes, Origin, Part};
use crate::edit::{Constant, Mode};
use crate::index::{event_field, link_field};
use crate::path::Path;
use crate::value;
use crate::wire::{self, Reader, Slice};

use super::Applier;
use super::datum::Datum;
use super::target::PartField;

impl PartField<'_> {
    fn is_of_links(self) -> bool {
        matches!(self, Self::LinkAttribute(_))
    }

    /// The field's number in its message, and the attribute's key.
    fn number_and_key(&self) -> (u32, Option<&[u8]>) {
        match self {
            Self::EventName => (event_field::NAME, None),
            Self::EventAttribute(key) => (event_field::ATTRIBUTES, Some(key)),
            Self::LinkAttribute(key) => (link_field::ATTRIBUTES, Some(key)),
        }
    }
}

impl Applier<'_> {
    /// Writes to each event or link of a row. Answers whether one took it.
    pub(super) fn write_parts(&mut self, row: u32, field: PartField<'_>, datum: Datum<'_>, mode: Mode) -> bool {
        let value = match field {
            PartField::EventName => datum.to_text(self.batch),
            _ => Some(datum.to_any(self.batch)),
        };
        value.is_some_and(|value| self.edit_parts(row, field, Some(value), mode))
    }

    pub(super) fn erase_parts(&mut self, row: u32, field: PartField<'_>) {
        self.edit_parts(row, field, None, Mode::Update);
    }

    fn edit_parts(&mut self, row: u32, field: PartField<'_>, value: Option<Slice>, mode: Mode) -> bool {
        let span = self.batch.spans[self.batch_row(row)];
        let (range, change) = if field.is_of_links() {
            (span.links.range(), Changes::LINKS)
        } else {
            (span.events.range(), Changes::EVENTS)
        };
        let mut edited = false;
        for at in range {
            let parts = if field.is_of_links() { &self.batch.links } else { &self.batch.events };
            let part = parts[at];
            if !self.edit_part(part.body, field, value, mode) {
                continue;
            }
            let body = self.batch.put(&self.splicer.out);
            self.splicer.note(part.body, body);
            let part = Part { body, origin: part.origin.changed() };
            let parts = if field.is_of_links() { &mut self.batch.links } else { &mut self.batch.events };
            parts[at] = part;
            edited = true;
        }
        if edited {
            // Those that were added are told apart from those that came; a scan finds both.
            self.changed(row, change);
        }
        edited
    }

    /// Writes a part anew into the splicer, with this value (or without it). Answers whether anything was to be done.
    fn edit_part(&mut self, part: Slice, field: PartField<'_>, value: Option<Slice>, mode: Mode) -> bool {
        let batch: &Batch = self.batch;
        let (number, key) = field.number_and_key();
        let body = batch.get(part);
        let is_it = |f: &wire::Field| {
            f.number == number
                && key.is_none_or(|key| {
                    f.bytes().is_ok_and(|pair| {
                        let (name, _) = value::key_value(body, pair);
                        &body[name.at as usize..name.end() as usize] == key
                    })
                })
        };
        let there = {
            let mut reader = Reader::new(body);
            std::iter::from_fn(|| reader.next().ok().flatten())
                .any(|f| is_it(&f) && (key.is_some() || f.bytes().is_ok_and(|name| !name.is_empty())))
        };
        if !mode.allows(there) {
            return false;
        }
        let splicer = &mut self.splicer;
        splicer.begin();
        let mut written = false;
        let put = |out: &mut Vec<u8>, value: Slice| match key {
            Some(key) => {
                let (key_len, value_len) = (key.len(), value.len as usize);
                wire::put_header(out, number, wire::field_len(1, key_len) + wire::field_len(2, value_len));
                value::put_pair(out, key, batch.get(value));
            }
            None => wire::put_bytes(out, number, batch.get(value)),
        };
        let mut reader = Reader::new(body);
        while let Ok(Some(f)) = reader.next() {
            if !is_it(&f) {
                splicer.copy(body, f.start, f.end);
            } else if let Some(value) = value {
                put(&mut splicer.out, value);
                written = true;
            }
        }
        if let Some(value) = value
            && !written
        {
            put(&mut splicer.out, value);
        }
        true
    }

    pub(super) fn add_event(&mut self, row: u32, time: u64, name: &str, attributes: &[(String, Constant)]) {
        let number = self.batch_row(row);
        if self.batch.spans[number].dropped {
            return;
        }
        let at = self.batch.arena_at();
        if time != 0 {
            wire::put_fixed64_field(&mut self.batch.arena, event_field::TIME, time);
        }
        if !name.is_empty() {
            wire::put_bytes(&mut self.batch.arena, event_field::NAME, name.as_bytes());
        }
        let mut value = std::mem::take(&mut self.scratch);
        for (key, constant) in attributes {
            value.clear();
            value::put(&mut value, constant.as_value());
            let len = wire::field_len(1, key.len()) + wire::field_len(2, value.len());
            wire::put_header(&mut self.batch.arena, event_field::ATTRIBUTES, len);
            value::put_pair(&mut self.batch.arena, key.as_bytes(), &value);
        }
        self.scratch = value;
        let part = Part { body: self.batch.since(at), origin: Origin::ADDED };
        append(self.batch, number, part);
        self.changed(row, Changes::ADDED_EVENTS);
        self.note(&Path::Events);
    }
}

/// Adds an event to a span. Events are few, so the list moves each time that others stand behind it, with room to grow.
fn append(batch: &mut Batch, row: usize, part: Part) {
    let mut run = batch.spans[row].events;
    match batch.events.get_mut(run.range().end) {
        Some(slot) if *slot == Part::FREE => *slot = part,
        None => batch.events.push(part),
        Some(_) => {
            let start = batch.events.len();
            batch.events.extend_from_within(run.range());
            batch.events.push(part);
            batch.events.resize(start + run.len as usize * 2 + 2, Part::FREE);
            run.start = start as u32;
        }
    }
    run.len += 1;
    batch.spans[row].events = run;
}
