//! What the chain counts: every span that came in exactly once, and what each plugin costs.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use otlp::signal::Signal;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

mod breakers;

pub use breakers::Breakers;

/// How many reasons of one plugin get a series of their own; the others are counted together.
const REASONS: usize = 64;
/// The reason under which the others are counted.
const OTHER: &str = "other";
/// Why spans go back to their sender. Each has its series from the start: a series that is missing is a fault, not a zero.
const REFUSALS: [&str; 5] = ["invalid_ids", "plugin_fault", "queue_full", "breaker_open", "tail_full"];
/// The reason under which spans are dropped on which a plugin with `on_error: drop` has failed.
pub(super) const FAULT: &str = "plugin_fault";

/// The label of refusals.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// Why.
    pub reason: Arc<str>,
}

/// The label of what is counted by signal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SignalLabel {
    /// Its name.
    pub signal: &'static str,
}

impl SignalLabel {
    /// The label of a signal.
    #[must_use]
    pub fn of(signal: Signal) -> Self {
        Self { signal: signal.name() }
    }
}

/// The label of batches: `here`, where they arrived, or `mill`, on a mill's own thread.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PlaceLabel {
    /// Where.
    pub place: &'static str,
}

/// The labels of drops.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DropLabels {
    /// Which stage.
    pub plugin: Arc<str>,
    /// The plugin's own reason.
    pub reason: Arc<str>,
}

/// The label of what is counted by stage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PluginLabel {
    /// Which stage.
    pub plugin: Arc<str>,
}

/// The labels of faults.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FaultLabels {
    /// Which stage.
    pub plugin: Arc<str>,
    /// A [`super::stage::FaultKind`]'s label.
    pub kind: &'static str,
}

/// The chain's metrics.
///
/// Invariant: received = refused + dropped + admitted + what the trace buffer holds, at every quiet moment.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Spans of requests that were OTLP.
    pub received: Counter,
    /// Spans that went back to their sender, by reason.
    pub refused: Family<ReasonLabel, Counter>,
    /// Spans that plugins dropped, or the trace buffer (`tail`) by what they had decided, by plugin and reason.
    pub dropped: Family<DropLabels, Counter>,
    /// Spans that the queues took.
    pub admitted: Counter,
    /// Requests that were not OTLP: their spans could not be counted. Those of metrics and logs are counted here too.
    pub malformed: Family<SignalLabel, Counter>,
    /// Which chain is live.
    pub generation: Gauge,
    /// Batches, by where they ran.
    pub batches: Family<PlaceLabel, Counter>,
    /// Calls into plugins.
    pub calls: Family<PluginLabel, Counter>,
    /// Rows shown to plugins.
    pub rows: Family<PluginLabel, Counter>,
    /// Time in plugins, columns and edits included, in seconds.
    pub seconds: Family<PluginLabel, Counter<f64, AtomicU64>>,
    /// Calls that failed.
    pub faults: Family<FaultLabels, Counter>,
    /// The breakers of the live chain.
    pub breakers: Breakers,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(&self, registry: &mut Registry) {
        let mut counter = |name: &str, help: &str, metric: Counter| registry.register(name, help, metric);
        counter("tracemill_receive_spans", "Spans received in well-formed requests", self.received.clone());
        counter("tracemill_admitted_spans", "Spans taken by the queues", self.admitted.clone());
        drop(self.malformed.get_or_create(&SignalLabel::of(Signal::Traces)));
        registry.register(
            "tracemill_receive_malformed_requests",
            "Requests that were not OTLP",
            self.malformed.clone(),
        );
        for reason in REFUSALS {
            drop(self.refused.get_or_create(&ReasonLabel { reason: reason.into() }));
        }
        registry.register("tracemill_refused_spans", "Spans refused to their sender", self.refused.clone());
        registry.register("tracemill_dropped_spans", "Spans dropped by plugins", self.dropped.clone());
        registry.register("tracemill_chain_generation", "Generation of the live chain", self.generation.clone());
        registry.register("tracemill_chain_batches", "Batches, by where they ran", self.batches.clone());
        registry.register("tracemill_plugin_calls", "Calls into plugins", self.calls.clone());
        registry.register("tracemill_plugin_rows", "Rows shown to plugins", self.rows.clone());
        registry.register(
            "tracemill_plugin_seconds",
            "Time in plugins, with conditions, columns and edits",
            self.seconds.clone(),
        );
        registry.register("tracemill_plugin_faults", "Calls into plugins that failed", self.faults.clone());
        registry.register_collector(Box::new(self.breakers.clone()));
    }
}

/// The reasons that a plugin has given for its drops, bounded, because they come from the guest.
#[derive(Debug, Default)]
pub struct Reasons(Mutex<Vec<Arc<str>>>);

impl Reasons {
    /// The reason as a label: itself, or "other" once there are too many.
    pub fn label(&self, reason: &str) -> Arc<str> {
        let mut known = self.0.lock();
        if let Some(found) = known.iter().find(|known| &***known == reason) {
            return found.clone();
        }
        if known.len() >= REASONS {
            return OTHER.into();
        }
        // A label of any length would let a plugin fill the scrape.
        let short: Arc<str> = reason.chars().take(100).collect::<String>().into();
        if !known.contains(&short) {
            known.push(short.clone());
        }
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_their_series_before_there_is_one() {
        let mut registry = Registry::default();
        Metrics::default().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for series in ["receive_spans_total 0", "admitted_spans_total 0"] {
            assert!(text.contains(&format!("tracemill_{series}")), "{text}");
        }
        for reason in REFUSALS {
            assert!(text.contains(&format!("tracemill_refused_spans_total{{reason=\"{reason}\"}} 0")), "{text}");
        }
    }

    #[test]
    fn a_plugin_cannot_make_series_without_end() {
        let reasons = Reasons::default();
        assert_eq!(&*reasons.label("health"), "health");
        for i in 0..1000 {
            let label = reasons.label(&format!("reason {i} {}", "x".repeat(500)));
            assert!(label.len() <= 100);
        }
        assert_eq!(&*reasons.label("one more"), OTHER);
        assert_eq!(&*reasons.label("health"), "health");
    }
}
