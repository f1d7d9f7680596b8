//! Rewriting and removing entries, each where it stands.
//!
//! All entries that the call's edits name are found before the first edit is applied, while the batch is as it was shown.
//! An element is then known by its bytes: one that an earlier edit set, moved or removed has other bytes and is skipped.
//! The entries of one element are written together, so that its body is put together once for each edit.

use std::collections::BTreeMap;

use crate::batch::{Attribute, Batch, Changes, Part, Run};
use crate::columns::Texts;
use crate::columns::entries::walk::Base;
use crate::columns::entries::{self, Found, Owner};
use crate::edit::{Edit, Mode};
use crate::index::{event_field, link_field};
use crate::path::Path;
use crate::shown::Shown;
use crate::wire::{Reader, Slice};

use super::Applier;
use super::attributes;
use super::datum::{Datum, valid};
use super::owners::note;
use super::patch::{self, Kind, Patch};
use super::span::change_of_parts;
use super::target::{OwnerField, OwnerKind, Text};

/// The entries of one edit.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    entries: Vec<Entry>,
    /// Whether removing an event's name (a link's trace id) removes the event (link).
    removes_parts: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    found: Found,
    /// The text that replaces it, by its place in the edit; `None` removes it.
    text: Option<u32>,
    /// What was shown: key and value of the attribute, body of the event or link, or the text itself.
    key: Slice,
    shown: Slice,
    /// Where in its owner's list the element stood.
    index: u32,
}

/// Finds the entries of all edits, each edit's at its place. Empty where there are none.
pub(super) fn resolve(batch: &Batch, shown: &Shown, edits: &[Edit]) -> Vec<Resolved> {
    if !edits.iter().any(|edit| matches!(edit, Edit::Rewrite { .. } | Edit::RemoveEntries { .. })) {
        return Vec::new();
    }
    edits.iter().map(|edit| of_edit(batch, shown, edit)).collect()
}

fn of_edit(batch: &Batch, shown: &Shown, edit: &Edit) -> Resolved {
    let (column, named, rewrites) = match edit {
        Edit::Rewrite { column, entries, .. } => (*column, entries, true),
        Edit::RemoveEntries { column, entries } => (*column, entries, false),
        _ => return Resolved::default(),
    };
    let Some(Some(locators)) = shown.locators.get(column as usize) else { return Resolved::default() };
    // In the order of the column, and each once: the first that names an entry counts.
    let mut wanted: Vec<(u32, u32)> = named.iter().zip(0..).map(|(&entry, k)| (entry, k)).collect();
    if !wanted.is_sorted() {
        wanted.sort_unstable();
    }
    wanted.dedup_by_key(|(entry, _)| *entry);
    let numbers: Vec<u32> = wanted.iter().map(|(entry, _)| *entry).collect();
    let mut found = Vec::with_capacity(numbers.len());
    entries::find(batch, &shown.rows, locators, &numbers, &mut found);
    let mut texts = wanted.iter();
    let entries = found.into_iter().map(|found| {
        let text = texts.by_ref().find(|(entry, _)| *entry == found.entry).map(|(_, k)| *k);
        Entry::new(batch, shown, found, text.filter(|_| rewrites))
    });
    Resolved { entries: entries.collect(), removes_parts: matches!(locators.path, Path::Events | Path::Links) }
}

impl Entry {
    fn new(batch: &Batch, shown: &Shown, found: Found, text: Option<u32>) -> Self {
        let span = |row: u32| &batch.spans[shown.rows[row as usize] as usize];
        let (mut key, mut index) = (Slice::EMPTY, 0);
        let mut attribute = |run: Run| {
            let Attribute { key: name, value, .. } = batch.attributes[found.part as usize];
            (key, index) = (name, found.part - run.start);
            value
        };
        let shown = match (found.owner, found.base) {
            (Owner::Row(row), Base::Name) => span(row).name,
            (Owner::Row(row), Base::TraceState) => span(row).trace_state,
            (Owner::Row(row), Base::StatusMessage) => span(row).status_message,
            (Owner::Row(row), Base::EventName | Base::EventTime | Base::EventAttribute) => {
                index = found.part - span(row).events.start;
                batch.events[found.part as usize].body
            }
            (Owner::Row(row), Base::LinkTraceId | Base::LinkSpanId | Base::LinkTraceState | Base::LinkAttribute) => {
                index = found.part - span(row).links.start;
                batch.links[found.part as usize].body
            }
            (Owner::Row(row), _) => attribute(span(row).attributes),
            (Owner::Scope(number), base) => {
                let scope = &batch.scopes[number as usize];
                match base {
                    Base::ScopeName => scope.name,
                    Base::ScopeVersion => scope.version,
                    Base::ScopeSchemaUrl => scope.schema_url,
                    _ => attribute(scope.attributes),
                }
            }
            (Owner::Resource(number), base) => {
                let resource = &batch.resources[number as usize];
                if base == Base::ResourceSchemaUrl { resource.schema_url } else { attribute(resource.attributes) }
            }
        };
        Self { found, text, key, shown, index }
    }

