//! Seeded traffic with everything that policies look at, and with what they should not stumble over.

use harness::Trace;
use harness::traces::{attribute, by_id, text};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};

const TRACES: u64 = 1500;
/// Traces whose spans come at the same time, from several services in turn.
const TOGETHER: usize = 50;
const SERVICES: [&str; 4] = ["frontend", "checkout", "payment", "stock"];

/// What is sent.
pub struct Traffic {
    /// The root of each trace comes first; the spans of one trace are scattered over many requests.
    pub requests: Vec<ExportTraceServiceRequest>,
    /// By trace id.
    pub traces: BTreeMap<Vec<u8>, Vec<Span>>,
    /// Traces in which a span begins before the root or ends after it.
    pub skewed: BTreeSet<Vec<u8>>,
    /// Traces that say something of sampling.
    pub informed: BTreeSet<Vec<u8>>,
}

impl Traffic {
    /// The same seed gives the same traffic.
    pub fn new(seed: u64) -> Self {
        eprintln!("policies: seed {seed}");
        let mut maker = Maker { random: SmallRng::seed_from_u64(seed) };
        let mut traffic =
            Self { requests: Vec::new(), traces: BTreeMap::new(), skewed: BTreeSet::new(), informed: BTreeSet::new() };
        let numbers: Vec<u64> = (0..TRACES).collect();
        for together in numbers.chunks(TOGETHER) {
            let made: Vec<Vec<(usize, Span)>> =
                together.iter().map(|number| maker.trace(*number, &mut traffic)).collect();
            let longest = made.iter().map(Vec::len).max().unwrap_or(0);
            for at in 0..longest {
                let turn: Vec<_> = made.iter().filter_map(|trace| trace.get(at).cloned()).collect();
                traffic.traces_of(&turn);
                traffic.requests.push(Maker::request(turn));
            }
        }
        traffic
    }

    fn traces_of(&mut self, turn: &[(usize, Span)]) {
        for (id, spans) in by_id(turn.iter().map(|(_, span)| span.clone())) {
            self.traces.entry(id).or_default().extend(spans);
        }
    }
}

struct Maker {
    random: SmallRng,
}

