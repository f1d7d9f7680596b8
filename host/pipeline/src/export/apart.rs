//! Takes a request of spans apart by trace: into one request for each of several takers. Knows nothing of queues.
//!
//! Every span goes to one taker, byte for byte. What stands beside the spans (the resource, the scope, schema URLs, unknown fields) is
//! repeated for each that gets a part of them, byte for byte too. What is all one taker's is not even copied.

use bytes::Bytes;
use otlp::index::field;
use otlp::wire::{Reader, Slice, WireError, field_len, put_header};

/// What each taker gets: a request and its spans, if there is anything for it.
pub(super) type Parts = Vec<Option<(Bytes, u32)>>;

/// Takes a request of so many spans apart, by whom `owner` says that a trace belongs to, of so many takers. What cannot be read is
/// whole the first's: it is as it came, and nobody knows better.
pub(super) fn by_trace(body: &Bytes, items: u32, takers: usize, owner: impl Fn(&[u8]) -> usize) -> Parts {
    let mut parts = vec![None; takers];
    let apart = if takers > 1 { Apart::read(body, owner) } else { Ok(Apart::default()) };
    let apart = apart.unwrap_or_default();
    match apart.only() {
        Some(only) => parts[only] = Some((body.clone(), items)),
        None => apart.write(body, &mut parts),
    }
    parts
}

/// Where everything stands in a request, and whose the spans are.
#[derive(Debug, Default)]
struct Apart {
    /// What stands beside the `ResourceSpans`.
    head: Vec<Slice>,
    resources: Vec<Outer>,
    scopes: Vec<Outer>,
    /// In the order of the request.
    spans: Vec<Owned>,
}

/// A `ResourceSpans` or `ScopeSpans`.
#[derive(Debug)]
struct Outer {
    /// With its tag.
    at: Slice,
    /// What stands beside what it holds.
    head: Vec<Slice>,
    head_len: usize,
    /// How many spans it holds.
    spans: usize,
}

/// A span.
#[derive(Debug, Clone, Copy)]
struct Owned {
    /// With its tag.
    at: Slice,
    resource: u32,
    scope: u32,
    owner: u32,
}

impl Outer {
    fn new(at: Slice) -> Self {
        Self { at, head: Vec::new(), head_len: 0, spans: 0 }
    }

    fn beside(&mut self, at: Slice) {
        self.head_len += at.len as usize;
        self.head.push(at);
    }
}

impl Apart {
    fn read(body: &Bytes, owner: impl Fn(&[u8]) -> usize) -> Result<Self, WireError> {
        let mut apart = Self::default();
        // Spans of one trace often stand together.
        let mut last: Option<(&[u8], usize)> = None;
        let mut request = Reader::new(body);
        while let Some(outer) = request.next()? {
            let at = Slice::between(outer.start, outer.end);
            if outer.number != field::RESOURCE_SPANS {
                apart.head.push(at);
                continue;
            }
            let (mut resource, number) = (Outer::new(at), apart.resources.len() as u32);
            let mut inside = Reader::within(body, outer.bytes()?);
            while let Some(inner) = inside.next()? {
                let at = Slice::between(inner.start, inner.end);
                if inner.number != field::CHILDREN {
                    resource.beside(at);
                    continue;
                }
                let mut scope = Outer::new(at);
                let mut spans = Reader::within(body, inner.bytes()?);
                while let Some(span) = spans.next()? {
                    let at = Slice::between(span.start, span.end);
                    if span.number != field::CHILDREN {
                        scope.beside(at);
                        continue;
                    }
                    let trace = trace_of(body, span.bytes()?)?;
                    let owner = match last {
                        Some((known, owner)) if known == trace => owner,
                        _ => owner(trace),
                    };
                    last = Some((trace, owner));
                    apart.spans.push(Owned {
                        at,
                        resource: number,
                        scope: apart.scopes.len() as u32,
                        owner: owner as u32,
                    });
                    scope.spans += 1;
                }
                resource.spans += scope.spans;
                apart.scopes.push(scope);
            }
            apart.resources.push(resource);
        }
        Ok(apart)
    }

