//! A version of a plugin that is tried before it counts: on its share of the traces (a canary), or in the shadow, on copies of which nothing
//! reaches the output. What is seen of it stands in its report.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use otlp::batch::Batch;
use otlp::compare::Differences;
use parking_lot::Mutex;

use super::stage::{Locked, Slot, Stage};

/// How a version is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// On copies.
    Shadow,
    /// On the spans of a share of the traces, 0 to 1; the others meet the stage that counts.
    Canary(f64),
}

/// A version that is tried.
pub struct Trial {
    stage: Arc<Stage>,
    mode: Mode,
    /// Traces whose hash is below it are its own.
    below: u64,
    report: Report,
    /// The shadow's instance. Only the shadow's thread takes it, and keeps it through calls: nobody else may wait for it.
    shadow: Mutex<Slot>,
    /// What differed so far. Invariant: nobody who holds it calls a plugin.
    differences: Mutex<Differences>,
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").field("stage", &self.stage).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// What the data plane counts of a trial.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Batches of which it was shown rows.
    pub(super) batches: AtomicU64,
    /// Batches that were not copied, because the shadow is behind.
    pub(super) skipped: AtomicU64,
}

/// What was seen of a trial so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Batches of which it was shown rows.
    pub batches: u64,
    /// Batches that the shadow had no time for.
    pub skipped: u64,
    /// What it has cost, and how often it failed.
    pub work: Work,
    /// In the shadow: what differs from the stage that counts (the first) in the version that is tried (the second).
    pub differences: Differences,
}

/// What a stage has done since it was set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Calls.
    pub calls: u64,
    /// Rows that were shown.
    pub rows: u64,
    /// Calls that failed.
    pub faults: u64,
    /// Nanoseconds with conditions, columns, calls and edits.
    pub nanos: u64,
}

/// Which rows of a batch meet a stage.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part<'t> {
    All,
    /// Those of the traces that a canary takes.
    Of(&'t Trial),
    /// The others.
    OutsideOf(&'t Trial),
}

impl Trial {
    /// Tries a stage; for the shadow, one that [`Chains::shadow_stage`](super::live::Chains::shadow_stage) has set up.
    #[must_use]
    pub fn new(stage: Arc<Stage>, mode: Mode) -> Self {
        let share = match mode {
            Mode::Shadow => 0.0,
            Mode::Canary(share) => share.clamp(0.0, 1.0),
        };
        let below = (share * u64::MAX as f64) as u64;
        Self { stage, mode, below, report: Report::default(), shadow: Mutex::default(), differences: Mutex::default() }
    }

    /// The version that is tried.
    #[must_use]
    pub fn stage(&self) -> &Arc<Stage> {
        &self.stage
    }

    /// How.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What was seen of it.
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen {
            batches: self.report.batches.load(Ordering::Relaxed),
            skipped: self.report.skipped.load(Ordering::Relaxed),
            work: self.stage.work(),
            differences: self.differences.lock().clone(),
        }
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn shadow(&self) -> Locked<'_> {
        Locked::new(&self.shadow)
    }

    pub(super) fn differences(&self) -> &Mutex<Differences> {
        &self.differences
    }

    /// It has been through a batch, of which so many rows were shown to it.
    pub(super) fn has_seen(&self, rows: u32) {
        if rows > 0 {
            self.report.batches.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a trace is the canary's own. By a hash of the whole id that no sampler uses: with the bits by which traces are sampled, a small
    /// share would be all kept or all dropped by the sampler behind it.
    pub(super) fn takes(&self, trace_id: &[u8]) -> bool {
        let mut hasher = FixedState::with_seed(0x7452_4163_654d_696c).build_hasher();
        hasher.write(trace_id);
        hasher.write(self.stage.spec().name.as_bytes());
        hasher.finish() < self.below
    }
}

impl Part<'_> {
    /// Leaves only the rows that are of this part.
    pub(super) fn narrow(self, batch: &Batch, rows: &mut Vec<u32>) {
        let takes = |trial: &Trial, row: u32| trial.takes(batch.get(batch.spans()[row as usize].trace_id));
        match self {
            Self::All => {}
            Self::Of(trial) => rows.retain(|&row| takes(trial, row)),
            Self::OutsideOf(trial) => rows.retain(|&row| !takes(trial, row)),
        }
    }
}
