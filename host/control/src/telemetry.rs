//! What the proxy says about itself: log lines and metrics.

pub mod accounts;
pub mod log;
pub mod process;

use prometheus_client::registry::Registry;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The content type of `OpenMetrics` text.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A registry with what every process has; the modules add theirs.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    process::register(&mut registry);
    registry
}

/// The registry as `OpenMetrics` text, and its content type.
pub fn encode(registry: &Registry) -> Result<(&'static str, String), std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok((OPEN_METRICS, text))
}
