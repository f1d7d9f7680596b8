//! The `queue` section of a destination: where what waits is kept, how much of it, and what happens when that is full.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::export::config::{DestinationConfig, OnFull, QueueConfig, QueueMode};

use super::table::Table;

const SECOND: Duration = Duration::from_secs(1);
const MONTH: Duration = Duration::from_hours(24 * 31);

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Memory,
    Spill,
    Durable,
}

pub(super) fn read(table: &mut Table<'_>) -> QueueConfig {
    let usual = QueueConfig::default();
    let policies =
        [("refuse", OnFull::Refuse), ("drop_oldest", OnFull::DropOldest), ("drop_newest", OnFull::DropNewest)];
    let modes = [("memory", Mode::Memory), ("spill", Mode::Spill), ("durable", Mode::Durable)];
    let mode = table.choice("mode", &modes).unwrap_or(Mode::Memory);
    let folder = table.text("folder").map(PathBuf::from);
    let size = table.size("size", (64 << 10)..=(1 << 40)).map(|bytes| bytes as usize);
    let memory = table.size("memory", (64 << 10)..=(1 << 40)).map(|bytes| bytes as usize);
    let max_age = table.duration("max_age", SECOND..=MONTH);
    let drain_rate = table.size("drain_rate", (1 << 10)..=(1 << 40));
    let on_full = table.choice("on_full", &policies).unwrap_or(usual.on_full);
    if mode == Mode::Memory {
        for key in ["folder", "memory", "drain_rate"] {
            if table.has(key) {
                table.refuse(key, "is for queues on disk: set `mode: durable` or `mode: spill` beside it");
            }
        }
        return QueueConfig { max_bytes: size.unwrap_or(usual.max_bytes), max_age, on_full, ..usual };
    }
    if folder.is_none() {
        table.refuse("mode", "needs `folder` beside it, where the queue's files are to be");
    }
    let folder = folder.unwrap_or_default();
    QueueConfig {
        mode: if mode == Mode::Spill { QueueMode::Spill(folder) } else { QueueMode::Durable(folder) },
        max_bytes: size.unwrap_or(QueueConfig::ON_DISK),
        memory_bytes: memory.unwrap_or(usual.memory_bytes),
        max_age,
        drain_rate,
        on_full,
    }
}

/// Two destinations cannot have one folder.
pub(super) fn check_folders(table: &Table<'_>, destinations: &[DestinationConfig]) {
    let folder = |destination: &DestinationConfig| destination.queue.mode.folder().map(Path::to_owned);
    for (i, destination) in destinations.iter().enumerate() {
        let Some(of_this) = folder(destination) else { continue };
        let same =
            |other: &&DestinationConfig| folder(other).is_some_and(|other| absolute(&other) == absolute(&of_this));
        if let Some(other) = destinations[..i].iter().find(same) {
            table.refuse(
                "export",
                format!(
                    "`{}` and `{}` have the same queue.folder: give each one of its own",
                    other.name, destination.name
                ),
            );
        }
    }
}

/// Without what says the same twice: `./queue/` is `queue`.
fn absolute(folder: &Path) -> PathBuf {
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).components().collect()
}
