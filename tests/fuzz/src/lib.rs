//! The fuzz targets, as plain functions: libFuzzer calls them on nightly, the short run on stable. They panic on a finding.
//!
//! The oracle is prost with OpenTelemetry's own message types, which shares no code with host/otlp.

mod index;
mod mutate;

pub use index::index;
pub use mutate::Mutator;

/// A target, and the folder of its corpus.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Below `corpus/`.
    pub corpus: &'static str,
    /// Looks at one input.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[Target { name: "index", corpus: "otlp", run: index }];
