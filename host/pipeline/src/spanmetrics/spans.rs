//! Requests, errors and durations by service, span name, kind and status.

use super::config::SpanConfig;
use super::now::Now;
use super::schema::{Schema, SpanKey};
use super::series::Part;

/// What is counted of spans.
#[derive(Debug)]
pub struct Spans {
    /// As it was configured.
    pub config: SpanConfig,
    /// What is read of a span.
    pub key: SpanKey,
    /// The series.
    pub part: Part,
}

impl Spans {
    /// Begins with nothing.
    pub fn new(config: SpanConfig, mills: usize, now: Now) -> Self {
        let key = SpanKey::of(&config);
        let schema = Schema::of_spans(&config.namespace, &key);
        Self { part: Part::new(config.series.clone(), schema, mills, now), key, config }
    }
}
