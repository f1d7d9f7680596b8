//! `cargo xtask bench`: tracemill beside the OpenTelemetry Collector, in the same run, on the same machine.
//!
//! Each figure is the median of interleaved runs (tracemill, Collector, tracemill, …), so that a machine whose speed drifts does
//! not favour one side. CPU is the process's own CPU time over the spans that it accepted. Prints tables and writes them to a file.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a bench prints its tables")]

mod cores;
mod drive;
mod groups;
mod machine;
mod measure;
mod pace;
mod peer;
mod report;
mod usage;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Parser;

use groups::Group;
use report::Report;

/// tracemill beside the OpenTelemetry Collector.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub struct Arguments {
    /// Only these groups; all if none is named.
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// Interleaved runs of each side; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Spans of each run, in thousands.
    #[arg(long, default_value_t = 300)]
    kilospans: usize,
    /// Only the rows whose name holds this text (groups cost, matrix and memory).
    #[arg(long)]
    only: Option<String>,
    /// Leaves the Collector out (groups cost and matrix): for work on tracemill itself.
    #[arg(long)]
    alone: bool,
    /// How large the backlog of group durable is, as `512MiB` or `2GiB`: requests, uncompressed.
    #[arg(long, default_value = "2GiB", value_parser = size)]
    backlog: u64,
    /// Where the tables are written; next to the build's products if it is not given.
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Arguments {
    /// Whether a row of this name is asked for.
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }
}

/// A number of bytes with its unit.
fn size(text: &str) -> Result<u64> {
    let (number, shift) = [("MiB", 20), ("GiB", 30)]
        .into_iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|number| (number, shift)))
        .context("a number and MiB or GiB")?;
    Ok(number.trim().parse::<u64>()? << shift)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let out = arguments.out.clone().unwrap_or_else(|| backends::root().join("target/bench.md"));
    let mut report = Report::new(&arguments);
    let groups = if arguments.groups.is_empty() { Group::ALL.to_vec() } else { arguments.groups.clone() };
    for group in groups {
        let tables = runtime.block_on(group.run(&arguments)).with_context(|| format!("group {group:?}"))?;
        for table in tables {
            println!("{table}");
            report.push(table);
            // After each table: a bench that is interrupted has not been for nothing.
            std::fs::write(&out, report.to_string()).with_context(|| format!("writing {}", out.display()))?;
        }
    }
    println!("written to {}", out.display());
    Ok(())
}
