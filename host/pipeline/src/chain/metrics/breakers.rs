//! Whether the breakers of the live chain are open: read from the breakers at each scrape, so that a stage that was replaced or
//! removed leaves no series behind, whatever batches still run on it.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::PluginLabel;
use crate::chain::breaker::Breaker;

/// The breakers of the live chain. Clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Breakers(Arc<ArcSwap<Vec<Shown>>>);

type Shown = (PluginLabel, Arc<Breaker>);

impl Breakers {
    /// Shows these from now on, by the names of their stages.
    pub fn show(&self, breakers: Vec<(Arc<str>, Arc<Breaker>)>) {
        let labelled = breakers.into_iter().map(|(plugin, breaker)| (PluginLabel { plugin }, breaker));
        self.0.store(Arc::new(labelled.collect()));
    }
}

impl Collector for Breakers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let (name, help) = ("tracemill_plugin_breaker_open", "Whether the breaker is open.");
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (label, breaker) in self.0.load().iter() {
            ConstGauge::new(i64::from(breaker.is_open())).encode(metric.encode_family(label)?)?;
        }
        Ok(())
    }
}
