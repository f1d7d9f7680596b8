//! A plan: what a plugin wants to see and may do, as its `configure` answered and the host has checked.

use otlp::condition::Condition;
use otlp::path::{Path, Want};

use super::sampler::SamplerPlan;

/// What becomes of spans on which a plugin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// They go on as they were before the plugin.
    Pass,
    /// They are dropped, and counted.
    Drop,
    /// They are refused to their sender, by partial success.
    Reject,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pass, Self::Drop, Self::Reject];

    /// Its word in sidecars and in the status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }
}

/// Which instance sees a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Affinity {
    /// Any.
    Any,
    /// Always the same one for a trace.
    Trace,
    /// One for all.
    One,
}

/// A plugin's plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The columns of each call, in order.
    pub columns: Vec<Want>,
    /// Further paths that its edits may read.
    pub reads: Vec<Path>,
    /// Paths that its edits may write.
    pub writes: Vec<Path>,
    /// Whether it may drop, sample and weigh.
    pub may_drop: bool,
    /// Which spans it is about: any of these lists, all of its conditions; empty means every span.
    pub when: Vec<Vec<Condition>>,
    /// Which instance sees a span.
    pub affinity: Affinity,
    /// What becomes of spans on which it fails.
    pub on_error: Failure,
    /// The lookup tables that it asks; `None`: whichever there are, as plugins of contract 0.1 may.
    pub tables: Option<Vec<String>>,
    /// What makes it a sampler: it decides whole traces, is not called for batches, and edits nothing.
    pub sampler: Option<SamplerPlan>,
    /// What this host does not know.
    pub options: Vec<(String, String)>,
}
