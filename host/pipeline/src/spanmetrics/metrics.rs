//! How much is kept for metrics of spans: what the proxy says of itself.

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Set whenever the mills' tables are added up.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(super) span_series: Gauge,
    pub(super) edge_series: Gauge,
    pub(super) waiting_bytes: Gauge,
}

impl Metrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        let mut gauge = |name: &str, help: &str, metric: &Gauge| registry.register(name, help, metric.clone());
        gauge("tracemill_span_metrics_series", "Series of span metrics", &self.span_series);
        gauge("tracemill_service_graph_series", "Series of the service graph", &self.edge_series);
        gauge(
            "tracemill_service_graph_waiting_bytes",
            "Bytes of spans that wait for the other side of their call",
            &self.waiting_bytes,
        );
    }
}
