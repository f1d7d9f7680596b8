//! Batch to bytes, in one pass: what was not touched is copied in the largest runs there are, what was is spliced.
//!
//! Fields keep their order, and what is unknown stays where it stood. A `ScopeSpans` or `ResourceSpans` that a filter has
//! emptied is left out. Copies that edits have made of a resource or a scope follow their original, each a
//! `ResourceSpans` or `ScopeSpans` of its own.
//!
//! Invariant: a span that no plugin touched leaves byte for byte as it came, unknown fields and all.

use bytes::Bytes;

use std::sync::Arc;

use crate::batch::{Batch, Incoming, RequestContext, Scope};
use crate::index::field;
use crate::wire::Slice;

mod copies;
mod list;
mod owner;
pub mod parted;
mod span;
mod writer;

use copies::{Copies, Placed};
use owner::{OWN, Owner};
use writer::Writer;

/// The live rows of a batch as an `ExportTraceServiceRequest`: [`Batch::live`] spans. Where nothing was touched, the
/// original bytes are handed on without a copy.
#[must_use]
pub fn encode(batch: &Batch) -> Bytes {
    if batch.resources.iter().all(|resource| resource.changes.is_none()) {
        // A refused request has no part in the bytes of the others.
        match &batch.requests[..] {
            requests if requests.iter().map(|r| r.body.len as usize).sum::<usize>() == batch.bytes.len() => {
                return batch.bytes.clone();
            }
            [only] => return batch.bytes.slice(only.body.at as usize..only.body.end() as usize),
            _ => {}
        }
    }
    let copies = Copies::of(batch);
    // A guess that is seldom exceeded: nothing shrinks, and something is added to each span.
    let capacity = batch.bytes.len() + batch.arena.len().min(batch.bytes.len() / 4 + 4096);
    let mut encoder = Encoder { batch, copies, writer: Writer::new(&batch.bytes, capacity) };
    for request in &batch.requests {
        encoder.writer.skip_to(request.body.at);
        for resource in request.resources.range() {
            encoder.resource(resource);
        }
        encoder.writer.copy_until(request.body.end());
    }
    Bytes::from(encoder.writer.out)
}

/// One live row as an `ExportTraceServiceRequest` of its own, as it is now, with its resource and scope. `None` where the row is dropped. Costs
/// about as much as the whole batch: for what happens seldom.
#[must_use]
pub fn alone(batch: &Batch, row: u32) -> Option<Bytes> {
    let span = batch.spans().get(row as usize).filter(|span| !span.dropped)?;
    let ids = (batch.get(span.trace_id).to_vec(), batch.get(span.span_id).to_vec());
    let mut whole = Batch::new();
    let loaded = whole.load(&[Incoming { body: encode(batch), context: Arc::new(RequestContext::default()) }]);
    loaded.into_iter().next()?.ok()?;
    // Copies of resources stand elsewhere than their rows did: it is found by its ids.
    let is_it = |span: &crate::batch::Span| whole.get(span.trace_id) == ids.0 && whole.get(span.span_id) == ids.1;
    let kept = whole.spans().iter().position(is_it)? as u32;
    for other in (0..whole.rows()).filter(|&other| other != kept) {
        whole.drop_row(other);
    }
    // Pins nothing of the batch.
    Some(Bytes::copy_from_slice(&encode(&whole)))
}

struct Encoder<'a> {
    batch: &'a Batch,
    copies: Option<Copies>,
    writer: Writer<'a>,
}

