//! The plugin in the native harness: golden cases, rates that hold, settings that are refused.

use sample::Sample;
use tracemill_sdk::prelude::*;

#[test]
fn golden_cases() {
    testing::golden::<Sample>("tests/cases");
}

/// Trace ids whose randomness is spread evenly.
fn traces(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|index| format!("{:016x}{:016x}", index + 1, index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

#[test]
fn rates_hold_in_every_mode() {
    for settings in [
        r#"{"rate": 0.25}"#,
        r#"{"rate": 0.25, "mode": "proportional"}"#,
        r#"{"rate": 0.25, "mode": "hash_seed", "hash_seed": 7}"#,
    ] {
        let run = testing::plugin::<Sample>(settings).run(traces(10_000).map(|id| Span::named("a").trace(id)));
        let kept = run.len() - run.dropped();
        assert!((2350..2650).contains(&kept), "{settings}: {kept} of 10000");
    }
}

#[test]
fn spans_of_a_trace_share_its_fate() {
    for settings in [r#"{"rate": 0.5}"#, r#"{"rate": 0.5, "mode": "hash_seed"}"#] {
        let spans = traces(200).flat_map(|id| [Span::named("a").trace(id.clone()), Span::named("b").trace(id)]);
        let run = testing::plugin::<Sample>(settings).run(spans);
        for index in (0..run.len()).step_by(2) {
            assert_eq!(run.span(index).is_some(), run.span(index + 1).is_some(), "{settings}: trace {index}");
        }
    }
}

#[test]
fn nothing_but_rows_crosses_where_only_a_rate_is_set() {
    let plugin = testing::plugin::<Sample>(r#"{"rate": 0.5, "keep": {"errors": false}}"#);
    assert!(plugin.plan().columns.is_empty());
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refusal = testing::refusal::<Sample>;
    for (settings, message) in [
        (
            r#"{"rate": 1.5}"#,
            "settings.rate: expected a share from 0 to 1, or a percentage such as \"10%\", not this number",
        ),
        (
            r#"{"rate": "10"}"#,
            "settings.rate: expected a share from 0 to 1, or a percentage such as \"10%\", not the text \"10\"",
        ),
        (r#"{"rules": [{"service": "a"}]}"#, "settings.rules[0]: missing field `rate`"),
        (r#"{"rules": [{"rate": 1}]}"#, "settings.rules[0]: fits every span"),
        (r#"{"hash_seed": 1}"#, "settings.hash_seed: belongs to `mode: hash_seed`"),
        (r#"{"mode": "hash"}"#, "settings.mode: unknown variant `hash`"),
        (
            r#"{"keep": {"slower_than": 2}}"#,
            "settings.keep.slower_than: expected a time with its unit, such as \"250ms\" or \"2s\", not 2",
        ),
    ] {
        let actual = refusal(settings);
        assert!(actual.starts_with(message), "{settings}: {actual}");
    }
}