    fn element(&self) -> (Owner, u8, u32) {
        let family = match self.found.base {
            Base::Name => 0,
            Base::TraceState => 1,
            Base::StatusMessage => 2,
            Base::Attribute | Base::ScopeAttribute | Base::ResourceAttribute => 3,
            Base::EventName | Base::EventTime | Base::EventAttribute => 4,
            Base::LinkTraceId | Base::LinkSpanId | Base::LinkTraceState | Base::LinkAttribute => 5,
            Base::ScopeName => 6,
            Base::ScopeVersion => 7,
            Base::ScopeSchemaUrl | Base::ResourceSchemaUrl => 8,
        };
        (self.found.owner, family, self.found.part)
    }
}

/// What becomes of one element.
enum Outcome {
    Unchanged,
    Removed,
    /// Its new value or body.
    Written(Slice),
}

impl<'a> Applier<'a> {
    /// Applies an edit of entries: `texts` are what replaces them.
    pub(super) fn edit_entries(&mut self, number: usize, texts: Option<&'a Texts>) {
        let Some(resolved) = self.resolved.get_mut(number).map(std::mem::take) else { return };
        for element in resolved.entries.chunk_by(|a, b| a.element() == b.element()) {
            match element[0].found.owner {
                Owner::Row(row) => {
                    if !self.batch.spans[self.batch_row(row)].dropped {
                        self.edit_own(row, element, texts, resolved.removes_parts);
                    }
                }
                Owner::Scope(owner) => self.edit_shared(OwnerKind::Scope, owner, element, texts),
                Owner::Resource(owner) => self.edit_shared(OwnerKind::Resource, owner, element, texts),
            }
        }
    }

    /// An element of a span itself.
    fn edit_own(&mut self, row: u32, element: &[Entry], texts: Option<&'a Texts>, removes_parts: bool) {
        let number = self.batch_row(row);
        let span = self.batch.spans[number];
        let first = element[0];
        let own_text = match first.found.base {
            Base::Name => Some((Text::Name, span.name)),
            Base::TraceState => Some((Text::TraceState, span.trace_state)),
            Base::StatusMessage => Some((Text::StatusMessage, span.status_message)),
            _ => None,
        };
        if let Some((text, now)) = own_text {
            if now == first.shown {
                let new = text_of(&first, texts);
                let datum = new.map_or(Datum::Text(Slice::EMPTY), Datum::Foreign);
                self.write_text(row, text, datum, Mode::Upsert);
                self.note_place(first.found.base, Slice::EMPTY);
            }
            return;
        }
        if first.found.base == Base::Attribute {
            let mut run = span.attributes;
            let changes = self.edit_attribute(&mut run, element, texts);
            self.batch.spans[number].attributes = run;
            if !changes.is_none() {
                self.changed(row, changes);
                self.note_place(Base::Attribute, first.key);
            }
            return;
        }
        self.edit_part_entries(row, element, texts, removes_parts);
    }

    /// Edits an attribute of the list at `run`. Answers what has changed.
    fn edit_attribute(&mut self, run: &mut Run, element: &[Entry], texts: Option<&'a Texts>) -> Changes {
        let first = element[0];
        let from = run.start as usize;
        let Some(at) = (0..run.len.min(first.index + 1) as usize).rev().map(|index| from + index).find(|&at| {
            let attribute = &self.batch.attributes[at];
            attribute.key == first.key && self.splicer.is(attribute.value, first.shown)
        }) else {
            return Changes::default();
        };
        let now = self.batch.attributes[at].value;
        let outcome = if now == first.shown && first.found.at.len == first.shown.len {
            // The attribute's own value, and not one within it.
            match text_of(&first, texts) {
                Some(text) => Outcome::Written(Datum::Foreign(text).to_any(self.batch)),
                None => Outcome::Removed,
            }
        } else {
            self.splice(now, element, texts, Kind::Any)
        };
        let origin = self.batch.attributes[at].origin;
        match outcome {
            Outcome::Unchanged => return Changes::default(),
            Outcome::Removed => return attributes::remove_at(self.batch, run, at),
            Outcome::Written(value) => {
                let attribute = &mut self.batch.attributes[at];
                attribute.value = value;
                attribute.origin = origin.changed();
            }
        }
        attributes::change_of_value(origin)
    }

