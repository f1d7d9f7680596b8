//! Measures a batch: which series its rows belong to, with which weight. Recorded at once, or held until it is known that the batch was
//! taken.

use std::sync::Arc;
use std::time::Instant;

use otlp::batch::{Batch, Span};
use otlp::lookup;
use otlp::value::Value;
use otlp::weight;

use super::config::Dimension;
use super::durations::Sample;
use super::exemplar::Candidate;
use super::graph::half::{Half, Side};
use super::graph::names::Names;
use super::graph::{self, Graph, Joining};
use super::key;
use super::schema::{CALLS, SpanKey};
use super::series::Deltas;
use super::spans::Spans;

/// The service of a resource that names none, as OpenTelemetry calls it.
const UNKNOWN_SERVICE: &str = "unknown_service";
const SERVICE_NAME: &str = "service.name";
/// `STATUS_CODE_ERROR`
const ERROR: i32 = 2;
/// No scope has this number.
const NO_SCOPE: u32 = u32::MAX;

/// Measures batches row by row: nothing of a batch is kept but what its series add up to. Its memory is used again.
#[derive(Debug, Default)]
pub struct Rows {
    /// The key of a row.
    key: Vec<u8>,
    /// The beginning of the keys of a scope's spans.
    prefix: Vec<u8>,
    /// Of services and peers.
    names: Names,
}

/// What a batch adds once it is taken: no more series than there may be, and no more halves than have room.
#[derive(Debug)]
pub struct Held {
    spans: Deltas,
    graph: Option<graph::Held>,
}

impl Rows {
    /// Records a batch that is taken, in the table of a mill.
    pub fn record(&mut self, batch: &Batch, spans: Option<&Spans>, graph: Option<&Graph>, mill: usize, now: Instant) {
        let mut table = spans.map(|spans| (spans.part.mill(mill), &spans.part.config));
        let mut joining = graph.map(|graph| Joining::begin(graph, mill, now));
        let row = |key: &[u8], sample: &Sample| {
            if let Some((table, config)) = &mut table {
                table.record(key, sample, config);
            }
        };
        let half = |half| {
            if let Some(joining) = &mut joining {
                joining.offer(half);
            }
        };
        self.each(batch, spans, graph, row, half);
    }

    /// Measures a batch of which it is not known yet whether it is taken.
    pub fn hold(&mut self, batch: &Batch, spans: Option<&Spans>, graph: Option<&Graph>, now: Instant) -> Held {
        let mut held = Held { spans: Deltas::default(), graph: graph.map(|graph| graph::Held::new(graph, now)) };
        let row = |key: &[u8], sample: &Sample| {
            if let Some(spans) = spans {
                held.spans.record(key, sample, &spans.part.config);
            }
        };
        let half = |half| {
            if let (Some(graph), Some(held)) = (graph, &mut held.graph) {
                held.offer(graph, half);
            }
        };
        self.each(batch, spans, graph, row, half);
        held
    }

    /// The rows that count: those that are left, and those that only sampling has taken out.
    fn each(
        &mut self,
        batch: &Batch,
        spans: Option<&Spans>,
        graph: Option<&Graph>,
        mut take_row: impl FnMut(&[u8], &Sample),
        mut take_half: impl FnMut(Half),
    ) {
        let mut scope = NO_SCOPE;
        // Of a request: its number and its tenant.
        let mut sender = None;
        let mut service: Option<Arc<str>> = None;
        for (row, span) in (0..).zip(batch.spans()) {
            if span.dropped && !span.sampled_out {
                continue;
            }
            if span.scope != scope {
                scope = span.scope;
                service = None;
                if let Some(spans) = spans {
                    self.begin_scope(batch, row, &spans.key, spans.part.config.max_value_length);
                }
            }
            let weight = weight::of(batch, span);
            let seconds = span.end_time.saturating_sub(span.start_time) as f64 / 1e9;
            if let Some(spans) = spans {
                let exemplar = spans.part.config.exemplars.then(|| candidate(batch, span, seconds)).flatten();
                self.row(batch, row, &spans.key, spans.part.config.max_value_length);
                take_row(&self.key, &Sample { weight, seconds: Some(seconds), exemplar });
            }
            if let Some(graph) = graph
                && let Some(side) = Side::of(span.kind)
            {
                let most = graph.part.config.max_value_length;
                let service = service.get_or_insert_with(|| self.names.of(service_of(batch, row, most))).clone();
                let tenant = match sender {
                    Some((request, tenant)) if request == span.request => tenant,
                    _ => graph.tenant(&batch.requests()[span.request as usize].context),
                };
                sender = Some((span.request, tenant));
                let exemplar = graph.part.config.exemplars.then(|| candidate(batch, span, seconds)).flatten();
                let measured = (weight, seconds, exemplar);
                if let Some(half) = self.half(batch, span, graph, side, (tenant, service), measured) {
                    take_half(half);
                }
            }
        }
    }

