//! The plugin in the native harness: golden cases, settings that are refused, and what the plan asks for.

use enrich::Enrich;
use tracemill_sdk::prelude::*;

#[test]
fn golden_cases() {
    testing::golden::<Enrich>("tests/cases");
}

#[test]
fn constants_renames_and_removals_need_no_column() {
    let settings = r#"{"resource": {"region": "eu"}, "rename": [{"from": "a", "to": "b"}], "remove": ["c"]}"#;
    let plugin = testing::plugin::<Enrich>(settings);
    assert!(plugin.plan().columns.is_empty());
    assert!(!plugin.plan().may_drop);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refusal = testing::refusal::<Enrich>;
    for (settings, message) in [
        (r#"{"attribute": {}}"#, "settings.attribute: unknown field `attribute`"),
        (r#"{"resource": {"a": [1]}}"#, "settings.resource.a: expected a text, a number or a boolean, not a list"),
        (
            r#"{"rename": [{"from": "a", "to": "attributes[\"a\"]"}]}"#,
            "settings.rename[0]: `from` and `to` are the same",
        ),
        (r#"{"services": [{"service": "a"}]}"#, "settings.services[0]: sets nothing"),
        (r#"{"remove": ["trace_id"]}"#, "`trace_id` cannot be written"),
    ] {
        let actual = refusal(settings);
        assert!(actual.starts_with(message), "{settings}: {actual}");
    }
}
