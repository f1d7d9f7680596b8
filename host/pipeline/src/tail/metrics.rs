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
        metrics
    }
}

pub(super) const KEEP: FateLabel = FateLabel { decision: "keep" };
pub(super) const DROP: FateLabel = FateLabel { decision: "drop" };