    /// Whose the whole request is, if it is one taker's. One without spans is the first's.
    fn only(&self) -> Option<usize> {
        let Some(first) = self.spans.first() else { return Some(0) };
        self.spans.iter().all(|span| span.owner == first.owner).then_some(first.owner as usize)
    }

    fn write(mut self, body: &Bytes, parts: &mut Parts) {
        // Stable: the spans of each stay in their order.
        self.spans.sort_by_key(|span| span.owner);
        let head_len: usize = self.head.iter().map(|at| at.len as usize).sum();
        for spans in self.spans.chunk_by(|one, other| one.owner == other.owner) {
            let len: usize = of_resource(spans).map(|spans| self.resource_len(spans)).sum();
            let mut part = Vec::with_capacity(head_len + len);
            copy_all(&mut part, body, &self.head);
            for spans in of_resource(spans) {
                self.write_resource(&mut part, body, spans);
            }
            parts[spans[0].owner as usize] = Some((part.into(), spans.len() as u32));
        }
    }

    /// A `ResourceSpans` with these of its spans: as it came, where these are all.
    fn write_resource(&self, part: &mut Vec<u8>, body: &Bytes, spans: &[Owned]) {
        let resource = self.resource(spans);
        if resource.spans == spans.len() {
            return copy(part, body, resource.at);
        }
        put_header(part, field::RESOURCE_SPANS, self.inner_len(spans));
        copy_all(part, body, &resource.head);
        for spans in of_scope(spans) {
            let scope = self.scope(spans);
            if scope.spans == spans.len() {
                copy(part, body, scope.at);
                continue;
            }
            put_header(part, field::CHILDREN, scope.head_len + len(spans));
            copy_all(part, body, &scope.head);
            for span in spans {
                copy(part, body, span.at);
            }
        }
    }

    fn resource_len(&self, spans: &[Owned]) -> usize {
        let resource = self.resource(spans);
        let is_whole = resource.spans == spans.len();
        if is_whole { resource.at.len as usize } else { field_len(field::RESOURCE_SPANS, self.inner_len(spans)) }
    }

    /// How long what a `ResourceSpans` holds is with these of its spans.
    fn inner_len(&self, spans: &[Owned]) -> usize {
        let scope_len = |spans: &[Owned]| {
            let scope = self.scope(spans);
            let is_whole = scope.spans == spans.len();
            if is_whole { scope.at.len as usize } else { field_len(field::CHILDREN, scope.head_len + len(spans)) }
        };
        self.resource(spans).head_len + of_scope(spans).map(scope_len).sum::<usize>()
    }

    fn resource(&self, spans: &[Owned]) -> &Outer {
        &self.resources[spans[0].resource as usize]
    }

    fn scope(&self, spans: &[Owned]) -> &Outer {
        &self.scopes[spans[0].scope as usize]
    }
}

fn of_resource(spans: &[Owned]) -> impl Iterator<Item = &[Owned]> {
    spans.chunk_by(|one, other| one.resource == other.resource)
}

fn of_scope(spans: &[Owned]) -> impl Iterator<Item = &[Owned]> {
    spans.chunk_by(|one, other| one.scope == other.scope)
}

fn len(spans: &[Owned]) -> usize {
    spans.iter().map(|span| span.at.len as usize).sum()
}

fn copy_all(part: &mut Vec<u8>, body: &Bytes, all: &[Slice]) {
    for at in all {
        copy(part, body, *at);
    }
}

fn copy(part: &mut Vec<u8>, body: &Bytes, at: Slice) {
    part.extend_from_slice(&body[at.at as usize..at.end() as usize]);
}

/// A span's trace id. Of several, the last counts, as everywhere in protobuf: so all fields are looked at.
fn trace_of(body: &Bytes, span: Slice) -> Result<&[u8], WireError> {
    let mut trace: &[u8] = &[];
    let mut reader = Reader::within(body, span);
    while let Some(found) = reader.next()? {
        if found.number == field::TRACE_ID {
            let at = found.bytes()?;
            trace = &body[at.at as usize..at.end() as usize];
        }
    }
    Ok(trace)
}

#[cfg(test)]
mod tests;
