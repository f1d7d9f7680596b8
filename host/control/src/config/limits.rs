//! The section `limits`, of the configuration and of a sidecar: what a plugin's file, its calls and its instances may be, beside their time
//! and memory.

use std::ops::RangeInclusive;
use std::time::Duration;

use wasm::Options;

use super::table::Table;
use crate::plugins::scan;

const FILE: RangeInclusive<u64> = (1 << 10)..=scan::LARGEST;
/// As many as the host looks at in one call.
const EDITS: RangeInclusive<u64> = 1..=(otlp::edit::check::MOST_EDITS as u64);
/// Below it not even a plan comes through.
const OUTPUT: RangeInclusive<u64> = (64 << 10)..=(256 << 20);
const LOG_LINES: RangeInclusive<u64> = 0..=10_000;
const LOG_BYTES: RangeInclusive<u64> = 0..=(16 << 20);
const TABLE_ELEMENTS: RangeInclusive<u64> = 1..=10_000_000;
const INSTANCES: RangeInclusive<u64> = 1..=10_000;
const CONFIGURE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_mins(1);
const CALLS: RangeInclusive<u64> = 1..=1_000_000_000_000;

/// The bounds of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its file.
    pub file: u64,
    /// Edits that a call may answer.
    pub edits: u64,
    /// Bytes that a call may have the host copy, for what it answers or hands to one host function.
    pub output: u64,
    /// Lines that a call may log.
    pub log_lines: u64,
    /// Bytes that a call may log.
    pub log_bytes: u64,
    /// Elements of all tables of an instance.
    pub table_elements: u64,
    /// Core instances, and tables, that an instance of the plugin may be made of.
    pub instances: u64,
    /// How long making and configuring an instance may take, in CPU time.
    pub configure: Duration,
    /// Calls after which an instance makes way for a fresh one.
    pub calls: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let Options {
            edits, answer, log_lines, log_bytes, table_elements, instances, configure_deadline, calls, ..
        } = Options::default();
        Self {
            file: wasm::DEFAULT_SIZE as u64,
            edits: edits as u64,
            output: answer as u64,
            log_lines: log_lines as u64,
            log_bytes: log_bytes as u64,
            table_elements: table_elements as u64,
            instances: instances as u64,
            configure: configure_deadline,
            calls,
        }
    }
}

impl Limits {
    /// As the plugin host takes them, with `memory` bytes for an instance.
    #[must_use]
    pub fn options(self, memory: u64) -> Options {
        Options {
            memory: memory as usize,
            edits: self.edits as usize,
            answer: self.output as usize,
            log_lines: self.log_lines as usize,
            log_bytes: self.log_bytes as usize,
            table_elements: self.table_elements as usize,
            instances: self.instances as usize,
            configure_deadline: self.configure,
            calls: self.calls,
        }
    }
}

/// Reads a `limits` section.
pub fn read(table: &mut Table<'_>, usual: Limits) -> Limits {
    Limits {
        file: table.size("file", FILE).unwrap_or(usual.file),
        edits: table.count("edits", EDITS).unwrap_or(usual.edits),
        output: table.size("output", OUTPUT).unwrap_or(usual.output),
        log_lines: table.count("log_lines", LOG_LINES).unwrap_or(usual.log_lines),
        log_bytes: table.size("log_bytes", LOG_BYTES).unwrap_or(usual.log_bytes),
        table_elements: table.count("table_elements", TABLE_ELEMENTS).unwrap_or(usual.table_elements),
        instances: table.count("instances", INSTANCES).unwrap_or(usual.instances),
        configure: table.duration("configure", CONFIGURE).unwrap_or(usual.configure),
        calls: table.count("calls", CALLS).unwrap_or(usual.calls),
    }
}
