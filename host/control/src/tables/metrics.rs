//! Metrics of lookup tables. What plugins ask of them is counted by the plugin host.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabel {
    table: String,
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    entries: Family<TableLabel, Gauge>,
    bytes: Family<TableLabel, Gauge>,
    loaded: Family<TableLabel, Gauge>,
    failed: Family<TableLabel, Counter>,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { entries, bytes, loaded, failed } = &metrics;
        registry.register("tracemill_table_entries", "Rows of a lookup table, or its networks", entries.clone());
        registry.register("tracemill_table_bytes", "Memory that a lookup table takes, about", bytes.clone());
        registry.register(
            "tracemill_table_loaded_timestamp_seconds",
            "When the table that is asked was read, since the Unix epoch",
            loaded.clone(),
        );
        registry.register("tracemill_table_failed_loads", "Files that gave no table", failed.clone());
        metrics
    }

    /// A table is configured: its failures are there from the start, so that their first step is seen.
    pub(super) fn begin(&self, table: &str) {
        drop(self.failed.get_or_create(&label(table)));
    }

    pub(super) fn loaded(&self, table: &str, entries: u64, bytes: u64, at: u64) {
        for (family, value) in [(&self.entries, entries), (&self.bytes, bytes), (&self.loaded, at)] {
            family.get_or_create(&label(table)).set(value.cast_signed());
        }
    }

    pub(super) fn failed(&self, table: &str) {
        self.failed.get_or_create(&label(table)).inc();
    }

    /// A table is configured no more.
    pub(super) fn end(&self, table: &str) {
        let label = label(table);
        for family in [&self.entries, &self.bytes, &self.loaded] {
            family.remove(&label);
        }
        self.failed.remove(&label);
    }
}

fn label(table: &str) -> TableLabel {
    TableLabel { table: table.to_owned() }
}
