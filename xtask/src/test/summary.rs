//! What a test run did, told at its end.

use crate::report::{heading, say, seconds};
use anyhow::{Result, bail};
use std::time::Duration;

/// What a step that went well has to say.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Tests that passed.
    pub passed: usize,
    /// What could not be run here, and why.
    pub skipped: Vec<String>,
}

impl Outcome {
    /// Reads a line of a test runner.
    pub fn read(&mut self, line: &str) {
        let counts = line.trim().strip_prefix("test result: ok. ");
        let passed = counts.and_then(|counts| counts.split_once(" passed")).and_then(|(count, _)| count.parse().ok());
        self.passed += passed.unwrap_or(0);
    }
}

/// All steps so far.
#[derive(Debug, Default)]
pub struct Summary {
    lines: Vec<String>,
    passed: usize,
    skipped: Vec<String>,
    failures: Vec<String>,
}

impl Summary {
    /// Notes what became of a step.
    pub fn add(&mut self, name: &str, took: Duration, outcome: Result<Outcome>) {
        let verdict = match outcome {
            Ok(outcome) => {
                self.passed += outcome.passed;
                self.skipped.extend(outcome.skipped);
                if outcome.passed > 0 { format!("ok, {} tests", outcome.passed) } else { "ok".to_owned() }
            }
            Err(error) => {
                self.failures.push(format!("{name}: {error:#}"));
                "FAILED".to_owned()
            }
        };
        self.lines.push(format!("{name:<44} {:>9}  {verdict}", seconds(took)));
    }

    /// Prints it; an error if anything failed.
    pub fn close(self) -> Result<()> {
        heading("summary");
        self.lines.iter().for_each(say);
        say(format!("{} tests passed", self.passed));
        for skipped in &self.skipped {
            say(format!("!!! SKIPPED {skipped}"));
        }
        for failure in &self.failures {
            say(format!("!!! FAILED {failure}"));
        }
        if self.failures.is_empty() {
            return Ok(());
        }
        bail!("{} steps failed", self.failures.len())
    }
}

#[cfg(test)]
mod tests {
    //! Counting what test runners say.

    use super::*;

    #[test]
    fn only_passed_tests_are_counted() {
        let mut outcome = Outcome::default();
        outcome.read("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s");
        outcome.read("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out");
        outcome.read("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s");
        assert_eq!(outcome.passed, 15);
    }

    #[test]
    fn a_failed_step_fails_the_run() {
        let mut summary = Summary::default();
        summary.add("a", Duration::ZERO, Ok(Outcome::default()));
        summary.add("b", Duration::ZERO, Err(anyhow::anyhow!("no")));
        assert!(summary.close().is_err());
    }
}
