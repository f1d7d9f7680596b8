//! The commands, one file each, and how they speak.

mod admin;
pub mod change;
pub mod check;
pub mod inspect;
pub mod run;
pub mod status;

use std::io::Write as _;

use crate::end::End;

/// Prints a line to standard output. A reader that has gone away is no failure.
pub fn say(line: &str) -> End {
    let _gone = writeln!(std::io::stdout(), "{line}");
    End::Well
}

/// Prints a line to standard error.
pub fn complain(line: &str) {
    let _gone = writeln!(std::io::stderr(), "{line}");
}
