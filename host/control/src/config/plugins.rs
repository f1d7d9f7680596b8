//! The `plugins` section: where the folder is, which stages must be there, and what holds for every plugin that does not say otherwise.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use pipeline::chain::quarantine::Limits;
use pipeline::chain::stage::BreakerPolicy;

use super::limits::{self, Limits as CallLimits};
use super::table::Table;
use crate::plugins::signature::Keys;
use oci::Oci;

pub mod oci;
mod signatures;

/// What an instance's memory limit may be.
pub const MEMORY: RangeInclusive<u64> = (1 << 20)..=(4 << 30);
/// What a call's deadline may be. Below a millisecond the clock that ends calls cannot tell.
pub const DEADLINE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(1);

/// The plugin folder and its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugins {
    /// The folder whose files are the chain.
    pub folder: PathBuf,
    /// Stages without which nothing is received.
    pub required: Vec<String>,
    /// For plugins that do not say otherwise.
    pub defaults: Defaults,
    /// Who may sign plugins.
    pub keys: Keys,
    /// How plugins are pulled from registries.
    pub oci: Oci,
    /// Where compiled plugins are kept.
    pub cache: Cache,
    /// How many spans on which plugins fail are set aside.
    pub quarantine: Limits,
    /// A test setting: notes the chain's generation on each span as `tracemill.generation`.
    pub note_generation: bool,
}

/// Where something is kept from one start to the next: compiled plugins, or those that were pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The folder.
    pub folder: CacheFolder,
    /// Bytes that its files may have.
    pub size: u64,
}

/// The folder of such things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFolder {
    /// Where this system's programs keep such things; none where it does not say.
    Usual,
    /// This one.
    At(PathBuf),
    /// Nowhere: each start begins anew.
    Nowhere,
}

/// What holds for plugins whose sidecar does not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// Bytes of memory for an instance.
    pub memory: u64,
    /// How long a call may take.
    pub deadline: Duration,
    /// When repeated faults take a plugin out for a while.
    pub breaker: BreakerPolicy,
    /// What its file, its calls and its instances may be.
    pub limits: CallLimits,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            deadline: Duration::from_millis(50),
            breaker: BreakerPolicy::default(),
            limits: CallLimits::default(),
        }
    }
}

pub(super) fn read(table: &mut Table<'_>) -> Plugins {
    let usual = Defaults::default();
    let required = table.texts("required");
    if let Some(stage) = required.iter().find(|stage| crate::plugins::name::stage_of(stage) != stage.as_str()) {
        let name = crate::plugins::name::stage_of(stage);
        table.refuse("required", format!("stages are named without their number: write {name}, not {stage}"));
    }
    Plugins {
        folder: table.text("folder").map_or_else(|| PathBuf::from("plugins"), PathBuf::from),
        required,
        defaults: Defaults {
            memory: table.size("memory", MEMORY).unwrap_or(usual.memory),
            deadline: table.duration("deadline", DEADLINE).unwrap_or(usual.deadline),
            breaker: table.section("breaker", |table| breaker(table, usual.breaker)),
            limits: table.section("limits", |table| limits::read(table, usual.limits)),
        },
        keys: signatures::read(table),
        oci: table.section("oci", oci::read),
        cache: table.section("cache", cache),
        quarantine: table.section("quarantine", quarantine),
        note_generation: table.flag("note_generation").unwrap_or(false),
    }
}

fn cache(table: &mut Table<'_>) -> Cache {
    let folder = match table.text("folder") {
        None => CacheFolder::Usual,
        Some(none) if none == "none" => CacheFolder::Nowhere,
        Some(folder) => CacheFolder::At(folder.into()),
    };
    Cache { folder, size: table.size("size", (1 << 20)..=(1 << 40)).unwrap_or(1 << 30) }
}

fn quarantine(table: &mut Table<'_>) -> Limits {
    let usual = Limits::default();
    Limits {
        spans: table.count("spans", 0..=10_000).map_or(usual.spans, |spans| spans as usize),
        bytes: table.size("size", (4 << 10)..=(1 << 30)).map_or(usual.bytes, |bytes| bytes as usize),
    }
}

/// Reads a `breaker` section.
pub fn breaker(table: &mut Table<'_>, usual: BreakerPolicy) -> BreakerPolicy {
    let time = Duration::from_millis(100)..=Duration::from_hours(1);
    BreakerPolicy {
        faults: table.count("faults", 1..=1000).map_or(usual.faults, |faults| faults as u32),
        within: table.duration("within", time.clone()).unwrap_or(usual.within),
        pause: table.duration("pause", time).unwrap_or(usual.pause),
    }
}
