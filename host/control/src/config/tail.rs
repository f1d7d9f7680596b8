//! The `tail` section: the trace buffer, in which spans wait until samplers have decided their trace.

use std::path::PathBuf;
use std::time::Duration;

use pipeline::tail::TailConfig;
use pipeline::tail::config::{DiskConfig, Otherwise, Remember};

use super::table::Table;

const DAY: Duration = Duration::from_hours(24);
/// Each shard has its pages and an open chunk; with less there is no room for spans.
const LEAST: u64 = 16 << 20;
const MIB: u64 = 1 << 20;

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Memory,
    Spill,
    Durable,
}

pub(super) fn read(table: &mut Table<'_>) -> TailConfig {
    let usual = TailConfig::default();
    let any = Duration::ZERO..=DAY;
    let root_delay = table.duration("root_delay", any.clone()).unwrap_or(usual.root_delay);
    let idle = table.duration("idle", any.clone()).unwrap_or(usual.idle);
    let longest = table.duration("longest", any).unwrap_or(usual.longest);
    let words = [("keep", Otherwise::Keep), ("drop", Otherwise::Drop)];
    let config = TailConfig {
        max_bytes: table.size("memory", LEAST..=(1 << 40)).map_or(usual.max_bytes, |bytes| bytes as usize),
        root_delay,
        idle,
        longest,
        default: table.choice("default", &words).unwrap_or(usual.default),
        max_rows: table.count("max_rows", 1..=4096).map_or(usual.max_rows, |rows| rows as u32),
        note_reason: table.flag("note_reason").unwrap_or(usual.note_reason),
        remember: table.section("remember", |table| remember(table, usual.remember)),
        disk: disk(table),
    };
    for (key, time) in [("root_delay", root_delay), ("idle", idle)] {
        if time > longest {
            table.refuse(key, "is longer than `longest`, after which a trace is decided whatever it waits for");
        }
    }
    config
}

fn remember(table: &mut Table<'_>, usual: Remember) -> Remember {
    let most = 1..=1_000_000_000;
    Remember {
        kept: table.count("kept", most.clone()).map_or(usual.kept, |traces| traces as usize),
        dropped: table.count("dropped", most).map_or(usual.dropped, |traces| traces as usize),
    }
}

fn disk(table: &mut Table<'_>) -> Option<DiskConfig> {
    let modes = [("memory", Mode::Memory), ("spill", Mode::Spill), ("durable", Mode::Durable)];
    let mode = table.choice("mode", &modes).unwrap_or(Mode::Memory);
    let folder = table.text("folder").map(PathBuf::from);
    let size = table.size("size", (64 * MIB)..=(1 << 44));
    if mode == Mode::Memory {
        for key in ["folder", "size"] {
            if table.has(key) {
                table.refuse(key, "is for what goes to the disk: set `mode: durable` or `mode: spill` beside it");
            }
        }
        return None;
    }
    if folder.is_none() {
        table.refuse("mode", "needs `folder` beside it, where the buffer's files are to be");
    }
    Some(DiskConfig { folder: folder?, max_bytes: size.unwrap_or(4096 * MIB), is_durable: mode == Mode::Durable })
}
