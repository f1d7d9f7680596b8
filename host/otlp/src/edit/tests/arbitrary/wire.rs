//! Messages on the wire as a strange but lawful sender writes them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::Random;
use crate::wire::{self, Field, Payload, Reader};

/// How a text that is no UTF-8 stands in the message that the reference reads, and how it comes in. Both have three bytes, so that
/// no length changes; the second is the beginning of a letter that does not end.
const REPLACED: &[u8] = "\u{fffd}".as_bytes();
const INVALID: &[u8] = b"\xf0\x9f\x98";

/// The same message, with texts that are no UTF-8 where it has U+FFFD.
pub(in super::super) fn broken(body: Vec<u8>) -> Vec<u8> {
    // Numbers may look like it by chance; then there would be no way back.
    if body.windows(INVALID.len()).any(|bytes| bytes == INVALID) { body } else { exchanged(body, REPLACED, INVALID) }
}

/// The way back: what was not touched leaves as it came, which the reference would not read.
pub(in super::super) fn mended(body: &[u8]) -> Vec<u8> {
    exchanged(body.to_vec(), INVALID, REPLACED)
}

fn exchanged(mut body: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut at = 0;
    while at + from.len() <= body.len() {
        if body[at..].starts_with(from) {
            body[at..at + from.len()].copy_from_slice(to);
            at += from.len();
        } else {
            at += 1;
        }
    }
    body
}

impl Random {
    /// The same message on the wire, with its fields shuffled, some written twice, unknown ones in between, and
    /// sub-messages in pieces.
    pub(in super::super) fn scrambled(&mut self, message: &ExportTraceServiceRequest) -> Vec<u8> {
        self.message(&message.encode_to_vec(), Shape::Request)
    }

    fn message(&mut self, body: &[u8], shape: Shape) -> Vec<u8> {
        let mut fields: Vec<(u32, Vec<u8>)> = Vec::new();
        if shape == Shape::Value && self.below(8) == 0 {
            // Of a `oneof` that is written twice the last one counts, whatever its type.
            let mut other = Vec::new();
            wire::put_bytes(&mut other, 1, b"decoy");
            fields.push((1, other));
        }
        let mut reader = Reader::new(body);
        while let Some(f) = reader.next().unwrap() {
            let whole = body[f.start as usize..f.end as usize].to_vec();
            let Some(inner) = shape.child(f.number) else {
                if self.below(8) == 0 {
                    fields.push((f.number, decoy(&f)));
                }
                fields.push((f.number, whole));
                continue;
            };
            let part = f.bytes().unwrap();
            let inner_body = self.message(&body[part.at as usize..part.end() as usize], inner);
            let pieces = if inner.is_mergeable() && self.below(3) == 0 { split(&inner_body) } else { vec![inner_body] };
            for piece in pieces {
                let mut whole = Vec::new();
                wire::put_bytes(&mut whole, f.number, &piece);
                fields.push((f.number, whole));
            }
        }
        if self.below(3) == 0 {
            let mut unknown = Vec::new();
            wire::put_bytes(&mut unknown, 900, self.text().as_bytes());
            fields.insert(self.below(fields.len() + 1), (900, unknown));
        }
        // Fields of one number keep their order.
        if self.below(3) == 0 {
            for _ in 0..fields.len() {
                let at = self.below(fields.len().max(2) - 1);
                if at + 1 < fields.len() && fields[at].0 != fields[at + 1].0 && shape != Shape::Value {
                    fields.swap(at, at + 1);
                }
            }
        }
        fields.into_iter().flat_map(|(_, bytes)| bytes).collect()
    }
}

/// The same field with another value. Written before it, it does not count.
fn decoy(f: &Field) -> Vec<u8> {
    let mut out = Vec::new();
    match f.payload {
        Payload::Varint(value) => wire::put_varint_field(&mut out, f.number, value ^ 1),
        // The sign: no other number is one that is not equal to itself.
        Payload::Fixed64(value) => wire::put_fixed64_field(&mut out, f.number, value ^ 1 << 63),
        Payload::Fixed32(value) => wire::put_fixed32_field(&mut out, f.number, !value),
        Payload::Bytes(slice) => wire::put_bytes(&mut out, f.number, &vec![b'x'; slice.len as usize]),
        Payload::Group => {}
    }
    out
}

fn split(body: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(body);
    let end = reader.next().unwrap().map_or(0, |f| f.end as usize);
    vec![body[..end].to_vec(), body[end..].to_vec()]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    Status,
    Pair,
    Value,
    List,
    Map,
}

impl Shape {
    fn child(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::Request, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Span, 15) => Self::Status,
            (Self::Span, 9) | (Self::Resource | Self::Map, 1) | (Self::Scope | Self::Event, 3) | (Self::Link, 4) => {
                Self::Pair
            }
            (Self::Pair, 2) | (Self::List, 1) => Self::Value,
            (Self::Value, 5) => Self::List,
            (Self::Value, 6) => Self::Map,
            _ => return None,
        })
    }

    fn is_mergeable(self) -> bool {
        matches!(self, Self::Resource | Self::Scope | Self::Status | Self::List | Self::Map | Self::Value)
    }
}
