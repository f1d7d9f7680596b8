//! What plugins count of their own, in the host's metrics: `tracemill_plugin_custom_total{plugin, name}`; and what they ask of lookup
//! tables.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// How many counters a plugin may have, and how long their names may be.
pub(crate) const NAMES: usize = 100;
/// Bytes of a counter's name.
pub(crate) const NAME: usize = 128;

/// The metrics of all plugins. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    custom: Family<Labels, Counter>,
    lookups: Lookups,
    sinks: Arc<Mutex<HashMap<Arc<str>, Arc<Sink>>>>,
}

/// What is asked of lookup tables, and what they have.
#[derive(Debug, Clone, Default)]
struct Lookups {
    keys: Family<TableLabels, Counter>,
    rows: Family<TableLabels, Counter>,
}

/// What one plugin asks of one table.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Keys that it asked for.
    pub(crate) keys: Counter,
    /// Those of them that the table has.
    pub(crate) rows: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TableLabels {
    plugin: String,
    table: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    plugin: String,
    name: String,
}

/// Where what one plugin counts and logs goes, whatever its version.
#[derive(Debug)]
pub struct Sink {
    plugin: Arc<str>,
    custom: Family<Labels, Counter>,
    lookups: Lookups,
    // Each counter is looked up in the family once; a scrape never waits for this lock.
    counters: Mutex<HashMap<Box<str>, Counter>>,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("tracemill_plugin_custom", "What plugins count of their own", metrics.custom.clone());
        let Lookups { keys, rows } = &metrics.lookups;
        registry.register("tracemill_table_asked_keys", "Keys that plugins asked lookup tables for", keys.clone());
        registry.register("tracemill_table_found_keys", "Those of them that the table had", rows.clone());
        metrics
    }

    /// The sink of the plugin of this name: the same for all its versions, so that the bound on names holds for all.
    #[must_use]
    pub fn sink(&self, plugin: &str) -> Arc<Sink> {
        let mut sinks = self.sinks.lock();
        if let Some(sink) = sinks.get(plugin) {
            return Arc::clone(sink);
        }
        let plugin: Arc<str> = plugin.into();
        let sink = Arc::new(Sink {
            plugin: Arc::clone(&plugin),
            custom: self.custom.clone(),
            lookups: self.lookups.clone(),
            counters: Mutex::default(),
        });
        sinks.insert(plugin, Arc::clone(&sink));
        sink
    }
}

impl Sink {
    /// The plugin's name.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The counters of what this plugin asks of a table.
    pub(crate) fn asked(&self, table: &str) -> Asked {
        let labels = TableLabels { plugin: self.plugin.to_string(), table: table.to_owned() };
        let counter = |family: &Family<TableLabels, Counter>| family.get_or_create(&labels).clone();
        Asked { keys: counter(&self.lookups.keys), rows: counter(&self.lookups.rows) }
    }

    /// Counts. Answers whether there was room for the name.
    pub(crate) fn count(&self, name: &str, by: u64) -> bool {
        let mut counters = self.counters.lock();
        if let Some(counter) = counters.get(name) {
            counter.inc_by(by);
            return true;
        }
        if counters.len() >= NAMES {
            return false;
        }
        let labels = Labels { plugin: self.plugin.to_string(), name: name.to_owned() };
        let counter = self.custom.get_or_create(&labels).clone();
        counter.inc_by(by);
        counters.insert(name.into(), counter);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_for_all_versions_of_a_plugin() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        for i in 0..NAMES {
            assert!(metrics.sink("p").count(&format!("n{i}"), 1));
        }
        assert!(!metrics.sink("p").count("one more", 1));
        assert!(metrics.sink("p").count("n7", 2));
        assert!(metrics.sink("q").count("n7", 5), "another plugin has its own");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("tracemill_plugin_custom_total{plugin=\"p\",name=\"n7\"} 3\n"), "{text}");
        assert!(text.contains("tracemill_plugin_custom_total{plugin=\"q\",name=\"n7\"} 5\n"));
        assert!(!text.contains("one more"));
    }
}
