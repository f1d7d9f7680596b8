//! What a plugin is to the chain: a program that was configured, instances of it, calls and the faults they end in.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use otlp::columns::Column;
use otlp::edit::Edit;

use super::plan::Plan;
use super::sampler::{Decisions, Question};

/// A plugin that is loaded and configured, from which instances are made. Implemented by the plugin host.
pub trait Program: Send + Sync + Debug + 'static {
    /// What it asked for. The same for all its instances.
    fn plan(&self) -> &Plan;

    /// Whether its instances hand their memory to those of the version after it.
    fn hands_over(&self) -> bool {
        false
    }

    /// Makes an instance and configures it. Takes some tens of microseconds for a Rust plugin and milliseconds for others;
    /// bounded by the deadline for `configure`.
    fn instantiate(&self) -> Result<Box<dyn Instance>, Fault>;
}

/// One instance of a plugin: its own memory, used by one thread at a time.
pub trait Instance: Send {
    /// Calls `process`. Invariant: after a fault, of whatever kind, it is not called again: one rule for traps, answered errors
    /// and bad edits. Whatever the call logged, counted or added to the plugin's state is held back until [`Instance::settle`].
    fn call(&mut self, call: Call<'_>) -> Result<Vec<Edit>, Fault>;

    /// Calls `decide` of a sampler, under the same rules.
    fn decide(&mut self, question: Question<'_>) -> Result<Decisions, Fault> {
        Err(Fault { kind: FaultKind::Error, message: no_sampler(question) })
    }

    /// Ends the last call: what it logged, counted and added stands (`kept`), or is undone because the call failed or its edits
    /// were refused.
    fn settle(&mut self, kept: bool);

    /// What its memory holds for the version after it; asked only where the program hands over, and nothing is asked of it after that. May take
    /// `deadline`.
    fn save(&mut self, deadline: Duration) -> Result<Vec<u8>, Fault> {
        Err(nothing(deadline))
    }

    /// Takes what an instance of version `from` has saved, before any call; likewise. After a fault it is thrown away.
    fn restore(&mut self, from: &str, saved: Vec<u8>, deadline: Duration) -> Result<(), Fault> {
        drop((from, saved));
        Err(nothing(deadline))
    }

    /// Whether it should make way for a fresh one (its memory has grown, it has served long enough).
    fn is_worn(&self) -> bool {
        false
    }
}

/// What is said where nobody decides.
fn no_sampler(question: Question<'_>) -> String {
    format!("it is no sampler, and was asked about {} traces", question.traces.len())
}

/// What is said where nothing is handed over.
fn nothing(_: Duration) -> Fault {
    Fault { kind: FaultKind::Error, message: "it hands nothing over".to_owned() }
}

/// What an instance is shown.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// How many rows.
    pub rows: u32,
    /// The plan's columns, in its order.
    pub columns: &'a [Arc<Column>],
    /// What `now` answers: nanoseconds since the Unix epoch.
    pub now: u64,
    /// How long it may take.
    pub deadline: Duration,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Fault {
    /// Which way it failed.
    pub kind: FaultKind,
    /// What the plugin or the engine said.
    pub message: String,
}

/// The ways in which a call can fail. The names are metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It trapped.
    Trap,
    /// It took longer than its deadline.
    Deadline,
    /// It wanted more memory than its limit.
    Memory,
    /// It answered an error.
    Error,
    /// Its edits break the contract.
    Edits,
    /// A sampler's decisions do.
    Decisions,
    /// No instance could be made.
    Instantiate,
}

impl FaultKind {
    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Error => "error",
            Self::Edits => "edits",
            Self::Decisions => "decisions",
            Self::Instantiate => "instantiate",
        }
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}
