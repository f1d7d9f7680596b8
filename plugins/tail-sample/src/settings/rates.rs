//! What goes beyond the Collector: rates by key, targets, budgets, what is rare, linked traces, load. Names are Refinery's where it
//! has the same thing.

use serde::Deserialize;
use tracemill_sdk::settings::Duration;

const SECOND: u64 = 1_000_000_000;

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Spans.
    #[default]
    Spans,
    /// Bytes.
    Bytes,
    /// Traces.
    Traces,
}

/// One trace in so many, with rare keys kept more often than frequent ones; from the counts of one interval.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dynamic {
    /// One in how many, over all keys.
    pub goal_sample_rate: f64,
    /// What makes the key.
    pub field_list: Vec<String>,
    /// How often the rates are made anew.
    #[serde(default = "thirty_seconds")]
    pub clear_frequency: Duration,
    /// How many keys are told apart.
    #[serde(default = "five_hundred")]
    pub max_keys: usize,
    /// Whether the number of spans belongs to the key.
    #[serde(default)]
    pub use_trace_length: bool,
}

/// As `dynamic`, from a moving average of the counts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaDynamic {
    /// One in how many, over all keys.
    pub goal_sample_rate: f64,
    /// What makes the key.
    pub field_list: Vec<String>,
    /// How often the rates are made anew.
    #[serde(default = "fifteen_seconds")]
    pub adjustment_interval: Duration,
    /// How much the last interval counts in the average.
    #[serde(default = "half")]
    pub weight: f64,
    /// A key whose average is below this many traces an interval is forgotten.
    #[serde(default = "half")]
    pub age_out_value: f64,
    /// The rates are made anew at once when this many times the average has come.
    #[serde(default = "two")]
    pub burst_multiple: f64,
    /// How many keys are told apart.
    #[serde(default = "five_hundred")]
    pub max_keys: usize,
    /// Whether the number of spans belongs to the key.
    #[serde(default)]
    pub use_trace_length: bool,
}

/// So many spans or bytes a second, with rare keys kept more often than frequent ones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// The target.
    pub goal_throughput_per_sec: f64,
    /// What it is of.
    #[serde(default)]
    pub unit: Unit,
    /// What makes the key.
    #[serde(default)]
    pub field_list: Vec<String>,
    /// How often the rates are made anew.
    #[serde(default = "fifteen_seconds")]
    pub adjustment_interval: Duration,
    /// How much the last interval counts in the average.
    #[serde(default = "half")]
    pub weight: f64,
    /// A key whose average is below this many traces an interval is forgotten.
    #[serde(default = "half")]
    pub age_out_value: f64,
    /// The rates are made anew at once when this many times the average has come.
    #[serde(default = "two")]
    pub burst_multiple: f64,
    /// How many keys are told apart.
    #[serde(default = "five_hundred")]
    pub max_keys: usize,
}

/// So much a second, shared fairly at each level: among tenants, a tenant's part among its services, and so on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The whole budget.
    pub per_second: f64,
    /// What it is of.
    #[serde(default)]
    pub unit: Unit,
    /// The levels, from the outermost on.
    #[serde(default = "tenant_service_route")]
    pub by: Vec<String>,
    /// How often the rates are made anew.
    #[serde(default = "five_seconds")]
    pub adjustment_interval: Duration,
    /// How much the last interval counts in the average.
    #[serde(default = "half")]
    pub weight: f64,
    /// How many keys are told apart.
    #[serde(default = "five_hundred")]
    pub max_keys: usize,
}

/// The first traces of each key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rare {
    /// What makes the key.
    pub field_list: Vec<String>,
    /// How many of each key.
    #[serde(default = "one")]
    pub first: u64,
    /// In how long a time.
    #[serde(default = "a_minute")]
    pub interval: Duration,
}

/// Traces with a link to one that was kept, or from it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linked {
    /// How many trace ids are remembered; 16,384 unless it is set.
    pub remember: Option<u32>,
}

/// Above this load everything is thinned, whatever kept it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stress {
    /// The load.
    pub per_second: f64,
    /// What it is of.
    #[serde(default)]
    pub unit: Unit,
    /// How often the rate is made anew.
    #[serde(default = "one_second")]
    pub adjustment_interval: Duration,
}

fn seconds(seconds: u64) -> Duration {
    Duration { nanoseconds: seconds * SECOND }
}

fn one_second() -> Duration {
    seconds(1)
}

fn five_seconds() -> Duration {
    seconds(5)
}

fn fifteen_seconds() -> Duration {
    seconds(15)
}

fn thirty_seconds() -> Duration {
    seconds(30)
}

fn a_minute() -> Duration {
    seconds(60)
}

fn half() -> f64 {
    0.5
}

fn two() -> f64 {
    2.0
}

fn one() -> u64 {
    1
}

fn five_hundred() -> usize {
    500
}

fn tenant_service_route() -> Vec<String> {
    ["request.tenant", "root.service.name", "root.http.route"].map(str::to_owned).into()
}
