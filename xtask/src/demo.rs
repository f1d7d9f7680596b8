//! `cargo xtask demo`: builds everything, then lets the demo run.

use crate::report::say;
use crate::{plugins, shell};
use anyhow::Result;

/// Runs until Ctrl-C, or for so many seconds.
pub fn run(seconds: Option<u64>) -> Result<()> {
    plugins::build()?;
    say("building tracemill (some minutes the first time)");
    shell::run(shell::cargo().args(["build", "--quiet", "--package", "tracemill", "--package", "tracemill-demo"]))?;
    let mut demo = shell::cargo();
    demo.args(["run", "--quiet", "--package", "tracemill-demo", "--"]);
    if let Some(seconds) = seconds {
        demo.args(["--seconds", &seconds.to_string()]);
    }
    shell::run(&mut demo)
}
