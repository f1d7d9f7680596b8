//! What is tried and what was rolled back, below the table of stages.

use control::plugins::status::{Differences, Stage, Trial};

use super::line;

/// How many paths are shown; JSON has them all.
const PATHS: usize = 10;

pub(super) fn show(out: &mut String, stage: &Stage) {
    let name = &stage.stage;
    if let Some(held) = &stage.held {
        let what =
            format!("  {name}: version {held} in the folder was rolled back (tracemill promote {name} brings it back)");
        line(out, &what);
    }
    let Some(trial) = &stage.trial else { return };
    line(out, &format!("  {name}: {}", one(trial)));
    if let Some(differences) = &trial.differences {
        self::differences(out, differences);
    }
    if let Some(why) = &trial.not_promoted {
        line(out, &format!("    not promoted by its rule: {why}"));
    }
}

fn one(trial: &Trial) -> String {
    let Trial { version, batches, rows, faults, skipped, .. } = trial;
    let how = match trial.share {
        Some(share) => format!("is a canary on {} % of the traces", share * 100.0),
        None => "runs in the shadow".to_owned(),
    };
    let cost = |cost: Option<u64>| cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost} ns"));
    let skipped = if *skipped > 0 { format!(", {skipped} batches skipped") } else { String::new() };
    let (own, current) = (cost(trial.cost_ns), cost(trial.current_cost_ns));
    format!(
        "version {version} {how}: {batches} batches{skipped}, {rows} spans, {faults} faults, {own} a span (the one that counts: {current})"
    )
}

fn differences(out: &mut String, differences: &Differences) {
    let Differences { spans, dropped_more, dropped_fewer, edited_otherwise, paths, elsewhere } = differences;
    line(
        out,
        &format!(
            "    of {spans} spans it drops {dropped_more} more and {dropped_fewer} fewer, and edits {edited_otherwise} otherwise"
        ),
    );
    for path in paths.iter().take(PATHS) {
        line(
            out,
            &format!(
                "      {} in {} spans, as in trace {} span {}",
                path.path, path.spans, path.trace_id, path.span_id
            ),
        );
    }
    let more = paths.len().saturating_sub(PATHS) as u64 + elsewhere;
    if more > 0 {
        line(out, &format!("      and {more} more (--json has them)"));
    }
}

#[cfg(test)]
mod tests {
    use control::plugins::status::{Differing, State};

    use super::*;

    fn shown(stage: &Stage) -> String {
        let mut out = String::new();
        show(&mut out, stage);
        out
    }

    #[test]
    fn what_is_tried_is_told_with_what_differs() {
        let mut stage = Stage::new("scrub-pii".into(), "20-scrub-pii.wasm".into(), State::Live);
        assert_eq!(shown(&stage), "");
        let path =
            |path: &str, spans| Differing { path: path.into(), spans, trace_id: "0a".into(), span_id: "0b".into() };
        let paths = [path("name", 7)].into_iter().chain((0..10).map(|n| path(&format!("p{n}"), 1))).collect();
        let differences =
            Differences { spans: 100, dropped_more: 1, dropped_fewer: 2, edited_otherwise: 17, paths, elsewhere: 3 };
        stage.trial = Some(Trial {
            version: "abc".into(),
            mode: "shadow".into(),
            batches: 10,
            skipped: 2,
            rows: 100,
            cost_ns: Some(120),
            differences: Some(differences),
            not_promoted: Some("a span costs 120 ns, and may cost 100".into()),
            ..Trial::default()
        });
        let text = shown(&stage);
        assert!(text.starts_with(
            "  scrub-pii: version abc runs in the shadow: 10 batches, 2 batches skipped, 100 spans, 0 faults, 120 ns a span \
             (the one that counts: -)\n    of 100 spans it drops 1 more and 2 fewer, and edits 17 otherwise\n      name in 7 spans, as in \
             trace 0a span 0b\n"
        ), "{text}");
        assert!(text.ends_with("      and 4 more (--json has them)\n    not promoted by its rule: a span costs 120 ns, and may cost 100\n"), "{text}");
        (stage.trial, stage.held) = (None, Some("def".into()));
        assert!(shown(&stage).contains("version def in the folder was rolled back"));
    }
}
