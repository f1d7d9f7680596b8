//! `tracemill check`: everything that is wrong with a configuration file.

use std::path::Path;

use crate::command::{complain, say};
use crate::end::End;

/// Checks a file.
pub fn check(file: &Path) -> End {
    match control::config::load(Some(file)) {
        Ok(_) => say(&format!("{}: ok", file.display())),
        Err(report) => {
            let lines = report.lines();
            for line in &lines {
                complain(line);
            }
            complain(&format!("{}: {} error{}", file.display(), lines.len(), if lines.len() == 1 { "" } else { "s" }));
            End::Usage
        }
    }
}