    /// Puts a value or a body together anew.
    fn splice(&mut self, now: Slice, element: &[Entry], texts: Option<&'a Texts>, kind: Kind) -> Outcome {
        let patches = element.iter().filter_map(|entry| {
            let at = self.place_of(now, entry)?;
            Some(Patch { at, text: text_of(entry, texts).map(valid), field: field_of(entry.found.base) })
        });
        let mut patches: Vec<Patch<'_>> = patches.collect();
        // Entries show an event's name first, wherever the sender has put it.
        patches.sort_unstable_by_key(|patch| (patch.at.at, patch.at.len));
        if patches.is_empty() {
            return Outcome::Unchanged;
        }
        self.splicer.begin();
        if patch::apply(&mut self.splicer, self.batch.get(now), kind, &patches) {
            return Outcome::Removed;
        }
        let new = self.batch.put(&self.splicer.out);
        self.splicer.note(now, new);
        Outcome::Written(new)
    }

    /// Where an entry stands in the body at `now`; `None` if it was written over. A field that was not there stands nowhere, and is
    /// meant as long as nobody has written one.
    fn place_of(&self, now: Slice, entry: &Entry) -> Option<Slice> {
        match field_of(entry.found.base) {
            Some(number) if entry.found.at.is_empty() => {
                let mut reader = Reader::new(self.batch.get(now));
                let is_there = std::iter::from_fn(|| reader.next().ok().flatten()).any(|f| f.number == number);
                (!is_there).then_some(Slice::EMPTY)
            }
            _ => self.splicer.place(now, entry.found.at),
        }
    }

    /// An event or a link.
    fn edit_part_entries(&mut self, row: u32, element: &[Entry], texts: Option<&'a Texts>, removes_parts: bool) {
        let number = self.batch_row(row);
        let first = element[0];
        let links = matches!(
            first.found.base,
            Base::LinkTraceId | Base::LinkSpanId | Base::LinkTraceState | Base::LinkAttribute
        );
        let span = &self.batch.spans[number];
        let (run, list) = if links { (span.links, &self.batch.links) } else { (span.events, &self.batch.events) };
        let from = run.start as usize;
        let Some(at) = (0..run.len.min(first.index + 1) as usize)
            .rev()
            .map(|index| from + index)
            .find(|&at| self.splicer.is(list[at].body, first.shown))
        else {
            return;
        };
        let part = list[at];
        let is_whole = |entry: &Entry| {
            entry.text.is_none() && matches!(entry.found.base, Base::EventName | Base::LinkTraceId) && removes_parts
        };
        let place_of_whole = element.iter().find(|entry| is_whole(entry));
        let outcome = match place_of_whole {
            Some(entry) if self.place_of(part.body, entry).is_some() => Outcome::Removed,
            _ => self.splice(part.body, element, texts, if links { Kind::Link } else { Kind::Event }),
        };
        let (list, run) = if links {
            (&mut self.batch.links, &mut self.batch.spans[number].links)
        } else {
            (&mut self.batch.events, &mut self.batch.spans[number].events)
        };
        match outcome {
            Outcome::Unchanged => return,
            Outcome::Removed => {
                let end = run.range().end;
                list.copy_within(at + 1..end, at);
                list[end - 1] = Part::FREE;
                run.len -= 1;
            }
            Outcome::Written(body) => list[at] = Part { body, origin: part.origin.changed() },
        }
        self.changed(row, change_of_parts(links));
        self.note_path(if links { Path::Links } else { Path::Events });
    }

