//! What the data plane knows of a version that is tried, for people.

use pipeline::chain::trial::{Mode, Trial, Work};

use crate::plugins::digest::hex;
use crate::plugins::status::{self, Differences, Differing};
use crate::plugins::trying::cost_of;

/// Fills in what was seen of it. `current`: what the version that counts has done.
pub(super) fn fill(shown: &mut status::Trial, trial: &Trial, current: Option<Work>) {
    let seen = trial.seen();
    (shown.batches, shown.skipped) = (seen.batches, seen.skipped);
    (shown.calls, shown.rows, shown.faults) = (seen.work.calls, seen.work.rows, seen.work.faults);
    shown.cost_ns = cost_of(&seen);
    shown.current_cost_ns = current.and_then(|work| work.nanos.checked_div(work.rows));
    if trial.mode() != Mode::Shadow {
        return;
    }
    let otlp::compare::Differences {
        rows,
        only_first_dropped,
        only_second_dropped,
        edited_otherwise,
        places,
        elsewhere,
    } = seen.differences;
    let mut paths: Vec<_> = places
        .into_iter()
        .map(|(path, differing)| Differing {
            path,
            spans: differing.rows,
            trace_id: hex(&differing.example.0),
            span_id: hex(&differing.example.1),
        })
        .collect();
    // The most first; those alike as they are spelled.
    paths.sort_by_key(|path| std::cmp::Reverse(path.spans));
    shown.differences = Some(Differences {
        spans: rows,
        dropped_more: only_second_dropped,
        dropped_fewer: only_first_dropped,
        edited_otherwise,
        paths,
        elsewhere,
    });
}