impl Maker {
    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(&mut self.random).expect("a choice")
    }

    /// A trace, with the service of each span.
    fn trace(&mut self, number: u64, traffic: &mut Traffic) -> Vec<(usize, Span)> {
        let trace = Trace(number);
        let count: u16 = self.one_of(&[1, 1, 2, 3, 4, 6, 12]);
        let state = self.state(trace);
        if state.contains("ot=") {
            traffic.informed.insert(trace.id());
        }
        let flags = self.one_of(&[0, 0, 1, 0x100, 0x101, 0x300]);
        // In microseconds, so that some differ from a threshold by less than a millisecond.
        let around: u64 = self.one_of(&[20_000, 100_000, 500_000, 2_000_000]);
        let duration = around - 1500 + self.random.random_range(0..3000);
        let is_skewed = count > 1 && self.random.random_bool(0.1);
        if is_skewed {
            traffic.skewed.insert(trace.id());
        }
        let mut root = trace.span(0);
        root.end_time_unix_nano = root.start_time_unix_nano + duration * 1000;
        let (start, end) = (root.start_time_unix_nano, root.end_time_unix_nano);
        let mut spans = vec![root];
        for at in 1..count {
            let mut span = trace.span(at);
            span.start_time_unix_nano = self.random.random_range(start..end);
            span.end_time_unix_nano = self.random.random_range(span.start_time_unix_nano..=end);
            if is_skewed && at == 1 {
                // By another machine's clock, or because nobody waited for it.
                let late = self.random.random_range(1..400_000_000);
                if self.random.random_bool(0.5) {
                    span.end_time_unix_nano = end + late;
                } else {
                    span.start_time_unix_nano = start - late;
                    span.end_time_unix_nano = start - late / 2;
                }
            }
            spans.push(span);
        }
        let mut all = Vec::new();
        for mut span in spans {
            self.describe(&mut span);
            span.trace_state.clone_from(&state);
            span.flags = flags;
            all.push((self.random.random_range(0..SERVICES.len()), span));
        }
        // Not all spans of a trace agree on these: one is enough for some policies.
        if self.random.random_bool(0.1) {
            let at = self.random.random_range(0..all.len());
            all[at].1.flags ^= 1;
        }
        all
    }

    /// Of the whole trace. What it says of sampling agrees with the trace's randomness, as it does wherever somebody has sampled by it.
    fn state(&mut self, trace: Trace) -> String {
        let rv = self.random.random_range(0..1_u64 << 56);
        let kind = self.random.random_range(0..10);
        let vendor = self.one_of(&["a", "b", "ab"]);
        match kind {
            0 => format!("vendor={vendor}"),
            1 => format!("other=1,vendor={vendor}"),
            // What is no trace state.
            2 => {
                self.one_of(&["vendor", "vendor=a,vendor=b", "a b=c,vendor=a", "vendor=a b", ",", "vendor="]).to_owned()
            }
            3 => format!("vendor={vendor},ot=rv:{rv:014x}"),
            4 => format!("ot=rv:{rv:014x}"),
            5 if rv >= 1 << 55 => format!("ot=th:8;rv:{rv:014x}"),
            6 if trace.randomness() >= 1 << 55 => "ot=th:8".to_owned(),
            7 if trace.randomness() >= 15 << 52 => "ot=th:f,vendor=a".to_owned(),
            _ => String::new(),
        }
    }

    fn describe(&mut self, span: &mut Span) {
        const ROUTES: [&str; 7] = ["/", "/cart", "/products/{id}", "/products/{id}/reviews", "/live", "/ready", ""];
        let route = self.one_of(&ROUTES);
        span.name = format!("{} {route}", self.one_of(&["GET", "POST"]));
        let code: i64 = self.one_of(&[200, 200, 200, 201, 404, 499, 500, 503, 600]);
        let mut attributes = Vec::new();
        let mut add = |is_there: bool, made: KeyValue| attributes.extend(is_there.then_some(made));
        add(self.random.random_bool(0.8), text("http.route", route));
        add(self.random.random_bool(0.7), attribute("http.response.status_code", Value::IntValue(code)));
        add(self.random.random_bool(0.1), attribute("retry", Value::BoolValue(self.random.random_bool(0.5))));
        add(self.random.random_bool(0.1), attribute("amount", Value::IntValue(self.random.random_range(-50..50))));
        // A key that is not always of one type.
        let odd = match self.random.random_range(0..12) {
            0 => Some(Value::StringValue("true".to_owned())),
            1 => Some(Value::BoolValue(true)),
            2 => Some(Value::IntValue(7)),
            3 => Some(Value::DoubleValue(7.5)),
            4 => Some(Value::StringValue(String::new())),
            _ => None,
        };
        attributes.extend(odd.map(|value| attribute("odd", value)));
        span.attributes = attributes;
        span.status = match self.random.random_range(0..20) {
            0 => Some(Status { code: 2, message: "no answer".to_owned() }),
            1..4 => Some(Status { code: 1, ..Status::default() }),
            _ => None,
        };
        if self.random.random_bool(0.05) {
            let kind = self.one_of(&["TimeoutError", "ValueError"]);
            let attributes = vec![text("exception.type", kind)];
            span.events.push(Event { name: "exception".to_owned(), attributes, ..Event::default() });
        }
    }

    /// Spans of several services in one request, as a gateway sends them.
    fn request(spans: Vec<(usize, Span)>) -> ExportTraceServiceRequest {
        let mut of_services: BTreeMap<usize, Vec<Span>> = BTreeMap::new();
        for (service, span) in spans {
            of_services.entry(service).or_default().push(span);
        }
        let resource_spans = of_services.into_iter().map(|(service, spans)| ResourceSpans {
            resource: Some(Resource { attributes: resource(service), ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        });
        ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
    }
}

fn resource(service: usize) -> Vec<KeyValue> {
    let mut attributes = vec![text("service.name", SERVICES[service])];
    match service {
        1 => attributes.push(attribute("replica", Value::IntValue(11))),
        2 => attributes.push(attribute("canary", Value::BoolValue(true))),
        // On the resource a text may be empty, and a key of spans may be there too.
        3 => attributes.extend([text("odd", ""), text("http.route", "/cart")]),
        _ => {}
    }
    attributes
}

/// A trace's randomness by the specification: what it says, or else the last 56 bits of its id.
pub fn randomness(spans: &[Span]) -> u64 {
    let span = &spans[0];
    let said = span.trace_state.split("rv:").nth(1).and_then(|rest| u64::from_str_radix(rest.get(..14)?, 16).ok());
    said.unwrap_or_else(|| span.trace_id[9..].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
}

/// The threshold that a span says.
pub fn threshold(span: &Span) -> Option<String> {
    let (_, rest) = span.trace_state.split_once("th:")?;
    Some(rest.split([';', ',']).next()?.to_owned())
}
