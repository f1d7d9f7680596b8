//! Arbitrary messages and edits from a seed, and messages on the wire as a strange but lawful sender writes them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use crate::edit::{Constant, Edit, Mode, Rows, Values};
use crate::path::Path;
use crate::wire::{self, Reader};

pub(super) struct Random {
    state: u64,
    ids: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF1, ids: 0 }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound
    }

    fn some<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        let len = [0, 1, 3, 6, 130][self.below(5)];
        (0..len).map(|_| (b'a' + self.below(12) as u8) as char).collect()
    }

    fn value(&mut self, depth: usize) -> AnyValue {
        let value = match self.below(if depth > 2 { 6 } else { 9 }) {
            0..=2 => Value::StringValue(self.text()),
            3 => Value::IntValue(self.next() as i64),
            4 => Value::BoolValue(self.below(2) == 1),
            5 => Value::BytesValue(self.text().into_bytes()),
            6 => return AnyValue { value: None },
            7 => Value::ArrayValue(ArrayValue { values: self.some(3, |random| random.value(depth + 1)) }),
            _ => Value::KvlistValue(KeyValueList { values: self.some(3, |random| random.pair(depth + 1)) }),
        };
        AnyValue { value: Some(value) }
    }

    fn key(&mut self) -> String {
        ["k1", "k2", "k3", "a long key that has more than sixteen bytes", "k\"uo\\ted"][self.below(5)].to_owned()
    }

    fn pair(&mut self, depth: usize) -> KeyValue {
        KeyValue { key: self.key(), value: Some(self.value(depth)), ..KeyValue::default() }
    }

    fn pairs(&mut self, most: usize) -> Vec<KeyValue> {
        self.some(most, |random| random.pair(0))
    }

    fn span(&mut self) -> Span {
        self.ids += 1;
        Span {
            trace_id: vec![9; 16],
            span_id: self.ids.to_be_bytes().to_vec(),
            trace_state: ["", "x=1", "x=1,ot=th:8"][self.below(3)].to_owned(),
            name: self.text(),
            kind: self.below(6) as i32,
            start_time_unix_nano: self.next() >> 1,
            end_time_unix_nano: self.next() >> 1,
            attributes: self.pairs(6),
            events: self.some(3, |random| Event {
                time_unix_nano: random.next(),
                name: random.text(),
                attributes: random.pairs(2),
                dropped_attributes_count: random.below(2) as u32,
            }),
            links: self.some(2, |random| Link {
                trace_id: vec![3; 16],
                span_id: vec![4; 8],
                trace_state: random.text(),
                attributes: random.pairs(2),
                ..Link::default()
            }),
            status: (self.below(2) == 1).then(|| Status { message: self.text(), code: self.below(3) as i32 }),
            flags: self.below(3) as u32,
            ..Span::default()
        }
    }

    pub(super) fn request(&mut self) -> ExportTraceServiceRequest {
        let resource_spans = self.some(3, |random| ResourceSpans {
            resource: (random.below(4) > 0).then(|| Resource { attributes: random.pairs(3), ..Resource::default() }),
            scope_spans: random.some(3, |random| ScopeSpans {
                scope: (random.below(4) > 0).then(|| InstrumentationScope {
                    name: random.text(),
                    version: random.text(),
                    attributes: random.pairs(2),
                    dropped_attributes_count: 0,
                }),
                spans: random.some(4, Self::span),
                schema_url: random.text(),
            }),
            schema_url: random.text(),
        });
        ExportTraceServiceRequest { resource_spans }
    }

    fn path(&mut self) -> Path {
        match self.below(14) {
            0..=3 => Path::Attribute(self.key().into()),
            4 => Path::ResourceAttribute(self.key().into()),
            5 => Path::ScopeAttribute(self.key().into()),
            6 => Path::Name,
            7 => Path::StatusMessage,
            8 => Path::ScopeName,
            9 => Path::ResourceSchemaUrl,
            10 => Path::EventAttribute(self.key().into()),
            11 => Path::EventName,
            12 => Path::Kind,
            _ => Path::LinkAttribute(self.key().into()),
        }
    }

    fn rows(&mut self, rows: usize) -> Rows {
        match self.below(3) {
            0 => Rows::Every,
            1 => Rows::These((0..rows as u32).rev().filter(|_| self.below(2) == 0).collect()),
            _ => Rows::Marked((0..rows).map(|_| self.below(2) as u8).collect()),
        }
    }

    pub(super) fn edit(&mut self, rows: usize) -> Edit {
        let at = self.rows(rows);
        let mode = [Mode::Upsert, Mode::Insert, Mode::Update][self.below(3)];
        match self.below(9) {
            0 => Edit::Drop { at, reason: "health".to_owned() },
            1..=3 => {
                let path = self.path();
                let constant = match path {
                    Path::Kind => Constant::Integer(3),
                    Path::Name | Path::StatusMessage | Path::ScopeName | Path::ResourceSchemaUrl | Path::EventName => {
                        Constant::Text(self.text())
                    }
                    _ if self.below(2) == 0 => Constant::Float(0.5),
                    _ => Constant::Text(self.text()),
                };
                Edit::Set { path, at, to: Values::Same(constant), mode }
            }
            4 | 5 => Edit::Copy { path: self.path(), to: self.path(), at, mode },
            6 => Edit::Move { path: self.path(), to: self.path(), at, mode },
            _ => Edit::Remove { path: self.path(), at },
        }
    }

    /// The same message on the wire, with its fields shuffled, unknown ones in between, and sub-messages in pieces.
    pub(super) fn scrambled(&mut self, message: &ExportTraceServiceRequest) -> Vec<u8> {
        self.message(&message.encode_to_vec(), Shape::Request)
    }

    fn message(&mut self, body: &[u8], shape: Shape) -> Vec<u8> {
        let mut fields: Vec<(u32, Vec<u8>)> = Vec::new();
        let mut reader = Reader::new(body);
        while let Some(f) = reader.next().unwrap() {
            let whole = body[f.start as usize..f.end as usize].to_vec();
            let Some(inner) = shape.child(f.number) else {
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
