//! One version of a plugin and the phases of its life. Small and pure, so that every way through it has a test.
//!
//! ```text
//! noticed ─► checking ─► compiling ─► probing ─┬─► shadowing ─┐
//!    │          │            │           │     ├─► canary ────┼─► live ─► draining ─► retired
//!    │          │            │           │     └──────────────┘    ▲         │            │
//!    │          └────────────┴───────────┴─► failed (tried again)  └─────────┴────────────┘ rolled back
//!    └─► retired: overtaken, or its file is gone
//! ```

use serde::{Deserialize, Serialize};

/// Where a version is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its files have settled; it waits to be made.
    Noticed,
    /// Its files are read and checked.
    Checking,
    /// It is compiled, or its compiled code is fetched.
    Compiling,
    /// It is configured, and tried on sample spans.
    Probing,
    /// It runs on copies of live batches.
    Shadowing,
    /// It runs on its share of the traces.
    Canary,
    /// It counts.
    Live,
    /// Another one counts; batches that began with it finish.
    Draining,
    /// Nothing runs on it any more.
    Retired,
    /// It could not be made.
    Failed,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Noticed,
        Self::Checking,
        Self::Compiling,
        Self::Probing,
        Self::Shadowing,
        Self::Canary,
        Self::Live,
        Self::Draining,
        Self::Retired,
        Self::Failed,
    ];

    /// Whether a version may go from here to there.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        use Phase::{Canary, Checking, Compiling, Draining, Failed, Live, Noticed, Probing, Retired, Shadowing};
        match self {
            Noticed => matches!(next, Checking | Failed | Retired),
            Checking => matches!(next, Compiling | Failed | Retired),
            Compiling => matches!(next, Probing | Failed | Retired),
            Probing => matches!(next, Shadowing | Canary | Live | Failed | Retired),
            // It may be promoted, withdrawn, or fail when it is made anew to count.
            Shadowing => matches!(next, Live | Failed | Retired),
            // Batches run on it.
            Canary => matches!(next, Live | Draining),
            Live => next == Draining,
            // Rolled back to, before or after the last batch is through.
            Draining => matches!(next, Retired | Live),
            Retired => next == Live,
            // The same content is tried again where the failure may pass.
            Failed => matches!(next, Noticed | Retired),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Noticed => "noticed",
            Self::Checking => "checking",
            Self::Compiling => "compiling",
            Self::Probing => "probing",
            Self::Shadowing => "shadowing",
            Self::Canary => "canary",
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Failed => "failed",
        }
    }
}

/// A version that was noticed, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Counts up with each version that is noticed.
    pub number: u64,
    /// Its stage.
    pub stage: String,
    /// Its file.
    pub file: String,
    /// The SHA-256 of the file's content.
    pub sha256: String,
    /// What the plugin itself says which version it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_version: Option<String>,
    /// The beginning of the SHA-256 of its sidecar, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<String>,
    /// Where it is now.
    pub phase: Phase,
    /// When it came there, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// When it was noticed, likewise.
    pub noticed_ms: u64,
    /// When it began to count, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_ms: Option<u64>,
    /// The generation of the chain with which it began to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The number of the version that counted before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<u64>,
    /// Why it failed, or why it no longer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Version {
    /// Goes on to another phase; `false` where there is no way there from here, and then nothing changes.
    #[must_use]
    pub fn enter(&mut self, next: Phase, now_ms: u64) -> bool {
        if !self.phase.may_become(next) {
            return false;
        }
        (self.phase, self.since_ms) = (next, now_ms);
        if next == Phase::Live {
            self.live_ms = Some(now_ms);
            self.why = None;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version() -> Version {
        Version {
            number: 1,
            stage: "a".into(),
            file: "10-a.wasm".into(),
            sha256: "00".into(),
            plugin_version: None,
            sidecar: None,
            phase: Phase::Noticed,
            since_ms: 0,
            noticed_ms: 0,
            live_ms: None,
            generation: None,
            replaced: None,
            why: None,
        }
    }

    fn walk(phases: &[Phase]) -> Result<Version, Phase> {
        let mut version = version();
        for (now, &phase) in (1..).zip(phases) {
            if !version.enter(phase, now) {
                return Err(phase);
            }
        }
        Ok(version)
    }

    #[test]
    fn the_ways_of_a_version() {
        use Phase::*;
        let made = [Checking, Compiling, Probing];
        let after = |rest: &[Phase]| walk(&[&made, rest].concat());
        assert!(after(&[Live, Draining, Retired]).is_ok());
        assert!(after(&[Shadowing, Live, Draining, Retired, Live]).is_ok(), "rolled back to");
        assert!(after(&[Canary, Live]).is_ok());
        assert!(after(&[Shadowing, Retired]).is_ok(), "withdrawn");
        assert!(after(&[Canary, Draining, Retired]).is_ok(), "withdrawn");
        assert!(after(&[Failed, Noticed, Checking]).is_ok(), "tried again");
        assert!(walk(&[Retired]).is_ok(), "overtaken");
        let live = after(&[Live]).unwrap();
        assert_eq!((live.live_ms, live.since_ms), (Some(4), 4));
    }

    #[test]
    fn there_are_no_other_ways() {
        use Phase::*;
        for (way, refused) in [
            (&[Live][..], Live),
            (&[Checking, Probing], Probing),
            (&[Checking, Compiling, Live], Live),
            (&[Checking, Compiling, Probing, Live, Failed], Failed),
            (&[Checking, Compiling, Probing, Live, Retired], Retired),
            (&[Checking, Compiling, Probing, Canary, Retired], Retired),
            (&[Checking, Compiling, Probing, Live, Draining, Retired, Draining], Draining),
        ] {
            assert_eq!(walk(way), Err(refused), "{way:?}");
        }
    }

    /// Every pair, so that no way comes about unnoticed. A row says where a phase leads, in the order of [`Phase::ALL`]:
    /// noticed, checking, compiling, probing, shadowing, canary, live, draining, retired, failed.
    #[test]
    fn each_phase_leads_where_this_table_says() {
        let table = [
            (Phase::Noticed, "-x------xx"),
            (Phase::Checking, "--x-----xx"),
            (Phase::Compiling, "---x----xx"),
            (Phase::Probing, "----xxx-xx"),
            (Phase::Shadowing, "------x-xx"),
            (Phase::Canary, "------xx--"),
            (Phase::Live, "-------x--"),
            (Phase::Draining, "------x-x-"),
            (Phase::Retired, "------x---"),
            (Phase::Failed, "x-------x-"),
        ];
        assert_eq!(table.map(|(from, _)| from), Phase::ALL);
        for (from, row) in table {
            let ways = Phase::ALL.map(|to| if from.may_become(to) { 'x' } else { '-' });
            assert_eq!(ways.iter().collect::<String>(), row, "from {from:?}");
        }
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut version = version();
        assert!(!version.enter(Phase::Live, 9));
        assert_eq!((version.phase, version.since_ms, version.live_ms), (Phase::Noticed, 0, None));
    }
}
