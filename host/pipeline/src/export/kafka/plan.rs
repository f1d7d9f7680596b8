//! Takes a batch apart into messages: spans into one for each trace, keyed by its id. Knows the wire format, not Kafka.
//!
//! A message holds each `ResourceSpans` and `ScopeSpans` that has spans of its trace, with all that these hold beside spans, byte for byte,
//! and the spans themselves in their order. So a message is never larger than the batch. Messages are written one at a time: a large resource
//! that is repeated for each trace costs the memory of one message and not of all.

use std::fmt::Write as _;

use bytes::Bytes;
use hashbrown::HashMap;
use otlp::signal::Signal;
use otlp::wire::{Reader, Slice, WireError, field_len, put_header};

use super::super::split::{Cutter, Piece};

/// The field of a span that holds its trace's id.
const TRACE_ID: u32 = 1;
/// How long that is.
const ID_BYTES: u32 = 16;

/// What messages a batch becomes.
#[derive(Debug, Default)]
pub(in super::super) struct Plan {
    bodies: Vec<Bytes>,
    messages: Vec<Message>,
    /// The requests, and the `ResourceSpans` and `ScopeSpans` in them.
    owners: Vec<Owner>,
}

/// One message.
#[derive(Debug)]
struct Message {
    key: Option<String>,
    items: u64,
    made: Made,
}

/// What a message is made of.
#[derive(Debug)]
enum Made {
    /// A body as it came.
    Whole(usize),
    /// Spans.
    Of(Vec<Element>),
}

/// A span, its tag included, and the place of its scope among the owners.
#[derive(Debug, Clone, Copy)]
struct Element {
    scope: usize,
    raw: Slice,
}

/// A message that others stand in.
#[derive(Debug)]
struct Owner {
    body: usize,
    /// The place of what it stands in; its own, for a request.
    parent: usize,
    number: u32,
    /// What it holds beside what is taken apart, and the bytes of that.
    beside: Vec<Slice>,
    beside_len: usize,
}

/// A field that is a message.
#[derive(Debug, Clone, Copy)]
struct Inner {
    number: u32,
    raw: Slice,
    content: Slice,
}

impl Plan {
    /// Of bodies that are messages as they are, with their items: metrics and logs.
    pub fn whole(bodies: Vec<(Bytes, u32)>) -> Self {
        let of = |(at, (_, items)): (usize, &(Bytes, u32))| Message {
            key: None,
            items: u64::from(*items),
            made: Made::Whole(at),
        };
        let messages = bodies.iter().enumerate().map(of).collect();
        Self { messages, bodies: bodies.into_iter().map(|(body, _)| body).collect(), owners: Vec::new() }
    }

    /// Of requests with spans, by their traces, in the order in which these are met.
    pub fn by_trace(bodies: Vec<Bytes>) -> Result<Self, WireError> {
        let mut plan = Self::default();
        let mut known: HashMap<Vec<u8>, (usize, Vec<Element>)> = HashMap::new();
        for (at, body) in bodies.iter().enumerate() {
            let whole = Slice { at: 0, len: u32::try_from(body.len()).unwrap_or(u32::MAX) };
            let request = Inner { number: 0, raw: whole, content: whole };
            plan.take_apart(at, body, request, plan.owners.len(), 0, &mut known)?;
        }
        let mut messages: Vec<_> = known.into_iter().collect();
        messages.sort_unstable_by_key(|(_, (place, _))| *place);
        let of = |(id, (_, spans)): (Vec<u8>, (usize, Vec<Element>))| Message {
            key: Some(key(&id)),
            items: spans.len() as u64,
            made: Made::Of(spans),
        };
        plan.messages = messages.into_iter().map(of).collect();
        plan.bodies = bodies;
        Ok(plan)
    }

    /// Goes through a message of a level, and all in it.
    fn take_apart(
        &mut self,
        at: usize,
        body: &[u8],
        message: Inner,
        parent: usize,
        depth: usize,
        known: &mut HashMap<Vec<u8>, (usize, Vec<Element>)>,
    ) -> Result<(), WireError> {
        let levels = Signal::Traces.levels();
        let place = self.owners.len();
        let mut owner = Owner { body: at, parent, number: message.number, beside: Vec::new(), beside_len: 0 };
        let mut inner = Vec::new();
        let mut reader = Reader::within(body, message.content);
        while let Some(field) = reader.next()? {
            let raw = Slice::between(field.start, field.end);
            if levels[depth].contains(&field.number) {
                inner.push(Inner { number: field.number, raw, content: field.bytes()? });
                continue;
            }
            owner.beside_len += raw.len as usize;
            match owner.beside.last_mut().filter(|last| last.end() == raw.at) {
                Some(last) => last.len += raw.len,
                None => owner.beside.push(raw),
            }
        }
        self.owners.push(owner);
        for one in inner {
            if depth + 1 < levels.len() {
                self.take_apart(at, body, one, place, depth + 1, known)?;
                continue;
            }
            let next = known.len();
            let (_, spans) = known.entry_ref(trace_id(body, one.content)?).or_insert_with(|| (next, Vec::new()));
            spans.push(Element { scope: place, raw: one.raw });
        }
        Ok(())
    }

