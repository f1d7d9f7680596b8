//! Arbitrary messages from a seed. Edits of them, and how they are written on the wire, are in modules of their own.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

mod edits;
mod wire;

pub(super) use wire::{broken, mended};

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
        // U+FFFD stands for what is no UTF-8; see `broken`.
        (0..len).map(|_| if self.below(60) == 0 { '\u{fffd}' } else { (b'a' + self.below(12) as u8) as char }).collect()
    }

    fn float(&mut self) -> f64 {
        [0.5, -0.0, 1.0e300, -3.25, f64::INFINITY][self.below(5)]
    }

    fn value(&mut self, depth: usize) -> AnyValue {
        let value = match self.below(if depth > 2 { 7 } else { 10 }) {
            0..=2 => Value::StringValue(self.text()),
            3 => Value::IntValue(self.next() as i64),
            4 => Value::BoolValue(self.below(2) == 1),
            5 => Value::BytesValue(self.text().into_bytes()),
            6 => Value::DoubleValue(self.float()),
            7 => return AnyValue { value: None },
            8 => Value::ArrayValue(ArrayValue { values: self.some(3, |random| random.value(depth + 1)) }),
            _ => Value::KvlistValue(KeyValueList { values: self.some(3, |random| random.pair(depth + 1)) }),
        };
        AnyValue { value: Some(value) }
    }

    fn key(&mut self) -> String {
        ["k1", "k2", "k3", "a long key that has more than sixteen bytes", "k\"uo\\ted"][self.below(5)].to_owned()
    }

    fn pair(&mut self, depth: usize) -> KeyValue {
        // No path can name a key that is no UTF-8.
        let key = if self.below(15) == 0 { "odd\u{fffd}".to_owned() } else { self.key() };
        KeyValue { key, value: Some(self.value(depth)), ..KeyValue::default() }
    }

    fn pairs(&mut self, most: usize) -> Vec<KeyValue> {
        self.some(most, |random| random.pair(0))
    }

    /// A few beyond what an integer of 64 bits with a sign holds.
    fn time(&mut self) -> u64 {
        self.next() >> usize::from(self.below(4) > 0)
    }

    fn span(&mut self) -> Span {
        self.ids += 1;
        Span {
            trace_id: [[9; 8], (self.next() | 1).to_be_bytes()].concat(),
            span_id: self.ids.to_be_bytes().to_vec(),
            parent_span_id: [vec![], vec![0; 8], vec![5; 8]][self.below(3)].clone(),
            trace_state: ["", "x=1", "x=1,ot=th:8", "ot=rv:00000000000001;th:4, y=2", "ot=th:zz"][self.below(5)]
                .to_owned(),
            name: self.text(),
            kind: self.below(6) as i32,
            start_time_unix_nano: self.time(),
            end_time_unix_nano: self.time(),
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
}