    /// A value that rows share: of all rows shown that shared it then and are still there.
    fn edit_shared(&mut self, kind: OwnerKind, owner: u32, element: &[Entry], texts: Option<&'a Texts>) {
        let first = element[0];
        // Earlier edits may have given some of these rows copies.
        let mut now: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for row in 0..self.shown.rows.len() as u32 {
            if self.owner_then(kind, row) == owner && !self.batch.spans[self.batch_row(row)].dropped {
                now.entry(self.owner_of(kind, row)).or_default().push(row);
            }
        }
        for (owner, rows) in now {
            if !self.is_as_shown(kind, owner, &first) {
                continue;
            }
            let target = self.owner_for(kind, owner, &rows);
            if let Some(field) = text_field(first.found.base) {
                let value = text_of(&first, texts).and_then(|text| Datum::Foreign(text).to_text(self.batch));
                super::owners::set_field(self.batch, kind, target, field, value);
            } else {
                let mut run = attributes_of(self.batch, kind, target);
                let changes = self.edit_attribute(&mut run, element, texts);
                match kind {
                    OwnerKind::Resource => self.batch.resources[target as usize].attributes = run,
                    OwnerKind::Scope => self.batch.scopes[target as usize].attributes = run,
                }
                if !changes.is_none() {
                    note(self.batch, kind, target, changes);
                }
            }
            for row in rows {
                self.touch(row);
            }
            self.note_place(first.found.base, first.key);
        }
    }

    /// Whether what an entry of an owner names still stands there.
    fn is_as_shown(&self, kind: OwnerKind, owner: u32, entry: &Entry) -> bool {
        match (entry.found.base, kind) {
            (Base::ScopeName, _) => self.batch.scopes[owner as usize].name == entry.shown,
            (Base::ScopeVersion, _) => self.batch.scopes[owner as usize].version == entry.shown,
            (Base::ScopeSchemaUrl, _) => self.batch.scopes[owner as usize].schema_url == entry.shown,
            (Base::ResourceSchemaUrl, _) => self.batch.resources[owner as usize].schema_url == entry.shown,
            _ => {
                let list = self.batch.attributes(attributes_of(self.batch, kind, owner));
                list.iter().any(|attribute| attribute.key == entry.key && self.splicer.is(attribute.value, entry.shown))
            }
        }
    }

    /// The owner that a row had when it was shown.
    fn owner_then(&self, kind: OwnerKind, row: u32) -> u32 {
        let (scope, resource) = self.owners_then[row as usize];
        match kind {
            OwnerKind::Scope => scope,
            OwnerKind::Resource => resource,
        }
    }

    fn note_place(&mut self, base: Base, key: Slice) {
        let key = || String::from_utf8_lossy(self.batch.get(key)).into();
        let path = match base {
            Base::Name => Path::Name,
            Base::TraceState => Path::TraceState,
            Base::StatusMessage => Path::StatusMessage,
            Base::Attribute => Path::Attribute(key()),
            Base::ScopeAttribute => Path::ScopeAttribute(key()),
            Base::ResourceAttribute => Path::ResourceAttribute(key()),
            Base::ScopeName => Path::ScopeName,
            Base::ScopeVersion => Path::ScopeVersion,
            Base::ScopeSchemaUrl => Path::ScopeSchemaUrl,
            Base::ResourceSchemaUrl => Path::ResourceSchemaUrl,
            Base::EventName | Base::EventTime | Base::EventAttribute => Path::Events,
            Base::LinkTraceId | Base::LinkSpanId | Base::LinkTraceState | Base::LinkAttribute => Path::Links,
        };
        self.note_path(path);
    }
}

fn text_of<'t>(entry: &Entry, texts: Option<&'t Texts>) -> Option<&'t [u8]> {
    texts?.get(entry.text? as usize)
}

/// The field of an event or link that an entry is, if it is not an `AnyValue`.
fn field_of(base: Base) -> Option<u32> {
    match base {
        Base::EventName => Some(event_field::NAME),
        Base::EventTime => Some(event_field::TIME),
        Base::LinkTraceId => Some(link_field::TRACE_ID),
        Base::LinkTraceState => Some(link_field::TRACE_STATE),
        _ => None,
    }
}

fn text_field(base: Base) -> Option<OwnerField<'static>> {
    match base {
        Base::ScopeName => Some(OwnerField::Name),
        Base::ScopeVersion => Some(OwnerField::Version),
        Base::ScopeSchemaUrl | Base::ResourceSchemaUrl => Some(OwnerField::SchemaUrl),
        _ => None,
    }
}

fn attributes_of(batch: &Batch, kind: OwnerKind, owner: u32) -> Run {
    match kind {
        OwnerKind::Resource => batch.resources[owner as usize].attributes,
        OwnerKind::Scope => batch.scopes[owner as usize].attributes,
    }
}
