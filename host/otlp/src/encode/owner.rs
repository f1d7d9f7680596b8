//! What a `ResourceSpans` or a `ScopeSpans` holds beside its children: the resource or scope, the schema URL, and
//! whatever else stands there.

use crate::batch::{Attribute, Batch, Changes, Resource, Run, Scope};
use crate::index::field;
use crate::wire::{Field, Reader, Slice};

use super::list::Beside;
use super::span::text;
use super::writer::Writer;

/// What concerns the owner itself and not what is below it.
pub(super) const OWN: Changes =
    Changes::ATTRIBUTES.or(Changes::ADDED_ATTRIBUTES).or(Changes::SCHEMA_URL).or(Changes::NAME).or(Changes::VERSION);

/// A resource or a scope as far as its own fields go.
pub(super) struct Owner<'a> {
    batch: &'a Batch,
    changes: Changes,
    attributes: Beside<'a, Attribute>,
    attributes_field: u32,
    /// Name and version; a resource has none.
    texts: [(u32, Changes, Slice); 2],
    schema_url: Slice,
    pieces_left: u32,
    /// Whether the last piece, with what is new, is written.
    complete: bool,
    written: Changes,
}

impl<'a> Owner<'a> {
    pub(super) fn of_resource(batch: &'a Batch, resource: &Resource) -> Self {
        let Resource { attributes, pieces, schema_url, changes, .. } = *resource;
        Self::new(
            batch,
            attributes,
            pieces,
            schema_url,
            changes,
            field::RESOURCE_ATTRIBUTES,
            [(0, Changes(0), Slice::EMPTY); 2],
        )
    }

    pub(super) fn of_scope(batch: &'a Batch, scope: &Scope) -> Self {
        let texts =
            [(field::SCOPE_NAME, Changes::NAME, scope.name), (field::SCOPE_VERSION, Changes::VERSION, scope.version)];
        let Scope { attributes, pieces, schema_url, changes, .. } = *scope;
        Self::new(batch, attributes, pieces, schema_url, changes, field::SCOPE_ATTRIBUTES, texts)
    }

    fn new(
        batch: &'a Batch,
        attributes: Run,
        pieces: u32,
        schema_url: Slice,
        changes: Changes,
        attributes_field: u32,
        texts: [(u32, Changes, Slice); 2],
    ) -> Self {
        Self {
            batch,
            changes,
            attributes: Beside::new(batch.attributes(attributes)),
            attributes_field,
            texts,
            schema_url,
            pieces_left: pieces,
            complete: false,
            written: Changes::default(),
        }
    }

    /// Writes the fields that stand at `gap`, between children, and goes on behind it.
    pub(super) fn fields(&mut self, writer: &mut Writer<'_>, gap: Slice) {
        if gap.is_empty() || !self.changes.has(OWN) {
            return;
        }
        let mut reader = Reader::within(&self.batch.bytes, gap);
        while let Ok(Some(f)) = reader.next() {
            match f.number {
                field::OWNER => {
                    writer.copy_until(f.start);
                    self.piece(writer, f.bytes().unwrap_or(Slice::EMPTY));
                    writer.skip_to(f.end);
                }
                field::SCHEMA_URL if self.changes.has(Changes::SCHEMA_URL) => {
                    writer.copy_until(f.start);
                    self.schema_url(writer);
                    writer.skip_to(f.end);
                }
                _ => {}
            }
        }
        writer.copy_until(gap.end());
    }

    /// Writes what had no place so far. The writer must have copied all that was there.
    pub(super) fn rest(&mut self, writer: &mut Writer<'_>) {
        if !self.changes.has(OWN) {
            return;
        }
        let texts = self.texts.iter().any(|(_, which, text)| self.changes.has(*which) && !text.is_empty());
        if !self.complete && (texts || !self.attributes.is_done()) {
            self.pieces_left = 1;
            self.piece(writer, Slice::EMPTY);
        }
        if self.changes.has(Changes::SCHEMA_URL) {
            self.schema_url(writer);
        }
    }

    fn schema_url(&mut self, writer: &mut Writer<'_>) {
        if !self.written.has(Changes::SCHEMA_URL) {
            text(writer, self.batch, field::SCHEMA_URL, self.schema_url);
            self.written.add(Changes::SCHEMA_URL);
        }
    }

    /// Writes one piece of the resource or scope; what is new goes into the last.
    fn piece(&mut self, writer: &mut Writer<'_>, piece: Slice) {
        self.pieces_left = self.pieces_left.saturating_sub(1);
        let open = writer.begin(field::OWNER, piece.len + 32);
        writer.skip_to(piece.at);
        let mut reader = Reader::within(&self.batch.bytes, piece);
        while let Ok(Some(f)) = reader.next() {
            if f.number == self.attributes_field {
                if self.changes.has(Changes::ATTRIBUTES.or(Changes::ADDED_ATTRIBUTES)) {
                    self.attributes.occurrence(writer, self.batch, &f);
                }
            } else {
                self.known_text(writer, &f);
            }
        }
        writer.copy_until(piece.end());
        if self.pieces_left == 0 {
            for (number, which, value) in self.texts {
                if self.changes.has(which) && !self.written.has(which) {
                    text(writer, self.batch, number, value);
                    self.written.add(which);
                }
            }
            self.attributes.added(writer, self.batch, self.attributes_field);
            self.complete = true;
        }
        writer.end(open);
    }

    fn known_text(&mut self, writer: &mut Writer<'_>, f: &Field) {
        let known = self.texts.iter().find(|(number, which, _)| *number == f.number && self.changes.has(*which));
        if let Some(&(number, which, value)) = known {
            writer.copy_until(f.start);
            if !self.written.has(which) {
                text(writer, self.batch, number, value);
                self.written.add(which);
            }
            writer.skip_to(f.end);
        }
    }
}
