//! What the Collector's policies ask for, under the Collector's names.

use serde::Deserialize;

use super::Policy;

/// Traces that took long, from the earliest start to the latest end.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// It took more milliseconds than these.
    pub threshold_ms: u64,
    /// And no more than these; 0 for any.
    pub upper_threshold_ms: u64,
}

/// A whole number of the span or its resource.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numeric {
    /// The attribute's key.
    pub key: String,
    /// The least; 0 for any, as the Collector takes it.
    #[serde(default)]
    pub min_value: i64,
    /// The greatest; 0 for any, likewise.
    #[serde(default)]
    pub max_value: i64,
    /// Turned around: no span and no resource of the trace matches.
    #[serde(default)]
    pub invert_match: bool,
}

/// A text of the span or its resource.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// The attribute's key.
    pub key: String,
    /// It is one of these.
    pub values: Vec<String>,
    /// Whether they are regular expressions, which match anywhere unless they are anchored.
    #[serde(default)]
    pub enabled_regex_matching: bool,
    /// Taken for the Collector's sake: each distinct text of a call is judged once here, and no cache is needed.
    #[serde(default)]
    pub cache_max_size: u64,
    /// Turned around: no span and no resource of the trace matches.
    #[serde(default)]
    pub invert_match: bool,
}

/// A boolean of the span or its resource.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boolean {
    /// The attribute's key.
    pub key: String,
    /// It is this.
    pub value: bool,
    /// Turned around: no span and no resource of the trace matches.
    #[serde(default)]
    pub invert_match: bool,
}

/// A share of all traces.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probabilistic {
    /// Out of a hundred.
    pub sampling_percentage: f64,
    /// Taken for the Collector's sake: the trace's own randomness decides here.
    #[serde(default)]
    pub hash_salt: String,
}

/// Traces with a span of one of these status codes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusCodes {
    /// `OK`, `ERROR`, `UNSET`.
    pub status_codes: Vec<StatusCode>,
}

/// A status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "OpenTelemetry's names")]
pub enum StatusCode {
    Unset,
    Ok,
    Error,
}

/// An entry of the W3C trace state.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceState {
    /// The entry's key.
    pub key: String,
    /// Its value is one of these.
    pub values: Vec<String>,
}

/// So many spans a second, as whole traces.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The rate.
    pub spans_per_second: u64,
    /// What may come at once; twice the rate unless it is set.
    #[serde(default)]
    pub burst_capacity: u64,
}

/// So many bytes a second, as whole traces.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// The rate.
    pub bytes_per_second: u64,
    /// What may come at once; twice the rate unless it is set.
    #[serde(default)]
    pub burst_capacity: u64,
}

/// Traces of so many spans.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpanCount {
    /// The least.
    pub min_spans: u32,
    /// The most; 0 for any.
    pub max_spans: u32,
}

/// Policies of which all must hold, of `and` and of `drop`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subs {
    /// Those of `and`.
    #[serde(default)]
    pub and_sub_policy: Vec<Policy>,
    /// Those of `drop`.
    #[serde(default)]
    pub drop_sub_policy: Vec<Policy>,
}

/// A policy that must not hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Not {
    /// The policy.
    pub not_sub_policy: Box<Policy>,
}

/// Policies that share a rate of spans a second.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Composite {
    /// The rate that they share.
    pub max_total_spans_per_second: u64,
    /// In which order they are asked, by name; as they stand unless it is set.
    #[serde(default)]
    pub policy_order: Vec<String>,
    /// The policies.
    pub composite_sub_policy: Vec<Policy>,
    /// Who gets how much of the rate. Those without a share get equal parts of what is left.
    #[serde(default)]
    pub rate_allocation: Vec<Allocation>,
}

/// A policy's share of the rate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allocation {
    /// The policy's name.
    pub policy: String,
    /// Out of a hundred.
    #[serde(default)]
    pub percent: u64,
}
