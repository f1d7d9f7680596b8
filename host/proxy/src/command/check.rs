//! `tracemill check`: everything that is wrong with a configuration file, and with the lookup tables that it names.

use std::path::Path;

use control::tables;

use crate::command::{complain, say};
use crate::end::End;

/// Checks a file.
pub fn check(file: &Path) -> End {
    let lines = match control::config::load(Some(file)) {
        Ok(config) => {
            tables::check(&config.tables).iter().map(|(table, why)| format!("tables.{table}: {why}")).collect()
        }
        Err(report) => report.lines(),
    };
    if lines.is_empty() {
        return say(&format!("{}: ok", file.display()));
    }
    for line in &lines {
        complain(line);
    }
    complain(&format!("{}: {} error{}", file.display(), lines.len(), if lines.len() == 1 { "" } else { "s" }));
    End::Usage
}
