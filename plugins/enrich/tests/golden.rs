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
        (r#"{"lookups": [{"table": "t", "key": "k"}]}"#, "settings.lookups[0]: sets nothing"),
        (r#"{"lookups": [{"table": "t", "set": {"a": "b"}}]}"#, "settings.lookups[0]: missing field `key`"),
        (r#"{"lookups": [{"table": "t", "key": "k", "set": {"span_id": "b"}}]}"#, "`span_id` cannot be written"),
        (r#"{"remove": ["trace_id"]}"#, "`trace_id` cannot be written"),
    ] {
        let actual = refusal(settings);
        assert!(actual.starts_with(message), "{settings}: {actual}");
    }
}

const TEAMS: &str = r#"{"lookups": [{"table": "teams", "key": "service", "set": {"team": "team"}}]}"#;

fn cart() -> Span {
    Span::named("a").attribute("service", "cart")
}

#[test]
fn a_table_that_cannot_be_asked_is_said_once_and_spans_go_on() {
    let mut plugin = testing::plugin::<Enrich>(TEAMS);
    let said = "nothing is looked up: no lookup table named `teams` is configured";
    for expected in [Some((Level::Warn, said)), None, None] {
        let run = plugin.run([cart()]);
        assert!(run.is_untouched(0));
        let logs: Vec<_> = run.logs().iter().map(|(level, text)| (*level, text.as_str())).collect();
        assert_eq!(logs, expected.into_iter().collect::<Vec<_>>());
        assert_eq!(run.count("failed_lookups"), 1);
    }
    plugin.set_table("teams", [("cart", vec![("taem", "shop".into())])]);
    assert!(plugin.run([cart()]).logs()[0].1.ends_with("the lookup table `teams` has no field `team`"));
    plugin.set_table("teams", [("cart", vec![("team", "shop".into())])]);
    let run = plugin.run([cart()]);
    assert_eq!(run.logs(), [(Level::Info, "the lookup table `teams` can be asked again".to_owned())]);
    assert_eq!(run.span(0).expect("it goes on").text_of("team"), Some("shop"));
    assert!(plugin.run([cart()]).logs().is_empty());
    plugin.forget_table("teams");
    assert_eq!(plugin.run([cart()]).logs().len(), 1, "and once more");
}

#[test]
fn spans_without_a_key_ask_nothing() {
    let mut plugin = testing::plugin::<Enrich>(TEAMS);
    let run = plugin.run([Span::named("a"), Span::named("b").attribute("service", 7_i64)]);
    assert!(run.is_untouched(0) && run.is_untouched(1) && run.logs().is_empty(), "there is no such table");
}

#[test]
fn what_is_there_is_replaced_unless_the_settings_say_otherwise() {
    for (overwrite, team) in [(true, "shop"), (false, "mine")] {
        let mut plugin = testing::plugin::<Enrich>(&TEAMS.replacen('{', &format!("{{\"overwrite\": {overwrite}, "), 1));
        plugin.set_table("teams", [("cart", vec![("team", "shop".into())])]);
        let run = plugin.run([cart().attribute("team", "mine")]);
        assert_eq!(run.span(0).expect("it goes on").text_of("team"), Some(team));
    }
}
