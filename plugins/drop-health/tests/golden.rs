//! The plugin in the native harness: golden cases, settings that are refused, and what the plan asks for.

use drop_health::DropHealth;
use tracemill_sdk::prelude::*;

#[test]
fn golden_cases() {
    testing::golden::<DropHealth>("tests/cases");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refusal = testing::refusal::<DropHealth>;
    assert!(refusal(r#"{"route": []}"#).starts_with("settings.route: unknown field"));
    assert_eq!(
        refusal(r#"{"names": ["a", "*"]}"#),
        "settings.names[1]: an empty pattern or `*` alone would drop every span"
    );
    assert!(refusal(r#"{"defaults": false}"#).contains("nothing would be dropped"));
}

#[test]
fn nothing_but_rows_crosses_into_the_plugin() {
    let mut plugin = testing::plugin::<DropHealth>("{}");
    assert!(plugin.plan().columns.is_empty());
    let run = plugin.run([Span::named("GET /users").attribute("http.route", "/users"), Span::named("GET /health")]);
    assert!(!run.was_shown(0));
    assert!(run.was_shown(1));
}
