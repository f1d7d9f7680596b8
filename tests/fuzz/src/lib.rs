//! The fuzz targets, as plain functions: libFuzzer calls them on nightly, the short run on stable. They panic on a finding.
//!
//! The oracle is prost with OpenTelemetry's own message types, which shares no code with host/otlp.
#![forbid(unsafe_code)]

mod answers;
mod choices;
mod columns;
mod edits;
mod index;
mod json;
mod mutate;

pub use answers::answers;
pub use columns::columns;
pub use edits::edits;
pub use index::index;
pub use json::json;
pub use mutate::Mutator;

/// A target, and the folder of its corpus.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Below `corpus/`.
    pub corpus: &'static str,
    /// Whether it takes choices from the last eight bytes of an input.
    pub chooses: bool,
    /// Looks at one input; false if it was refused at the door.
    pub run: fn(&[u8]) -> bool,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "index", corpus: "otlp", chooses: false, run: index },
    Target { name: "columns", corpus: "edits", chooses: true, run: columns },
    Target { name: "edits", corpus: "edits", chooses: true, run: edits },
    Target { name: "answers", corpus: "edits", chooses: true, run: answers },
    Target { name: "json", corpus: "json", chooses: false, run: json },
];
