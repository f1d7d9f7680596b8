//! Writing and erasing: a span's own texts, numbers and attributes here; what spans share and events in their modules.

use crate::batch::{Batch, Changes, Span};
use crate::edit::{Mode, Rows};
use crate::wire::Slice;

use super::attributes::{self, Key};
use super::datum::Datum;
use super::target::{Number, Target, Text};
use super::{Applier, trace_state};

impl Text {
    fn of(self, span: &mut Span) -> (&mut Slice, Changes) {
        match self {
            Self::TraceState => (&mut span.trace_state, Changes::TRACE_STATE),
            Self::Name => (&mut span.name, Changes::NAME),
            Self::StatusMessage => (&mut span.status_message, Changes::STATUS),
        }
    }
}

impl Mode {
    /// Whether it lets a target be written that is there, or is not.
    #[inline]
    pub(super) fn allows(self, there: bool) -> bool {
        match self {
            Self::Upsert => true,
            Self::Insert => !there,
            Self::Update => there,
        }
    }
}

impl Applier<'_> {
    /// Writes to every live row of `at` what `datum` has for it: it is asked with the row's place in `at` and its number in
    /// the batch. The rows of the call that were written are noted in `done`.
    #[inline]
    pub(super) fn write<'d>(
        &mut self,
        target: &Target<'_>,
        at: &Rows,
        mode: Mode,
        mut datum: impl FnMut(&mut Batch, usize, usize) -> Option<Datum<'d>>,
        mut done: Option<&mut Vec<u32>>,
    ) {
        if let Target::Owner(kind, field) = target {
            let mut wanted = Vec::new();
            self.for_rows(at, |applier, k, row| {
                let source = applier.batch_row(row);
                if let Some(datum) = datum(applier.batch, k, source)
                    && let Some(value) = applier.form_for(target, datum)
                {
                    wanted.push((row, Some(value)));
                }
            });
            return self.write_owners(*kind, *field, wanted, mode, done);
        }
        self.for_rows(at, |applier, k, row| {
            let source = applier.batch_row(row);
            let Some(datum) = datum(applier.batch, k, source) else { return };
            let written = match target {
                Target::Attribute(key) => applier.write_attribute(row, key, datum, mode),
                Target::Text(text) => applier.write_text(row, *text, datum, mode),
                Target::Number(number) => applier.write_number(row, *number, datum, mode),
                Target::Parts(field) => applier.write_parts(row, *field, datum, mode),
                Target::Owner(..) => false,
            };
            if written && let Some(done) = &mut done {
                done.push(row);
            }
        });
    }

    /// The value as the target stores it, if it takes it.
    pub(super) fn form_for(&mut self, target: &Target<'_>, datum: Datum<'_>) -> Option<Slice> {
        if target.takes_any() { Some(datum.to_any(self.batch)) } else { datum.to_text(self.batch) }
    }

    /// Empties or removes the target in every live row of `at`.
    pub(super) fn erase(&mut self, target: &Target<'_>, at: &Rows) {
        if let Target::Owner(kind, field) = target {
            let mut wanted = Vec::new();
            self.for_rows(at, |_, _, row| wanted.push((row, None)));
            return self.write_owners(*kind, *field, wanted, Mode::Update, None);
        }
        self.for_rows(at, |applier, _, row| match target {
            Target::Attribute(key) => {
                let number = applier.batch_row(row);
                let mut run = applier.batch.spans[number].attributes;
                let changes = attributes::remove(applier.batch, &mut run, key);
                applier.batch.spans[number].attributes = run;
                if !changes.is_none() {
                    applier.changed(row, changes);
                }
            }
            Target::Text(text) => {
                applier.write_text(row, *text, Datum::Text(Slice::EMPTY), Mode::Update);
            }
            Target::Number(number) => {
                applier.write_number(row, *number, Datum::Integer(0), Mode::Update);
            }
            Target::Parts(field) => applier.erase_parts(row, *field),
            Target::Owner(..) => {}
        });
    }

    #[inline]
    fn write_attribute(&mut self, row: u32, key: &Key<'_>, datum: Datum<'_>, mode: Mode) -> bool {
        let number = self.batch_row(row);
        let mut run = self.batch.spans[number].attributes;
        if mode != Mode::Upsert && !mode.allows(attributes::find(self.batch, run, key).is_some()) {
            return false;
        }
        let value = datum.to_any(self.batch);
        let changes = attributes::set(self.batch, &mut run, key, value);
        self.batch.spans[number].attributes = run;
        self.changed(row, changes);
        true
    }

    pub(super) fn write_text(&mut self, row: u32, text: Text, datum: Datum<'_>, mode: Mode) -> bool {
        let number = self.batch_row(row);
        let was = *text.of(&mut self.batch.spans[number]).0;
        if !mode.allows(!was.is_empty()) {
            return false;
        }
        let Some(mut new) = datum.to_text(self.batch) else { return false };
        if text == Text::TraceState {
            let kept = trace_state::with_ot_of(self.batch.get(was), self.batch.get(new));
            new = self.batch.put(&kept);
        }
        let (slot, change) = text.of(&mut self.batch.spans[number]);
        *slot = new;
        self.changed(row, change);
        true
    }

    fn write_number(&mut self, row: u32, number: Number, datum: Datum<'_>, mode: Mode) -> bool {
        // Numbers of a span are always there.
        if !mode.allows(true) {
            return false;
        }
        let Some(value) = datum.to_integer(self.batch).filter(|value| number.takes(*value)) else { return false };
        let at = self.batch_row(row);
        let span = &mut self.batch.spans[at];
        let change = match number {
            Number::Kind => {
                span.kind = value as i32;
                Changes::KIND
            }
            Number::StatusCode => {
                span.status_code = value as i32;
                Changes::STATUS
            }
            Number::Start => {
                span.start_time = value as u64;
                Changes::START
            }
            Number::End => {
                span.end_time = value as u64;
                Changes::END
            }
        };
        self.changed(row, change);
        true
    }

    /// Moves an attribute within a span. Where the target is not there yet, the attribute only takes the new key.
    pub(super) fn move_attribute(&mut self, from: &str, to: &str, at: &Rows, mode: Mode) {
        let (from, to) = (Key::new(self.batch, from), Key::new(self.batch, to));
        self.for_rows(at, |applier, _, row| {
            let number = applier.batch_row(row);
            let mut run = applier.batch.spans[number].attributes;
            let Some(source) = attributes::find(applier.batch, run, &from) else { return };
            let there = attributes::find(applier.batch, run, &to).is_some();
            if !mode.allows(there) {
                return;
            }
            let value = super::datum::valid_any(applier.batch, applier.batch.attributes[source].value);
            let changes = if there {
                let mut changes = attributes::set(applier.batch, &mut run, &to, value);
                changes.add(attributes::remove(applier.batch, &mut run, &from));
                changes
            } else {
                applier.batch.attributes[source].value = value;
                attributes::rename(applier.batch, &mut run, &from, &to)
            };
            applier.batch.spans[number].attributes = run;
            applier.changed(row, changes);
        });
    }
}

impl Number {
    /// Whether a number of this kind can have the value.
    pub(crate) fn takes(self, value: i64) -> bool {
        match self {
            Self::Kind | Self::StatusCode => i32::try_from(value).is_ok(),
            Self::Start | Self::End => value >= 0,
        }
    }
}

/// What it means for a span that its events or links change.
pub(super) fn change_of_parts(links: bool) -> Changes {
    if links { Changes::LINKS } else { Changes::EVENTS }
}