    /// Makes smaller messages of one that has several items. Answers these, of which one has its place.
    pub fn split(&mut self, message: usize, signal: Signal) -> Option<Vec<usize>> {
        let Message { key, items, made } = &mut self.messages[message];
        if *items < 2 {
            return None;
        }
        let more: Vec<Message> = match made {
            Made::Of(spans) => {
                let rest = spans.split_off(spans.len() / 2);
                *items = spans.len() as u64;
                vec![Message { key: key.clone(), items: rest.len() as u64, made: Made::Of(rest) }]
            }
            Made::Whole(at) => {
                let (body, all) = (self.bodies[*at].clone(), u32::try_from(*items).unwrap_or(u32::MAX));
                let mut parts = pieces(signal, body, all)?.into_iter();
                let (first, of_first) = parts.next()?;
                (self.bodies[*at], *items) = (first, u64::from(of_first));
                let bodies = &mut self.bodies;
                let mut add = |(body, items): (Bytes, u32)| {
                    bodies.push(body);
                    Message { key: None, items: u64::from(items), made: Made::Whole(bodies.len() - 1) }
                };
                parts.map(&mut add).collect()
            }
        };
        let next = self.messages.len();
        self.messages.extend(more);
        Some(std::iter::once(message).chain(next..self.messages.len()).collect())
    }

    /// How many messages there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// How many items a message holds.
    pub fn items(&self, message: usize) -> u64 {
        self.messages[message].items
    }

    /// The trace's id in lower-case hex, as the Collector writes it; empty where a span has none that is valid. None for what has no trace.
    pub fn key(&self, message: usize) -> Option<&str> {
        self.messages[message].key.as_deref()
    }

    /// A message's body.
    pub fn body(&self, message: usize) -> Bytes {
        match &self.messages[message].made {
            Made::Whole(at) => self.bodies[*at].clone(),
            Made::Of(spans) => self.written(spans).into(),
        }
    }

    fn written(&self, spans: &[Element]) -> Vec<u8> {
        let resource = |span: &Element| self.owners[span.scope].parent;
        let request = |span: &Element| self.owners[resource(span)].parent;
        let mut out = Vec::new();
        for of_request in spans.chunk_by(|one, other| request(one) == request(other)) {
            self.put_beside(&mut out, request(&of_request[0]));
            for of_resource in of_request.chunk_by(|one, other| resource(one) == resource(other)) {
                let of_scopes = || of_resource.chunk_by(|one, other| one.scope == other.scope);
                let place = resource(&of_resource[0]);
                let scopes: usize =
                    of_scopes().map(|spans| self.scope_len(spans)).map(|(number, len)| field_len(number, len)).sum();
                put_header(&mut out, self.owners[place].number, self.owners[place].beside_len + scopes);
                self.put_beside(&mut out, place);
                for of_scope in of_scopes() {
                    let (number, len) = self.scope_len(of_scope);
                    put_header(&mut out, number, len);
                    self.put_beside(&mut out, of_scope[0].scope);
                    let body = &self.bodies[self.owners[of_scope[0].scope].body];
                    for span in of_scope {
                        out.extend_from_slice(part(body, span.raw));
                    }
                }
            }
        }
        out
    }

    /// The field of a scope with these spans, and the bytes in it.
    fn scope_len(&self, spans: &[Element]) -> (u32, usize) {
        let owner = &self.owners[spans[0].scope];
        (owner.number, owner.beside_len + spans.iter().map(|span| span.raw.len as usize).sum::<usize>())
    }

    fn put_beside(&self, out: &mut Vec<u8>, owner: usize) {
        let owner = &self.owners[owner];
        for beside in &owner.beside {
            out.extend_from_slice(part(&self.bodies[owner.body], *beside));
        }
    }
}

/// A request in parts of about half its size, all of which are smaller than it; `None` where there are none.
fn pieces(signal: Signal, body: Bytes, items: u32) -> Option<Vec<(Bytes, u32)>> {
    let (half, less) = (body.len() / 2, body.len().saturating_sub(1));
    let mut cutter = Cutter::new(signal, body, items, half, less);
    let mut parts = Vec::new();
    while let Some(piece) = cutter.next() {
        match piece {
            Piece::Fits { body, items, .. } => parts.push((body, items)),
            Piece::Oversize(_) => return None,
        }
    }
    Some(parts)
}

fn part(body: &[u8], part: Slice) -> &[u8] {
    &body[part.at as usize..part.end() as usize]
}

/// Of a span; empty where it has none. The last one counts, as everywhere in protobuf.
fn trace_id(body: &[u8], span: Slice) -> Result<&[u8], WireError> {
    let mut reader = Reader::within(body, span);
    let mut id = &body[..0];
    while let Some(field) = reader.next()? {
        if field.number == TRACE_ID {
            id = part(body, field.bytes()?);
        }
    }
    Ok(id)
}

fn key(id: &[u8]) -> String {
    if id.len() != ID_BYTES as usize || id.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    id.iter().fold(String::with_capacity(2 * id.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}

#[cfg(test)]
mod tests;
