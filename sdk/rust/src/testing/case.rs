//! Golden cases: settings, spans and what must become of them, in files that the real host's tests read too.
//!
//! ```json
//! {
//!   "about": "health checks go, the rest stays",
//!   "settings": {"routes": ["/health"]},
//!   "spans": [{"name": "GET /health", "attributes": {"http.route": "/health"}}, {"name": "GET /users"}],
//!   "expected": [{"dropped": "health check"}, "untouched"]
//! }
//! ```
//!
//! `tables` gives lookup tables, as in a JSON file: `{"teams": {"cart": {"team": "shop"}}}`.
//!
//! `expected` has one element for each span: `"untouched"`, `{"dropped": REASON}`, or `{"changed": {..}}` with the
//! span's top-level fields that differ, each as a whole.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::span::{Attributes, Span};
use super::{Plugin, Run};
use crate::plugin::Plugin as Processor;

/// One golden case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows.
    pub about: String,
    /// The plugin's settings.
    #[serde(default)]
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The lookup tables that the plugin may ask, by name, each as a JSON file would hold it: an object of objects.
    #[serde(default)]
    pub tables: serde_json::Map<String, serde_json::Value>,
    /// The spans that come in.
    pub spans: Vec<Span>,
    /// What becomes of each.
    pub expected: Vec<Expected>,
}

/// What must become of a span.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Expected {
    /// It goes on as it came.
    Untouched,
    /// It is dropped for this reason.
    Dropped(String),
    /// It goes on with these top-level fields as given, and all others as they came.
    Changed(serde_json::Map<String, serde_json::Value>),
}

impl Case {
    /// Reads a case from JSON.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let case: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if case.spans.len() == case.expected.len() {
            Ok(case)
        } else {
            Err(format!("{} spans but {} expectations", case.spans.len(), case.expected.len()))
        }
    }

    /// The settings as JSON.
    pub fn settings_json(&self) -> String {
        serde_json::Value::Object(self.settings.clone()).to_string()
    }

    /// What the span must look like when it goes on; none if it must be dropped. Panics if the case is no case.
    pub fn expected_span(&self, index: usize) -> Option<Span> {
        let span = &self.spans[index];
        match &self.expected[index] {
            Expected::Untouched => Some(span.clone()),
            Expected::Dropped(_) => None,
            Expected::Changed(fields) => {
                let mut json = serde_json::to_value(span).expect("a span is always JSON");
                if let Some(span) = json.as_object_mut() {
                    span.extend(fields.clone());
                }
                match serde_json::from_value(json) {
                    Ok(span) => Some(span),
                    Err(error) => panic!("{}: expected[{index}]: {error}", self.about),
                }
            }
        }
    }

    /// What differs between a run of this case's spans and what was expected; empty if nothing does.
    fn differences(&self, run: &Run) -> String {
        let mut report = String::new();
        for index in 0..self.spans.len() {
            let (expected, actual) = (self.expected_span(index), run.span(index));
            let reason = match &self.expected[index] {
                Expected::Dropped(reason) => Some(reason.as_str()),
                _ => None,
            };
            if expected.as_ref() != actual || reason != run.dropped_because(index) {
                let show = |span: Option<&Span>, reason: Option<&str>| match span {
                    Some(span) => serde_json::to_string(span).expect("a span is always JSON"),
                    None => format!("dropped because of {reason:?}"),
                };
                writeln!(
                    report,
                    "  span {index}\n    expected {}\n    actual   {}",
                    show(expected.as_ref(), reason),
                    show(actual, run.dropped_because(index))
                )
                .expect("writing to a string cannot fail");
            }
        }
        report
    }
}

pub(super) fn run_folder<P: Processor>(folder: &Path) {
    let mut report = String::new();
    for file in json_files(folder) {
        let outcome = std::fs::read_to_string(&file)
            .map_err(|error| error.to_string())
            .and_then(|json| Case::from_json(&json))
            .and_then(|case| {
                let mut plugin = Plugin::<P>::configure(&case.settings_json())?;
                for (name, rows) in &case.tables {
                    let rows = BTreeMap::<String, Attributes>::deserialize(rows)
                        .map_err(|error| format!("tables.{name}: {error}"))?;
                    let rows = rows.iter().map(|(key, fields)| {
                        let fields = fields.0.iter().map(|(name, value)| (name.as_str(), value.clone()));
                        (key.as_str(), fields.collect())
                    });
                    plugin.set_table(name, rows);
                }
                let run = plugin.try_run(case.spans.clone())?;
                let differences = case.differences(&run);
                if differences.is_empty() { Ok(()) } else { Err(format!("{}\n{differences}", case.about)) }
            });
        if let Err(problem) = outcome {
            writeln!(report, "{}: {problem}", file.display()).expect("writing to a string cannot fail");
        }
    }
    assert!(report.is_empty(), "{report}");
}

/// The `*.json` files of a folder, in order. Panics if there is none.
pub(super) fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => panic!("{}: {error}", folder.display()),
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty(), "no cases in {}", folder.display());
    files
}
