//! `cargo xtask test`: every check and test, with its own set-up, and a closing summary.

mod steps;
mod summary;

use crate::report::heading;
use anyhow::Result;
use std::time::Instant;
use summary::{Outcome, Summary};

/// Something to check. What it returns counts tests and names what was left out.
struct Step {
    name: &'static str,
    run: fn() -> Result<Outcome>,
    /// Whether later steps make no sense when this one fails.
    first: bool,
}

/// Runs all steps; with `full` also those that take long.
pub fn run(full: bool) -> Result<()> {
    let mut summary = Summary::default();
    let long = if full { steps::LONG } else { &[] };
    for step in steps::ALWAYS.iter().chain(long) {
        heading(step.name);
        let started = Instant::now();
        let outcome = (step.run)();
        let failed = outcome.is_err();
        summary.add(step.name, started.elapsed(), outcome);
        if failed && step.first {
            break;
        }
    }
    summary.close()
}
