//! Requests whose traces are new each time: made ready before the clock starts, but for their ids, which are written into a copy.
//!
//! A trace of more than one span comes in several requests, one after the other, as from the services that it passes.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use harness::client::Client;
use harness::spans::{Generator, Mix, Profile};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::drive::Source;

/// Spans of a request.
pub const REQUEST: usize = 500;
/// In how many requests a trace of several spans comes.
pub const PARTS: usize = 4;
/// One trace in so many has an error, and another one is slow.
pub const ONE_IN: usize = 100;
/// Longer than the policies allow.
const SLOW: u64 = 1_500_000_000;
/// How many different requests there are; a multiple of [`PARTS`].
const DIFFERENT: usize = 40;
const SEED: u64 = 1;

/// An endless source of them.
#[derive(Debug)]
pub struct Traffic {
    templates: Vec<Template>,
    parts: usize,
    traces: usize,
    sent: AtomicUsize,
}

/// A request's body, and where the ids of each of its traces are.
#[derive(Debug)]
struct Template {
    body: Vec<u8>,
    places: Vec<Vec<usize>>,
}

impl Traffic {
    /// Traces of so many spans.
    pub fn new(client: &Client, size: usize) -> Result<Self> {
        let parts = if size == 1 { 1 } else { PARTS };
        let traces = REQUEST / (size / parts);
        let mut generator = Generator::new(Profile::Medium, SEED).mix(Mix::PLAIN);
        let template = |number| Template::new(client, &mut generator, traces, number / parts, number % parts, parts);
        let templates = (0..DIFFERENT).map(template).collect::<Result<_>>()?;
        Ok(Self { templates, parts, traces, sent: AtomicUsize::new(0) })
    }
}

impl Source for Traffic {
    fn spans(&self) -> usize {
        REQUEST
    }

    /// Whatever number it has: no trace may come again.
    fn next(&self, _: usize) -> Bytes {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let Template { body, places } = &self.templates[number % DIFFERENT];
        let mut body = body.clone();
        // The same for all parts of a trace.
        let mut random = SmallRng::seed_from_u64((number / self.parts) as u64);
        for places in places.iter().take(self.traces) {
            let id: [u8; 16] = random.random();
            for &place in places {
                body[place..place + id.len()].copy_from_slice(&id);
            }
        }
        body.into()
    }
}

impl Template {
    fn new(
        client: &Client,
        generator: &mut Generator,
        traces: usize,
        group: usize,
        part: usize,
        parts: usize,
    ) -> Result<Self> {
        let mut request = generator.request(REQUEST).request;
        let mut random = SmallRng::seed_from_u64(!(group as u64));
        let each = REQUEST / traces;
        let spans = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
        let mut spans: Vec<&mut Span> = spans.flat_map(|scope| &mut scope.spans).collect();
        let mut marks = Vec::new();
        for (trace, spans) in spans.chunks_mut(each).enumerate() {
            let root = (group * traces + trace + 1) as u64;
            let kind = root % ONE_IN as u64;
            for (at, span) in spans.iter_mut().enumerate() {
                let mark: [u8; 16] = random.random();
                span.trace_id = mark.to_vec();
                marks.push((trace, mark));
                let is_root = part == 0 && at == 0;
                span.parent_span_id = if is_root { Vec::new() } else { root.to_be_bytes().to_vec() };
                if is_root {
                    span.span_id = root.to_be_bytes().to_vec();
                    span.kind = SpanKind::Server as i32;
                    if kind == 57 {
                        span.end_time_unix_nano = span.start_time_unix_nano + SLOW;
                    }
                }
            }
            if let Some(last) = spans.last_mut().filter(|_| kind == 13 && part + 1 == parts) {
                last.status = Some(Status { code: 2, message: "upstream connect error".to_owned() });
            }
        }
        let body = client.prepare(&client.encode(&request)?)?.to_vec();
        let mut places = vec![Vec::new(); traces];
        let mut from = 0;
        for (trace, mark) in marks {
            let rest = &body[from..];
            let at = rest.windows(mark.len()).position(|bytes| bytes == mark).context("a trace id in its request")?;
            places[trace].push(from + at);
            from += at + mark.len();
        }
        Ok(Self { body, places })
    }
}
