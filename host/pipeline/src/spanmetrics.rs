//! Metrics of spans before any sampling: calls and durations by service, name, kind and status, and the service graph.
//!
//! The way: a mill that has taken a batch through the chain has a [`Recorder`] measure its rows ([`rows`]) and record them in a table of the
//! mill's own ([`series`]), or in one of the batch's own, which is added to that once the batch is taken. Whoever shows ([`text`]) or sends them ([`send`], [`message`]) adds the mills' tables
//! up first.
//!
//! A row counts if it is left, or if nothing but sampling has taken it out; with the weight by which it came ([`otlp::weight`]).
//! Invariant: a batch that is refused is not counted, since its spans come back.

pub mod config;
mod durations;
pub mod exemplar;
mod graph;
mod histogram;
mod key;
mod message;
mod metrics;
mod now;
mod rows;
mod schema;
pub mod send;
mod series;
mod spans;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use otlp::batch::Batch;

use config::{GraphConfig, SpanConfig};
use exemplar::Decisions;
use graph::Graph;
pub use metrics::Metrics;
use now::Now;
use rows::{Held, Rows};
use series::{Deltas, Part};
use spans::Spans;

/// What is counted of spans. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct SpanMetrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// `None` while nothing is to be counted, so that mills find that out at a glance.
    live: ArcSwapOption<Live>,
    mills: usize,
    next: AtomicUsize,
    decisions: Decisions,
    metrics: Metrics,
}

/// What is counted at one time.
#[derive(Debug, Default)]
struct Live {
    spans: Option<Arc<Spans>>,
    graph: Option<Arc<Graph>>,
}

impl Live {
    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.spans.iter().map(|spans| &spans.part).chain(self.graph.iter().map(|graph| &graph.part))
    }
}

impl SpanMetrics {
    /// For so many mills. Nothing is counted until [`SpanMetrics::reconfigure`] says what.
    #[must_use]
    pub fn new(mills: usize) -> Self {
        Self(Arc::new(Inner {
            live: ArcSwapOption::empty(),
            mills,
            next: AtomicUsize::new(0),
            decisions: Decisions::default(),
            metrics: Metrics::default(),
        }))
    }

    /// Counts by these settings from now on. What stays as it was goes on; what changes begins anew.
    pub fn reconfigure(&self, spans: Option<SpanConfig>, graph: Option<GraphConfig>) {
        let old = self.0.live.load_full().unwrap_or_default();
        let (mills, now) = (self.0.mills, Now::read());
        let spans = spans.map(|config| match &old.spans {
            Some(known) if known.config == config => known.clone(),
            _ => Arc::new(Spans::new(config, mills, now)),
        });
        let graph = graph.map(|config| match &old.graph {
            Some(known) if known.config == config => known.clone(),
            _ => Arc::new(Graph::new(config, mills, now)),
        });
        let is_on = spans.is_some() || graph.is_some();
        self.0.live.store(is_on.then(|| Arc::new(Live { spans, graph })));
        self.collect(now);
    }

    /// Where whoever decides traces after the chain says which were kept, so that no span of another stands for a bucket.
    #[must_use]
    pub fn decisions(&self) -> &Decisions {
        &self.0.decisions
    }

    /// How much is kept for them.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// All of them as `OpenMetrics` text, up to now; `None` where nothing is counted.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.collect(Now::read()).map(|live| text::of(live.parts()))
    }

    /// Adds up what the mills have recorded until now.
    fn collect(&self, now: Now) -> Option<Arc<Live>> {
        let live = self.0.live.load_full();
        let kept = self.0.decisions.take();
        let metrics = &self.0.metrics;
        let (spans, graph) = live.as_ref().map_or((None, None), |live| (live.spans.as_ref(), live.graph.as_ref()));
        if let Some(spans) = spans {
            spans.part.collect(Deltas::default(), now, &self.0.decisions, &kept);
        }
        if let Some(graph) = graph {
            graph.part.collect(graph.expired(now.steady), now, &self.0.decisions, &kept);
        }
        let count = |part: Option<&Part>| part.map_or(0, |part| part.totals().count() as i64);
        metrics.span_series.set(count(spans.map(|spans| &spans.part)));
        metrics.edge_series.set(count(graph.map(|graph| &graph.part)));
        metrics.waiting_bytes.set(graph.map_or(0, |graph| graph.waiting() as i64));
        live
    }
}

/// One mill's way to the metrics, with buffers of its own.
#[derive(Debug, Default)]
pub struct Recorder {
    rows: Rows,
    mill: Option<usize>,
}

impl Recorder {
    /// Counts a batch that was taken.
    #[inline]
    pub fn record(&mut self, metrics: &SpanMetrics, batch: &Batch) {
        let live = metrics.0.live.load();
        let Some(live) = &*live else { return };
        let mill = self.mill(metrics);
        self.rows.record(batch, live.spans.as_deref(), live.graph.as_deref(), mill, Instant::now());
    }

    /// Measures a batch of which it is not known yet whether it is taken.
    pub fn measure(&mut self, metrics: &SpanMetrics, batch: &Batch) -> Measured {
        let Some(live) = metrics.0.live.load_full() else { return Measured(None) };
        let mill = self.mill(metrics);
        let held = self.rows.hold(batch, live.spans.as_deref(), live.graph.as_deref(), Instant::now());
        Measured(Some((live, held, mill)))
    }

    fn mill(&mut self, metrics: &SpanMetrics) -> usize {
        *self.mill.get_or_insert_with(|| metrics.0.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// A batch that was measured. Dropped, it was never counted.
#[derive(Debug)]
#[must_use = "it has to be recorded once the batch is taken"]
pub struct Measured(Option<(Arc<Live>, Held, usize)>);

impl Measured {
    /// The batch is taken.
    pub fn record(self) {
        if let Some((live, held, mill)) = self.0 {
            held.record(live.spans.as_deref(), live.graph.as_deref(), mill);
        }
    }
}

#[cfg(test)]
mod tests;
