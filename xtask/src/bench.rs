//! `cargo xtask bench`: builds both sides for release, then lets the bench run.

use crate::report::say;
use crate::{obtain, plugins, shell};
use anyhow::Result;

/// Builds what the bench needs and runs it with the given arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    plugins::build()?;
    if let Some(why) = obtain::PEER.get()? {
        say(format!("WITHOUT THE PEER: {why}"));
    }
    shell::run(shell::cargo().args(["build", "--release", "--package", "tracemill"]))?;
    let mut bench = shell::cargo();
    bench.args(["run", "--quiet", "--release", "--package", "tracemill-bench", "--"]).args(arguments);
    shell::run(bench.env("TRACEMILL_BIN", backends::root().join("target/release/tracemill")))
}
