//! The plugin's settings: the Collector's `policies`, with what goes beyond them.

mod conditions;
mod elsewhere;
mod fields;
mod policy;
mod rates;

pub use conditions::{Conditions, Written};
pub use elsewhere::{OfTheHost, Ottl};
pub use fields::{
    Allocation, Attribute, Boolean, Bytes, Composite, Latency, Not, Numeric, Probabilistic, Rate, SpanCount,
    StatusCode, StatusCodes, Subs, TraceState,
};
pub use policy::{Kind, Policy};
pub use rates::{Budget, Dynamic, EmaDynamic, Linked, Rare, Stress, Throughput, Unit};

use serde::Deserialize;

/// What to keep.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A trace is kept if one of them keeps it and none drops it.
    pub policies: Vec<Policy>,
    /// Whether rate limits are spared where an earlier policy has kept the trace. Default: false.
    #[serde(default)]
    pub sample_on_first_match: bool,
    /// What becomes of traces that no policy keeps.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// What else stands in the Collector's `tail_sampling`.
    #[serde(default)]
    pub decision_wait: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub decision_wait_after_root_received: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub num_traces: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub expected_new_traces_per_sec: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub decision_cache: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub block_on_overflow: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub maximum_trace_size_bytes: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub drop_pending_traces_on_shutdown: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub sampling_strategy: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub num_shards: Option<OfTheHost>,
    /// Likewise.
    #[serde(default)]
    pub tail_storage: Option<OfTheHost>,
}

/// What becomes of traces that no policy keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// They are dropped, as in the Collector.
    #[default]
    Drop,
    /// The next sampler is asked.
    Abstain,
}
