//! What verbs decide within the contract.

use crate::bindings::exports::tracemill::plugin::sampler::{Column, Decisions, Due, Traces};
use crate::bindings::tracemill::plugin::types::{Cells, Layout, Texts};
use crate::bindings::tracemill::plugin::{host, state};
use crate::{decided, decisions};

pub fn act(verb: &str, traces: &Traces, columns: &[Column]) -> Option<Decisions> {
    let count = traces.due.len();
    Some(match verb {
        "keep" | "whole-plan" | "fickle" => decisions(vec![(1, 0.0, "kept"); count]),
        "drop" => decisions(vec![(2, 0.0, "dropped"); count]),
        "abstain" => decisions(vec![(0, 0.0, ""); count]),
        // Once, for a second; then it is kept.
        "wait-once" => decisions(traces.due.iter().map(|due| match due {
            Due::Early | Due::RootSeen | Due::Idle => (3, 1e9, "a second more"),
            _ => (1, 0.0, "waited"),
        })),
        "keep-errors" => decisions(traces.errors.iter().map(|errors| match errors {
            0 => (4, 0.25, "one in four"),
            _ => (1, 0.0, "errors"),
        })),
        "every-action" => {
            let all = [(0, 0.0), (1, 0.0), (2, 0.0), (3, 1e9), (4, 0.25), (5, 0.5), (6, 1.0)];
            decisions(all.into_iter().cycle().take(count).map(|(action, number)| (action, number, "so it is told")))
        }
        "echo" => decisions((0..count).map(|at| (1, 0.0, summary(traces, columns, at)))),
        "remembers" => decisions((0..count).map(|at| (1, 0.0, (decided() + at as u64).to_string()))),
        "uses-the-host" => {
            host::log(host::Level::Warn, &format!("{count} traces"));
            host::count("traces", count as u64);
            let sum = state::add("sum", i64::try_from(count).unwrap_or(i64::MAX)).unwrap_or_default();
            let taken = state::take("bucket", 1, count as u64, 0.0, 100);
            assert!(count <= 100, "too many at once");
            let said = format!("{sum} so far, {taken} tokens, at {}", host::now());
            decisions(vec![(1, 0.0, said); count])
        }
        "finds" => {
            let field = host::Field { name: "team".to_owned(), layout: Layout::Text };
            let keys = Texts { offsets: vec![0, 4], data: b"cart".to_vec() };
            let said = match host::find("teams", &[field], &keys) {
                Ok(found) => text(&found[0], 0),
                Err(why) => why,
            };
            decisions(vec![(1, 0.0, said); count])
        }
        _ => return None,
    })
}

/// All that is shown of a trace.
fn summary(traces: &Traces, columns: &[Column], at: usize) -> String {
    let id = traces.ids[16 * at..16 * (at + 1)].try_into().map(u128::from_be_bytes).unwrap_or_default();
    let rows = traces.starts[at]..traces.starts[at + 1];
    let names: Vec<String> = rows.map(|row| text(&columns[0], row as usize)).collect();
    format!(
        "{:?} {id:032x} whole {} root {} spans {} bytes {} errors {} weight {} from {} for {}: {}",
        traces.due[at],
        traces.whole[at],
        traces.roots[at],
        traces.spans[at],
        traces.sizes[at],
        traces.errors[at],
        traces.weights[at],
        traces.start_times[at],
        traces.durations[at],
        names.join(" ")
    )
}

fn text(column: &Column, row: usize) -> String {
    let Cells::Text(Texts { offsets, data }) = &column.cells else { return "no text".to_owned() };
    String::from_utf8_lossy(&data[offsets[row] as usize..offsets[row + 1] as usize]).into_owned()
}
