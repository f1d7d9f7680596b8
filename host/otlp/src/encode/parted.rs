//! A batch taken apart: each live span by itself, and what its resource and scope say beside their children. For whoever keeps spans by
//! something else than how they came together, and puts them together anew.
//!
//! What is appended is whole fields, so that a `ResourceSpans` is what [`resource`] gives, and behind that any number of `ScopeSpans`, each of what [`scope`]
//! gives and any number of spans, each as [`span`] gives it.

use crate::batch::{Batch, Run};
use crate::index::field;
use crate::wire::{self, Slice};

use super::owner::Owner;
use super::span as touched;
use super::writer::Writer;

/// Appends what a `ResourceSpans` holds beside its scopes, as it is now: `number` is in [`Batch::resources`], or a copy's.
///
/// [`Batch::resources`]: crate::batch::Batch
pub fn resource(batch: &Batch, number: u32, out: &mut Vec<u8>) {
    let resource = &batch.resources[number as usize];
    let scopes = batch.scopes[resource.scopes.range()].iter().map(|scope| scope.field);
    beside(batch, Owner::of_resource(batch, resource), resource.body, scopes, out);
}

/// Appends what a `ScopeSpans` holds beside its spans, as it is now: `number` is a span's [`scope`](crate::batch::Span::scope).
pub fn scope(batch: &Batch, number: u32, out: &mut Vec<u8>) {
    let scope = &batch.scopes[number as usize];
    let spans = batch.spans[scope.rows.range()].iter().map(|span| span.field);
    beside(batch, Owner::of_scope(batch, scope), scope.body, spans, out);
}

/// Appends a span as a field of its `ScopeSpans`, as it is now.
#[inline]
pub fn span(batch: &Batch, row: u32, out: &mut Vec<u8>) {
    let span = &batch.spans[row as usize];
    if span.changes.is_none() {
        out.extend_from_slice(batch.get(span.field));
        return;
    }
    let mut writer = Writer::onto(std::mem::take(out), &batch.bytes);
    touched::put(&mut writer, batch, span);
    *out = writer.out;
}

/// Begins a `ResourceSpans` whose body will have so many bytes.
pub fn begin_resource(out: &mut Vec<u8>, len: usize) {
    wire::put_header(out, field::RESOURCE_SPANS, len);
}

/// Begins a `ScopeSpans` whose body will have so many bytes.
pub fn begin_scope(out: &mut Vec<u8>, len: usize) {
    wire::put_header(out, field::CHILDREN, len);
}

/// How many bytes a `ScopeSpans` with a body of so many has.
#[must_use]
pub fn scope_len(body: usize) -> usize {
    wire::field_len(field::CHILDREN, body)
}

/// What a resource or scope says between and around its children.
fn beside(batch: &Batch, mut own: Owner<'_>, body: Slice, children: impl Iterator<Item = Slice>, out: &mut Vec<u8>) {
    let mut writer = Writer::onto(std::mem::take(out), &batch.bytes);
    let mut from = body.at;
    let ends = children.map(|child| (child.at, child.end())).chain([(body.end(), body.end())]);
    for (at, end) in ends {
        if from < at {
            let gap = Slice::between(from, at);
            writer.skip_to(from);
            own.fields(&mut writer, gap);
            writer.copy_until(at);
        }
        from = end;
    }
    own.rest(&mut writer);
    *out = writer.out;
}

/// The rows of a batch that are neither dropped nor refused.
pub fn live(batch: &Batch) -> impl Iterator<Item = u32> + '_ {
    let all = Run { start: 0, len: batch.rows() };
    all.range().filter(|&row| !batch.spans[row].dropped).map(|row| row as u32)
}
