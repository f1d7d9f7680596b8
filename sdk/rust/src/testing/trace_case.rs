//! Golden cases of samplers: settings, traces and what must become of them, in files that the real host's tests can read too.
//!
//! ```json
//! {
//!   "about": "errors are kept, the rest is not",
//!   "settings": {"errors": true},
//!   "traces": [
//!     {"id": "0000000000000000000000000000000a", "spans": [{"name": "GET /users", "status": {"code": 2}}]},
//!     {"id": "0000000000000000000000000000000b", "spans": [{"name": "GET /users"}]}
//!   ],
//!   "expected": [{"kept": "an error"}, {"dropped": "no error"}]
//! }
//! ```
//!
//! All traces are decided in one call, complete. `expected` has one element for each: `{"kept": REASON}`, with `trace_state` if the first span's
//! is another than it came with; `{"dropped": REASON}`; or `"undecided"`.

use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::case::json_files;
use super::sampler::{Decided, Sampler};
use super::span::Span;
use super::trace::{Gathered, trace};
use crate::sampler::{Decision, Sampler as Decider};

/// One golden case of a sampler.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceCase {
    /// What the case shows.
    pub about: String,
    /// The sampler's settings.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The traces that are due.
    pub traces: Vec<CaseTrace>,
    /// What becomes of each.
    pub expected: Vec<TraceFate>,
}

/// A trace of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTrace {
    /// 32 hexadecimal digits, the trace id of all its spans.
    pub id: String,
    /// Its spans.
    pub spans: Vec<Span>,
}

/// What must become of a trace.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields, untagged)]
pub enum TraceFate {
    /// It goes on.
    Kept {
        /// Why.
        kept: String,
        /// The trace state of its first span; as it came unless this is said.
        trace_state: Option<String>,
    },
    /// It is dropped.
    Dropped {
        /// Why.
        dropped: String,
    },
    /// The sampler abstains.
    Other(Undecided),
}

/// The word for a trace that is left to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Undecided {
    /// `"undecided"`.
    Undecided,
}

impl TraceCase {
    /// Reads a case from JSON.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let case: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if case.traces.len() == case.expected.len() {
            Ok(case)
        } else {
            Err(format!("{} traces but {} expectations", case.traces.len(), case.expected.len()))
        }
    }

    /// The settings as JSON.
    pub fn settings_json(&self) -> String {
        serde_json::Value::Object(self.settings.clone()).to_string()
    }

    /// Its traces as the harness takes them.
    pub fn gathered(&self) -> impl Iterator<Item = Gathered> {
        self.traces.iter().map(|case| trace(case.id.clone(), case.spans.clone()))
    }

    /// What differs between what was decided and what was expected; empty if nothing does.
    fn differences(&self, decided: &Decided) -> String {
        let mut report = String::new();
        for (index, expected) in self.expected.iter().enumerate() {
            let came_with = &self.traces[index].spans[0].trace_state;
            let reason = || decided.reason(index).to_owned();
            let actual = match (decided.decision(index), decided.trace_state(index)) {
                (Decision::Abstain | Decision::Wait(_), _) => TraceFate::Other(Undecided::Undecided),
                (_, None) => TraceFate::Dropped { dropped: reason() },
                (_, Some(state)) => {
                    TraceFate::Kept { kept: reason(), trace_state: (state != came_with).then(|| state.to_owned()) }
                }
            };
            if *expected != actual {
                writeln!(report, "  trace {index}\n    expected {expected:?}\n    actual   {actual:?}")
                    .expect("writing to a string cannot fail");
            }
        }
        report
    }
}

/// Runs every case of a sampler in a folder of `*.json` files and panics with all that differ.
pub fn golden_traces<S: Decider>(folder: impl AsRef<Path>) {
    let mut report = String::new();
    for file in json_files(folder.as_ref()) {
        let outcome = std::fs::read_to_string(&file)
            .map_err(|error| error.to_string())
            .and_then(|json| TraceCase::from_json(&json))
            .and_then(|case| {
                let decided = Sampler::<S>::configure(&case.settings_json())?.try_decide_in(0, case.gathered())?;
                let differences = case.differences(&decided);
                if differences.is_empty() { Ok(()) } else { Err(format!("{}\n{differences}", case.about)) }
            });
        if let Err(problem) = outcome {
            writeln!(report, "{}: {problem}", file.display()).expect("writing to a string cannot fail");
        }
    }
    assert!(report.is_empty(), "{report}");
}
