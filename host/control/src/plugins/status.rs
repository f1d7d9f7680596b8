//! What the folder says about itself: a snapshot that is replaced whole, so that readers wait for nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::role::Sampler;
use super::signature::Shown;
use super::took::Took;
use super::trying::Rule;
use super::version::Version;

/// How many events are remembered.
const REMEMBERED: usize = 100;

/// The folder at one time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// The folder.
    pub folder: String,
    /// The generation of the live chain.
    pub generation: u64,
    /// Whether every file is live or has failed.
    pub settled: bool,
    /// Why traffic is refused, if it is, as by a required plugin that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusing: Option<String>,
    /// The stages in the folder's order.
    pub stages: Vec<Stage>,
    /// What is wrong with the folder or with files that are no stage.
    pub notes: Vec<String>,
    /// What happened, newest first.
    pub history: VecDeque<Event>,
    /// The versions of all plugins and what became of them, newest first.
    #[serde(default)]
    pub versions: Vec<Version>,
}

/// One stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub stage: String,
    /// Its file.
    pub file: String,
    /// Whether it runs.
    pub state: State,
    /// The version that runs: the beginning of its content's SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Who has signed that version, where signatures are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Shown>,
    /// What it does: `processor` or `sampler`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it sees and is asked about, if it is a sampler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// The generation with which that version went live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// How long it took until that version was live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
    /// `pass`, `drop` or `reject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_error: Option<String>,
    /// Whether its breaker is `closed` or `open`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<String>,
    /// Calls that failed since the start.
    pub faults: u64,
    /// Why the newest version is not live, if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// The version that is tried beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// The version to which `tracemill rollback` returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// The version in the folder that was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

impl Stage {
    /// One of which nothing more is known.
    #[must_use]
    pub fn new(stage: String, file: String, state: State) -> Self {
        Self {
            stage,
            file,
            state,
            version: None,
            signature: None,
            role: None,
            sampler: None,
            generation: None,
            took: None,
            on_error: None,
            breaker: None,
            faults: 0,
            error: None,
            trial: None,
            previous: None,
            held: None,
        }
    }
}

/// A version that is tried before it counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The version.
    pub version: String,
    /// `shadow` or `canary`.
    pub mode: String,
    /// A canary's share of the traces, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// By which it is promoted without being asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote: Option<Rule>,
    /// Why that rule no longer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_promoted: Option<String>,
    /// Batches that went through it.
    pub batches: u64,
    /// Batches for which the shadow had no time.
    pub skipped: u64,
    /// Calls into it.
    pub calls: u64,
    /// Spans that it was shown.
    pub rows: u64,
    /// Calls that failed.
    pub faults: u64,
    /// What a span costs it, in nanoseconds; in the shadow, of CPU time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_ns: Option<u64>,
    /// What a span costs the version that counts, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_cost_ns: Option<u64>,
    /// In the shadow: how its spans differ from those of the version that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differences: Option<Differences>,
}

/// How the spans of a version in the shadow differ from those of the version that counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Spans that were compared.
    pub spans: u64,
    /// Spans that it alone drops.
    pub dropped_more: u64,
    /// Spans that only the version that counts drops.
    pub dropped_fewer: u64,
    /// Spans that both keep, with other values.
    pub edited_otherwise: u64,
    /// Where those differ.
    pub paths: Vec<Differing>,
    /// How often they differ at further paths.
    pub elsewhere: u64,
}

/// A path at which spans differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differing {
    /// As plans name it.
    pub path: String,
    /// How many spans.
    pub spans: u64,
    /// The trace of one of them, in hex.
    pub trace_id: String,
    /// That one's id, in hex.
    pub span_id: String,
}

/// Whether a stage runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs. With an error beside it, it is the last good version that does.
    Live,
    /// No version of it counts yet; one is tried.
    Tried,
    /// Its first version is being made.
    Loading,
    /// Nothing of it runs.
    Failed,
    /// Its file is gone. It stays because it is required, and traffic is refused.
    Gone,
}

/// A step of a swap that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The file.
    pub file: String,
    /// Which version failed, if it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Which step.
    pub step: Step,
    /// Why.
    pub why: String,
    /// Whether it may pass by itself, as a deadline does that a busy machine missed: then the same content is tried again after a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
    /// When, in seconds since the Unix epoch.
    pub at: u64,
}

/// The steps of a swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Its name is taken.
    Name,
    /// Reading the files.
    Read,
    /// Pulling the plugin from a registry.
    Pull,
    /// Comparing its signature with the keys that are trusted.
    Signature,
    /// Checking the sidecar.
    Sidecar,
    /// Checking imports and contract version.
    Check,
    /// Compiling.
    Compile,
    /// Instantiating and `configure`.
    Configure,
    /// Comparing its plan with what the operator grants.
    Grants,
    /// Setting up the stage.
    Stage,
    /// Trying it on sample spans.
    Probe,
    /// Trying it on live batches.
    Trial,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in seconds since the Unix epoch.
    pub at: u64,
    /// The live generation after it.
    pub generation: u64,
    /// What, for people.
    pub what: String,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::Read => "read",
            Self::Pull => "pull",
            Self::Signature => "signature",
            Self::Sidecar => "sidecar",
            Self::Check => "check",
            Self::Compile => "compile",
            Self::Configure => "configure",
            Self::Grants => "grants",
            Self::Stage => "stage",
            Self::Probe => "probe",
            Self::Trial => "trial",
        })
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.step, self.why)
    }
}

impl Failure {
    /// Whether it says the same, at whatever time. One that may pass is told by its step: its words hold times, which differ.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let why = if self.passing { &other.why } else { &self.why };
        Self { at: other.at, why: why.clone(), ..self.clone() } == *other
    }
}

impl Status {
    /// Remembers an event, and forgets the oldest.
    pub fn remember(&mut self, what: impl Into<String>) {
        self.history.push_front(Event { at: now(), generation: self.generation, what: what.into() });
        self.history.truncate(REMEMBERED);
    }
}

/// Where the newest snapshot is.
pub type Shared = Arc<arc_swap::ArcSwap<Status>>;

/// Seconds since the Unix epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_is_bounded_and_begins_with_the_newest() {
        let mut status = Status::default();
        for i in 0..1000 {
            status.remember(format!("event {i}"));
        }
        assert_eq!(status.history.len(), REMEMBERED);
        assert_eq!(status.history[0].what, "event 999");
    }
}