impl Encoder<'_> {
    /// An original resource and its copies, if anything about them is not as it came.
    fn resource(&mut self, number: usize) {
        let resource = &self.batch.resources[number];
        if resource.changes.is_none() {
            return;
        }
        self.writer.copy_until(resource.field.at);
        if let Some(mut copies) = self.copies.take() {
            copies.gather(self.batch, resource);
            for placed in copies.placed.chunk_by(|a, b| a.resource == b.resource) {
                self.resource_spans(placed[0].resource as usize, Some((placed, &copies)));
            }
            self.copies = Some(copies);
        } else if self.batch.spans[resource.rows.range()].iter().any(|span| !span.dropped) {
            self.resource_spans(number, None);
        }
        self.writer.skip_to(resource.field.end());
    }

    /// One `ResourceSpans`. Where there are copies, `placed` has its rows.
    fn resource_spans(&mut self, number: usize, placed: Option<(&[Placed], &Copies)>) {
        let batch = self.batch;
        let resource = &batch.resources[number];
        let open = self.writer.begin(field::RESOURCE_SPANS, resource.body.len);
        self.writer.skip_to(resource.body.at);
        let mut own = Owner::of_resource(batch, resource);
        let mut gap_from = resource.body.at;
        let mut placed = placed;
        for scope_number in resource.scopes.range() {
            let scope = &batch.scopes[scope_number];
            own.fields(&mut self.writer, Slice::between(gap_from, scope.field.at));
            gap_from = scope.field.end();
            match &mut placed {
                None => self.scope(scope_number),
                Some((rows, copies)) => {
                    let of_this = rows.partition_point(|placed| placed.original_scope as usize <= scope_number);
                    let (these, others) = rows.split_at(of_this);
                    *rows = others;
                    let was_empty = scope.rows.len == 0 && resource.original as usize == number;
                    if scope.changes.is_none() && (was_empty || !these.is_empty()) {
                        continue;
                    }
                    self.writer.copy_until(scope.field.at);
                    for these in these.chunk_by(|a, b| a.scope == b.scope) {
                        self.copied_scope_spans(these, copies);
                    }
                    self.writer.skip_to(scope.field.end());
                }
            }
        }
        own.fields(&mut self.writer, Slice::between(gap_from, resource.body.end()));
        self.writer.copy_until(resource.body.end());
        own.rest(&mut self.writer);
        self.writer.end(open);
    }

    /// An original scope whose rows are all still its own or dropped, if anything about it is not as it came.
    fn scope(&mut self, number: usize) {
        let scope = &self.batch.scopes[number];
        if scope.changes.is_none() {
            return;
        }
        self.writer.copy_until(scope.field.at);
        if self.batch.spans[scope.rows.range()].iter().any(|span| !span.dropped) {
            self.scope_spans(scope);
        }
        self.writer.skip_to(scope.field.end());
    }

    fn scope_spans(&mut self, scope: &Scope) {
        let batch = self.batch;
        let open = self.writer.begin(field::CHILDREN, scope.body.len);
        self.writer.skip_to(scope.body.at);
        let mut own = Owner::of_scope(batch, scope);
        let has_own = scope.changes.has(OWN);
        let mut gap_from = scope.body.at;
        for span in &batch.spans[scope.rows.range()] {
            if has_own {
                own.fields(&mut self.writer, Slice::between(gap_from, span.field.at));
                gap_from = span.field.end();
            }
            if span.dropped {
                self.writer.copy_until(span.field.at);
                self.writer.skip_to(span.field.end());
            } else if !span.changes.is_none() {
                self.writer.copy_until(span.field.at);
                span::put(&mut self.writer, batch, span);
                self.writer.skip_to(span.field.end());
            }
        }
        if has_own {
            own.fields(&mut self.writer, Slice::between(gap_from, scope.body.end()));
        }
        self.writer.copy_until(scope.body.end());
        own.rest(&mut self.writer);
        self.writer.end(open);
    }

    /// One of several scopes that an original scope's rows now have: first what stands between the spans, then its spans.
    fn copied_scope_spans(&mut self, placed: &[Placed], copies: &Copies) {
        let batch = self.batch;
        let scope = &batch.scopes[placed[0].scope as usize];
        let guess = placed.iter().map(|placed| batch.spans[placed.row as usize].field.len).sum();
        let open = self.writer.begin(field::CHILDREN, guess);
        let mut own = Owner::of_scope(batch, scope);
        for &gap in copies.gaps(scope.original) {
            self.writer.skip_to(gap.at);
            own.fields(&mut self.writer, gap);
            self.writer.copy_until(gap.end());
        }
        own.rest(&mut self.writer);
        let mut pending_until = 0;
        for placed in placed {
            let span = &batch.spans[placed.row as usize];
            if span.field.at != pending_until {
                self.writer.copy_until(pending_until);
                self.writer.skip_to(span.field.at);
            }
            if !span.changes.is_none() {
                self.writer.copy_until(span.field.at);
                span::put(&mut self.writer, batch, span);
                self.writer.skip_to(span.field.end());
            }
            pending_until = span.field.end();
        }
        self.writer.copy_until(pending_until);
        self.writer.end(open);
    }
}