    /// One side of a call; `None` where its trace or span id is not whole.
    fn half(
        &mut self,
        batch: &Batch,
        span: &Span,
        graph: &Graph,
        side: Side,
        (tenant, service): (u64, Arc<str>),
        (weight, seconds, exemplar): (f64, f64, Option<Candidate>),
    ) -> Option<Half> {
        let trace = batch.get(span.trace_id).try_into().ok()?;
        let own: [u8; 8] = batch.get(span.span_id).try_into().ok()?;
        let parent: Option<[u8; 8]> = batch.parent(span).and_then(|id| id.try_into().ok());
        let most = graph.part.config.max_value_length;
        let (peer, is_database) = if side.is_calling() { graph.peers.find(batch, span, most) } else { (None, false) };
        Some(Half {
            tenant,
            trace,
            joint: if side.is_calling() { Some(own) } else { parent },
            side,
            is_database,
            service,
            peer: peer.map(|peer| self.names.of(peer)),
            failed: span.status_code == ERROR,
            seconds,
            weight,
            exemplar,
        })
    }

    fn begin_scope(&mut self, batch: &Batch, row: u32, wanted: &SpanKey, most: usize) {
        self.prefix.clear();
        self.prefix.push(CALLS);
        if wanted.service {
            let text = service_name(batch, row).unwrap_or(UNKNOWN_SERVICE.as_bytes());
            key::put_text(&mut self.prefix, text, most);
        }
        for dimension in &wanted.shared {
            put_dimension(&mut self.prefix, batch, row, dimension, most);
        }
    }

    #[inline]
    fn row(&mut self, batch: &Batch, row: u32, wanted: &SpanKey, most: usize) {
        let span = &batch.spans()[row as usize];
        self.key.clear();
        self.key.extend_from_slice(&self.prefix);
        if wanted.name {
            key::put_text(&mut self.key, batch.get(span.name), most);
        }
        if wanted.kind {
            key::put_kind(&mut self.key, span.kind);
        }
        if wanted.status {
            key::put_status(&mut self.key, span.status_code);
        }
        for dimension in &wanted.own {
            put_dimension(&mut self.key, batch, row, dimension, most);
        }
    }
}

impl Held {
    /// How many series it adds to.
    #[cfg(test)]
    pub fn series(&self) -> usize {
        self.spans.len()
    }

    /// Bytes of the halves that wait, about.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.graph.as_ref().map_or(0, graph::Held::bytes)
    }

    /// The batch is taken: all of it goes into the table of a mill.
    pub fn record(self, spans: Option<&Spans>, graph: Option<&Graph>, mill: usize) {
        if let Some(spans) = spans {
            spans.part.mill(mill).add(self.spans, &spans.part.config);
        }
        if let (Some(graph), Some(held)) = (graph, self.graph) {
            Joining::begin(graph, mill, held.now()).take(held);
        }
    }
}

fn put_dimension(key: &mut Vec<u8>, batch: &Batch, row: u32, dimension: &Dimension, most: usize) {
    let is_there = lookup::value(batch, row, &dimension.path).is_some_and(|value| key::put_value(key, value, most));
    if !is_there {
        match &dimension.default {
            Some(default) => key::put_text(key, default.as_bytes(), most),
            None => key::put_absent(key),
        }
    }
}

/// The span as one that may stand for others: only where it goes on.
#[inline]
fn candidate(batch: &Batch, span: &Span, seconds: f64) -> Option<Candidate> {
    let trace = batch.get(span.trace_id).try_into().ok()?;
    let id = batch.get(span.span_id).try_into().ok()?;
    (!span.dropped).then_some(Candidate { trace, span: id, seconds, time: span.end_time })
}

fn service_name(batch: &Batch, row: u32) -> Option<&[u8]> {
    let resource = batch.resource(&batch.spans()[row as usize]);
    let is_it = |key: &[u8]| key == SERVICE_NAME.as_bytes();
    let found = batch.attributes(resource.attributes).iter().find(|attribute| is_it(batch.get(attribute.key)))?;
    match otlp::value::read(batch.get(found.value)) {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn service_of(batch: &Batch, row: u32, most: usize) -> &[u8] {
    service_name(batch, row).map_or(UNKNOWN_SERVICE.as_bytes(), |text| key::cut(text, most))
}
