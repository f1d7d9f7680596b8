//! What tasks say to people.

use std::time::Duration;

/// A line on standard output.
#[expect(clippy::print_stdout, reason = "tasks are command-line programs")]
pub fn say(line: impl AsRef<str>) {
    println!("{}", line.as_ref());
}

/// The heading of a step.
pub fn heading(name: &str) {
    say(format!("\n=== {name}"));
}

/// Whole seconds, for people.
pub fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
