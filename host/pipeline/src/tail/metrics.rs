//! What the trace buffer counts.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::chain::sampler::Due;

/// The labels of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DecisionLabels {
    /// Which sampler decided, or `tail` where none did.
    pub plugin: Arc<str>,
    /// `keep` or `drop`.
    pub decision: &'static str,
    /// Why the trace was due.
    pub due: &'static str,
}

/// The label of late spans.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FateLabel {
    /// `keep` or `drop`.
    pub decision: &'static str,
}

/// The label of waiting times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DueLabel {
    /// Why the trace was due.
    pub due: &'static str,
}

type Histograms = Family<DueLabel, Histogram, fn() -> Histogram>;

/// The trace buffer's metrics. Clones count the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Spans that are in the buffer. Belongs to the sum of the chain's [`Metrics`](crate::chain::metrics::Metrics).
    pub held: Gauge,
    pub(super) traces: Gauge,
    pub(super) bytes: Gauge,
    pub(super) limit: Gauge,
    pub(super) disk: Gauge,
    pub(super) decisions: Family<DecisionLabels, Counter>,
    pub(super) waits: Histograms,
    pub(super) late: Family<FateLabel, Counter>,
    pub(super) packed: Counter,
    pub(super) spilled: Counter,
    pub(super) forgotten: Family<FateLabel, Counter>,
    /// Spans of an earlier run that are back.
    pub(super) replayed: Counter,
    pub(super) log: LogMetrics,
}

/// What is counted of the log, where there is one.
#[derive(Debug, Clone)]
pub(super) struct LogMetrics {
    pub(super) bytes: Gauge,
    pub(super) commits: Counter,
    pub(super) failed_commits: Counter,
    pub(super) commit_duration: Histogram,
    pub(super) quarantined: Counter,
    /// Spans that stay for a later run.
    pub(super) left: Counter,
}

impl Default for LogMetrics {
    fn default() -> Self {
        Self {
            bytes: Gauge::default(),
            commits: Counter::default(),
            failed_commits: Counter::default(),
            commit_duration: Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0]),
            quarantined: Counter::default(),
            left: Counter::default(),
        }
    }
}

impl LogMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "tracemill_tail_log",
            "Size of the trace buffer's log",
            Unit::Bytes,
            self.bytes.clone(),
        );
        let mut counter = |name: &str, help: &str, counter: &Counter| registry.register(name, help, counter.clone());
        counter("tracemill_tail_log_commits", "Groups of batches that were written to the log", &self.commits);
        counter(
            "tracemill_tail_log_failed_commits",
            "Groups of batches that could not be written",
            &self.failed_commits,
        );
        counter("tracemill_tail_log_quarantined_records", "Damaged records that were set aside", &self.quarantined);
        counter("tracemill_tail_left_spans", "Spans that stay in the log for a later run", &self.left);
        registry.register_with_unit(
            "tracemill_tail_log_commit_duration",
            "How long it took to write and sync a group of batches",
            Unit::Seconds,
            self.commit_duration.clone(),
        );
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            held: Gauge::default(),
            traces: Gauge::default(),
            bytes: Gauge::default(),
            limit: Gauge::default(),
            disk: Gauge::default(),
            decisions: Family::default(),
            waits: Family::new_with_constructor(|| Histogram::new([0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0])),
            late: Family::default(),
            packed: Counter::default(),
            spilled: Counter::default(),
            forgotten: Family::default(),
            replayed: Counter::default(),
            log: LogMetrics::default(),
        }
    }
}

impl Metrics {
    /// Registers all of them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for due in Due::ALL {
            drop(metrics.waits.get_or_create(&DueLabel { due: due.label() }));
        }
        for decision in [KEEP, DROP] {
            drop(metrics.late.get_or_create(&decision));
            drop(metrics.forgotten.get_or_create(&decision));
        }
        registry.register("tracemill_tail_held_spans", "Spans in the trace buffer", metrics.held.clone());
        registry.register("tracemill_tail_held_traces", "Traces in the trace buffer", metrics.traces.clone());
        let mut bytes = |name: &str, help: &str, gauge: &Gauge| {
            registry.register_with_unit(name, help, Unit::Bytes, gauge.clone());
        };
        bytes("tracemill_tail_memory", "Memory that the trace buffer takes, index included", &metrics.bytes);
        bytes("tracemill_tail_memory_limit", "Memory that the trace buffer may take", &metrics.limit);
        bytes("tracemill_tail_disk", "What of the trace buffer is on the disk", &metrics.disk);
        registry.register("tracemill_tail_decisions", "Traces decided", metrics.decisions.clone());
        registry.register_with_unit(
            "tracemill_tail_wait",
            "Time from a trace's first span to its decision",
            Unit::Seconds,
            metrics.waits.clone(),
        );
        registry.register(
            "tracemill_tail_late_spans",
            "Spans that came after their trace was decided, and followed it",
            metrics.late.clone(),
        );
        registry.register_with_unit("tracemill_tail_packed", "Bytes compressed", Unit::Bytes, metrics.packed.clone());
        registry.register_with_unit(
            "tracemill_tail_spilled",
            "Bytes written to the disk because memory was short",
            Unit::Bytes,
            metrics.spilled.clone(),
        );
        registry.register(
            "tracemill_tail_forgotten",
            "Decisions that are no longer known: late spans of a kept trace count as a new one; dropped ones are forgotten by generations",
            metrics.forgotten.clone(),
        );
        registry.register(
            "tracemill_tail_replayed_spans",
            "Spans of an earlier run that are back in the trace buffer",
            metrics.replayed.clone(),
        );
        metrics.log.register(registry);
        metrics
    }
}

pub(super) const KEEP: FateLabel = FateLabel { decision: "keep" };
pub(super) const DROP: FateLabel = FateLabel { decision: "drop" };
