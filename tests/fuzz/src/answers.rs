//! Whatever a guest answers, on its way through the host: its paths are read, its edits checked against what it was shown and what it may do, and
//! applied as a whole. Either the call is a fault and nothing has changed, or what leaves is OTLP in which only that was written that may be.

use crate::choices::Choices;
use crate::edits::is_whole;
use crate::index::load;
use bytes::Bytes;
use tracemill_otlp::batch::Batch;
use tracemill_otlp::columns::cache::Cache;
use tracemill_otlp::columns::fitting;
use tracemill_otlp::edit::Edit;
use tracemill_otlp::edit::apply::apply;
use tracemill_otlp::edit::check::{EditError, check};
use tracemill_otlp::edit::named::{NamedError, Paths};
use tracemill_otlp::edit::permissions::Permissions;
use tracemill_otlp::path::Path;
use tracemill_otlp::shown::Shown;

/// The target: two plugins, one after the other.
pub fn answers(data: &[u8]) -> bool {
    outcomes(data).is_some()
}

/// Why a call failed.
enum Failed {
    Path(NamedError),
    Edit(EditError),
}

/// Bytes that may be said about a call.
const WORDS: usize = 32 << 10;

impl Failed {
    fn words(&self) -> String {
        match self {
            Self::Path(error) => error.to_string(),
            Self::Edit(error) => error.to_string(),
        }
    }
}

fn outcomes(data: &[u8]) -> Option<Vec<Result<Vec<Path>, Failed>>> {
    let (body, mut choices) = Choices::split(data)?;
    let body = Bytes::copy_from_slice(body);
    let mut batch = load(&body)?;
    let (mut cache, mut outcomes) = (Cache::default(), Vec::new());
    let mut may_have_changed = vec![false; batch.rows() as usize];
    for _ in 0..2 {
        let live: Vec<u32> = (0..batch.rows()).filter(|&row| !batch.spans()[row as usize].dropped).collect();
        let wants = choices.wants();
        let rows = &live[..fitting(&batch, &live, &wants)];
        if rows.is_empty() {
            break;
        }
        let shown = cache.show(&batch, rows, &wants);
        let permissions = choices.permissions(&wants);
        let outcome = call(&mut batch, &shown, &permissions, choices.answer(&shown));
        if let Ok(written) = &outcome {
            for &row in rows {
                may_have_changed[row as usize] = true;
            }
            cache.invalidate(written);
        }
        if let Err(failed) = &outcome {
            let words = failed.words();
            assert!(words.starts_with("edit ") && words.len() < WORDS, "{words}");
        }
        outcomes.push(outcome);
    }
    is_whole(&batch, &may_have_changed, body);
    Some(outcomes)
}

/// As the host goes about it; answers the paths that were written.
fn call(
    batch: &mut Batch,
    shown: &Shown,
    permissions: &Permissions,
    answer: Vec<Edit<String>>,
) -> Result<Vec<Path>, Failed> {
    let edits = Paths::default().edits(answer).map_err(Failed::Path)?;
    check(batch, shown, permissions, &edits).map_err(Failed::Edit)?;
    let applied = apply(batch, shown, &edits);
    // The host itself writes the trace state of what is sampled.
    let by_host = |path: &Path| permissions.may_drop() && *path == Path::TraceState;
    // Whatever is written of an event or a link is noted as all of them, for the columns that have to be made anew.
    let is_noted_whole = |path: &Path| matches!(path, Path::Events | Path::Links);
    let may = |path: &Path| permissions.may_write(path) || by_host(path) || is_noted_whole(path);
    let others: Vec<_> = applied.written.iter().filter(|path| !may(path)).collect();
    assert!(others.is_empty(), "{others:?} were written, which are not among the plan's writes");
    assert!(permissions.may_drop() || applied.dropped.is_empty(), "spans were dropped without leave");
    Ok(applied.written)
}

#[cfg(test)]
mod tests {
    //! A target whose inputs all fail alike would find nothing.

    use super::*;
    use std::collections::HashSet;

    #[test]
    fn calls_fail_in_most_ways_that_there_are_and_many_do_not() {
        let request = include_bytes!("../corpus/edits/small-4-0");
        let (mut applied, mut written, mut no_paths, mut faults) = (0, 0, 0, HashSet::new());
        for seed in 0..5_000_u64 {
            let mut input = request.to_vec();
            *input.last_chunk_mut::<8>().expect("it ends with choices") = seed.to_le_bytes();
            for outcome in outcomes(&input).expect("a request") {
                match outcome {
                    Ok(paths) => (applied, written) = (applied + 1, written + usize::from(!paths.is_empty())),
                    Err(Failed::Path(_)) => no_paths += 1,
                    Err(Failed::Edit(error)) => drop(faults.insert(std::mem::discriminant(&error.fault))),
                }
            }
        }
        let seen = format!("{applied} applied, {written} wrote, {no_paths} without a path, {} faults", faults.len());
        assert!(applied > 1_000 && written > 500 && no_paths > 100 && faults.len() >= 18, "{seen}");
    }
}
