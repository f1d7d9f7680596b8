//! How the trace buffer is set up.

use std::path::PathBuf;
use std::time::Duration;

/// What may be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailConfig {
    /// Bytes of memory that all of it may take, index included.
    pub max_bytes: usize,
    /// How long a trace waits for stragglers once its root has come.
    pub root_delay: Duration,
    /// After so long without a span a trace is complete.
    pub idle: Duration,
    /// After so long a trace is decided whatever it still waits for.
    pub longest: Duration,
    /// What becomes of traces about which all samplers abstain.
    pub default: Otherwise,
    /// Rows of one trace that a sampler is shown at most, up to 4,096.
    pub max_rows: u32,
    /// Whether kept spans say which sampler kept them and why.
    pub note_reason: bool,
    /// How many decisions are remembered for late spans.
    pub remember: Remember,
    /// Where what memory has no room for goes, and what has to survive a crash.
    pub disk: Option<DiskConfig>,
}

/// What becomes of a trace that nobody decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It is kept.
    Keep,
    /// It is dropped.
    Drop,
}

/// How many decisions are remembered, in the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remember {
    /// Of kept traces, exactly; up to 176 bytes each.
    pub kept: usize,
    /// Of dropped ones, in filters; 8 bytes each.
    pub dropped: usize,
}

impl Remember {
    /// Bytes of memory that it may take, which are a part of [`TailConfig::max_bytes`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.kept.saturating_mul(176).saturating_add(self.dropped.saturating_mul(8))
    }

    /// As many of both, or fewer of both, so that they take no more than so many bytes.
    #[must_use]
    pub fn within(self, bytes: usize) -> Self {
        let share = (bytes as f64 / self.bytes().max(1) as f64).min(1.0);
        let part = |count: usize| (count as f64 * share) as usize;
        Self { kept: part(self.kept), dropped: part(self.dropped) }
    }
}

/// The folder of the trace buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskConfig {
    /// Of one process alone.
    pub folder: PathBuf,
    /// Bytes that may be in it.
    pub max_bytes: u64,
    /// Whether spans are on the disk before they are acknowledged, and undecided ones come back after a crash.
    pub is_durable: bool,
}

impl Default for TailConfig {
    fn default() -> Self {
        Self {
            max_bytes: 512 << 20,
            root_delay: Duration::from_secs(2),
            idle: Duration::from_secs(5),
            longest: Duration::from_secs(30),
            default: Otherwise::Keep,
            max_rows: 4096,
            note_reason: false,
            remember: Remember { kept: 200_000, dropped: 2_000_000 },
            disk: None,
        }
    }
}
