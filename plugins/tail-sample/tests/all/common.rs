//! What the tests of the plugin share.

use tail_sample::TailSample;
use tracemill_sdk::prelude::*;
use tracemill_sdk::testing::Gathered;

/// A second in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// The plugin with these policies.
pub fn with(policies: &str) -> testing::Sampler<TailSample> {
    testing::sampler(&settings(policies))
}

/// Settings of these policies.
pub fn settings(policies: &str) -> String {
    format!(r#"{{"policies": [{policies}]}}"#)
}

/// A trace id whose randomness is at this share of all that there are, from below.
pub fn id(share: f64) -> String {
    format!("000000000000000001{:014x}", (share * (1u64 << 56) as f64) as u64)
}

/// Trace ids whose randomness is spread evenly.
pub fn ids(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|index| format!("{:016x}{:016x}", index + 1, index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// A trace of so many spans of a service.
pub fn trace(id: String, spans: usize, service: &str) -> Gathered {
    testing::trace(id, (0..spans).map(|_| Span::named("a").service(service)))
}
