//! `tracemill inspect`: what a plugin is, before anybody runs it.

use std::path::Path;

use control::plugins::inspect::{self, Inspection, Shown};

use crate::command::{complain, say};
use crate::end::End;

/// Looks at a file and shows what it is.
pub fn inspect(file: &Path, json: bool) -> End {
    let inspection = match inspect::inspect(file) {
        Ok(inspection) => inspection,
        Err(why) => {
            complain(&why);
            return End::Failed;
        }
    };
    if json {
        return match serde_json::to_string_pretty(&inspection) {
            Ok(text) => say(&text),
            Err(error) => {
                complain(&error.to_string());
                End::Failed
            }
        };
    }
    for line in lines(&inspection) {
        say(&line);
    }
    End::Well
}

fn lines(inspection: &Inspection) -> Vec<String> {
    let Inspection { file, stage, size, sha256, kind, contract, imports, exports, sidecar, plan } = inspection;
    let mut lines = vec![
        format!("{file}: {kind}, {} KiB", size.div_ceil(1024)),
        format!("stage     {stage}"),
        format!("sha256    {sha256}"),
        format!("contract  tracemill:plugin@{contract}"),
        format!("imports   {}", listed(imports)),
        format!("exports   {}", listed(exports)),
        match sidecar {
            Some(sidecar) => format!("its plan, with the settings of {sidecar}"),
            None => "its plan, without settings".to_owned(),
        },
    ];
    let Shown { columns, reads, writes, may_drop, when, affinity, on_error } = plan;
    let when: Vec<String> = when.iter().map(|all| all.join(" and ")).collect();
    let rows = [
        ("sees", listed(columns)),
        ("reads", listed(reads)),
        ("writes", listed(writes)),
        ("may drop", if *may_drop { "yes" } else { "no" }.to_owned()),
        ("when", if when.is_empty() { "every span".to_owned() } else { when.join("\n            or ") }),
        ("affinity", (*affinity).to_owned()),
        ("on error", (*on_error).to_owned()),
    ];
    lines.extend(rows.map(|(name, value)| format!("  {name:<8}  {value}")));
    lines
}

fn listed(items: &[String]) -> String {
    if items.is_empty() { "nothing".to_owned() } else { items.join(", ") }
}
