//! Settings: a block of the Collector's is taken as it is, and what makes no sense is refused with what to do about it.

use crate::common::settings;
use tail_sample::TailSample;
use tracemill_sdk::prelude::*;

/// The example of the Collector's own README, without its OTTL and with its `drop`.
const PASTED: &str = r#"{"policies": [
    {"name": "test-policy-1", "type": "always_sample"},
    {"name": "test-policy-2", "type": "latency", "latency": {"threshold_ms": 5000, "upper_threshold_ms": 10000}},
    {"name": "test-policy-3", "type": "numeric_attribute", "numeric_attribute": {"key": "key1", "min_value": 50, "max_value": 100}},
    {"name": "test-policy-4", "type": "probabilistic", "probabilistic": {"sampling_percentage": 10}},
    {"name": "test-policy-5", "type": "status_code", "status_code": {"status_codes": ["ERROR", "UNSET"]}},
    {"name": "test-policy-6", "type": "string_attribute", "string_attribute": {"key": "key2", "values": ["value1", "value2"]}},
    {"name": "test-policy-7", "type": "string_attribute",
     "string_attribute": {"key": "key2", "values": ["value1", "val*"], "enabled_regex_matching": true, "cache_max_size": 10}},
    {"name": "test-policy-8", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 35}},
    {"name": "test-policy-9", "type": "bytes_limiting", "bytes_limiting": {"bytes_per_second": 1024000, "burst_capacity": 2048000}},
    {"name": "test-policy-10", "type": "span_count", "span_count": {"min_spans": 2, "max_spans": 20}},
    {"name": "test-policy-11", "type": "trace_state", "trace_state": {"key": "key3", "values": ["value1", "value2"]}},
    {"name": "test-policy-12", "type": "boolean_attribute", "boolean_attribute": {"key": "key4", "value": true}},
    {"name": "test-policy-13", "type": "trace_flags"},
    {"name": "and-policy-1", "type": "and", "and": {"and_sub_policy": [
        {"name": "test-and-policy-1", "type": "numeric_attribute", "numeric_attribute": {"key": "key1", "min_value": 50, "max_value": 100}},
        {"name": "test-and-policy-2", "type": "string_attribute", "string_attribute": {"key": "key2", "values": ["value1", "value2"]}}]}},
    {"name": "not-policy-1", "type": "not", "not": {"not_sub_policy":
        {"name": "test-not-policy-1", "type": "latency", "latency": {"threshold_ms": 1000}}}},
    {"name": "drop-policy-1", "type": "drop", "drop": {"drop_sub_policy": [
        {"name": "test-drop-policy-1", "type": "string_attribute",
         "string_attribute": {"key": "url.path", "values": ["\\/health", "\\/metrics"], "enabled_regex_matching": true}}]}},
    {"name": "composite-policy-1", "type": "composite", "composite": {
        "max_total_spans_per_second": 1000,
        "policy_order": ["test-composite-policy-1", "test-composite-policy-2", "test-composite-policy-3"],
        "composite_sub_policy": [
            {"name": "test-composite-policy-1", "type": "numeric_attribute", "numeric_attribute": {"key": "key1", "min_value": 50}},
            {"name": "test-composite-policy-2", "type": "string_attribute", "string_attribute": {"key": "key2", "values": ["value1"]}},
            {"name": "test-composite-policy-3", "type": "always_sample"}],
        "rate_allocation": [{"policy": "test-composite-policy-1", "percent": 50}, {"policy": "test-composite-policy-2", "percent": 25}]}}
]}"#;

#[test]
fn a_block_of_the_collectors_is_taken_as_it_is() {
    let mut sampler = testing::sampler::<TailSample>(PASTED);
    let plain = Span::named("a");
    let health = Span::named("a").attribute("url.path", "/health");
    let decided = sampler.decide([plain, health]);
    assert_eq!((decided.decision(0), decided.reason(0)), (Decision::Keep, "test-policy-1"));
    assert_eq!((decided.decision(1), decided.reason(1)), (Decision::Drop, "drop-policy-1"));
}

fn named(rest: &str) -> String {
    format!(r#"{{"name": "a", {rest}}}"#)
}

fn within(rest: &str) -> String {
    named(&format!(r#""type": "and", "and": {{"and_sub_policy": [{}]}}"#, named(rest)))
}

fn are_refused<const N: usize>(table: [(String, &str); N]) {
    for (policies, message) in table {
        let actual = testing::refused_sampler::<TailSample>(&settings(&policies));
        assert!(actual.starts_with(message), "{policies}: {actual}");
    }
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    let composite = |rest: &str| {
        named(&format!(
            r#""type": "composite", "composite": {{"max_total_spans_per_second": 10, "composite_sub_policy": [{}], {rest}}}"#,
            named(r#""type": "always_sample""#)
        ))
    };
    are_refused([
        (String::new(), "settings.policies: is empty, so that no trace would be kept"),
        (r#"{"type": "always_sample"}"#.to_owned(), "settings.policies[0].name: must not be empty"),
        (
            named(r#""type": "lateny""#),
            "settings.policies[0].type: unknown variant `lateny`, expected one of `always_sample`",
        ),
        (named(r#""type": "latency""#), "settings.policies[0]: `type: latency` needs `latency` with its settings"),
        (
            named(r#""type": "boolean_attribute", "string_attribute": {"key": "a", "values": ["b"]}"#),
            "settings.policies[0].string_attribute: is not read by `type: boolean_attribute`; remove it, or write `type: string_attribute`",
        ),
        (
            named(r#""type": "latency", "latency": {"treshold_ms": 1}"#),
            "settings.policies[0].latency.treshold_ms: unknown field",
        ),
        (
            named(r#""type": "latency", "latency": {"threshold_ms": "1s"}"#),
            "settings.policies[0].latency.threshold_ms: expected u64, not the text \"1s\"",
        ),
        (
            named(r#""type": "latency", "latency": {"threshold_ms": 5, "upper_threshold_ms": 5}"#),
            "settings.policies[0].latency.upper_threshold_ms: must be greater than `threshold_ms`",
        ),
        (
            named(r#""type": "status_code", "status_code": {"status_codes": ["ERROR", "error"]}"#),
            "settings.policies[0].status_code.status_codes[1]: unknown variant `error`, expected one of `UNSET`, `OK`, `ERROR`",
        ),
        (
            within(
                r#""type": "string_attribute", "string_attribute": {"key": "a", "values": ["b", "("], "enabled_regex_matching": true}"#,
            ),
            "settings.policies[0].and.and_sub_policy[0].string_attribute.values[1]: is no regular expression",
        ),
        (
            named(r#""type": "numeric_attribute", "numeric_attribute": {"key": "a", "min_value": 0}"#),
            "settings.policies[0].numeric_attribute: needs `min_value` or `max_value`",
        ),
        (
            named(r#""type": "probabilistic", "probabilistic": {"sampling_percentage": -1}"#),
            "settings.policies[0].probabilistic.sampling_percentage: must be from 0 to 100",
        ),
        (
            named(r#""type": "rate_limiting", "rate_limiting": {"spans_per_second": 0}"#),
            "settings.policies[0].rate_limiting.spans_per_second: must be at least 1",
        ),
        (
            within(r#""type": "linked""#),
            "settings.policies[0].and.and_sub_policy[0].type: `linked` stands beside other policies",
        ),
        (
            named(r#""type": "linked", "linked": {"remember": 65537}"#),
            "settings.policies[0]: stands once, and remembers 16 to 65,536 traces",
        ),
        (
            named(r#""type": "and", "and": {"and_sub_policy": []}"#),
            "settings.policies[0].and.and_sub_policy: is empty; name at least one policy",
        ),
        (
            composite(r#""policy_order": ["b"]"#),
            "settings.policies[0].composite.policy_order[0]: there is no sub-policy named `b` left",
        ),
        (
            composite(r#""rate_allocation": [{"policy": "a", "percent": 101}]"#),
            "settings.policies[0].composite.rate_allocation: adds up to 101 percent",
        ),
        (
            named(r#""type": "ottl_condition", "ottl_condition": {"span": ["true"]}"#),
            "settings.policies[0].ottl_condition: OTTL is not read here; write `type: condition`",
        ),
        (named(r#""type": "ottl_condition""#), "settings.policies[0].type: OTTL is not read here"),
    ]);
}

#[test]
fn what_goes_beyond_is_checked_likewise() {
    are_refused([
        (
            named(r#""type": "condition", "condition": [{"path": "name", "equals": "a", "prefix": "b"}]"#),
            "settings.policies[0].condition[0]: needs `path` and exactly one of exists, equals",
        ),
        (
            named(
                r#""type": "condition", "condition": [[{"path": "name", "exists": true}, {"path": "name", "greater": "a"}]]"#,
            ),
            "settings.policies[0].condition[0][1]: `prefix`, `contains` and `matches` compare texts",
        ),
        (
            named(r#""type": "condition", "condition": [{"path": "strings", "exists": true}]"#),
            "settings.policies[0].condition[0]: `strings` stands for values that spans share",
        ),
        (named(r#""type": "condition", "condition": [{"path": "nmae", "exists": true}]"#), "`nmae` is no path"),
        (
            named(r#""type": "dynamic", "dynamic": {"goal_sample_rate": 0.5, "field_list": ["a"]}"#),
            "settings.policies[0].dynamic.goal_sample_rate: must be at least 1",
        ),
        (
            named(r#""type": "dynamic", "dynamic": {"goal_sample_rate": 5, "field_list": []}"#),
            "settings.policies[0].dynamic.field_list: is empty; name at least one field",
        ),
        (
            named(r#""type": "budget", "budget": {"per_second": 5, "by": []}"#),
            "settings.policies[0].budget.by: must name 1 to 4 levels",
        ),
        (
            named(r#""type": "rare", "rare": {"field_list": ["root."]}"#),
            "settings.policies[0].rare.field_list[0]: names no field",
        ),
        (
            [named(r#""type": "always_sample""#), named(r#""type": "trace_flags""#)].join(", "),
            "settings.policies[1].name: `a` is there already",
        ),
    ]);
}

#[test]
fn what_is_the_hosts_is_said_to_be() {
    for key in ["decision_wait", "num_traces", "decision_cache"] {
        let json =
            settings(r#"{"name": "a", "type": "always_sample"}"#).replacen('{', &format!(r#"{{"{key}": 5, "#), 1);
        let actual = testing::refused_sampler::<TailSample>(&json);
        let expected = format!("settings.{key}: the trace buffer is the host's; remove it here");
        assert!(actual.starts_with(&expected), "{actual}");
    }
    let unknown = settings("").replacen('{', r#"{"polices": 5, "#, 1);
    assert!(testing::refused_sampler::<TailSample>(&unknown).starts_with("settings.polices: unknown field"));
}

#[test]
fn the_examples_of_the_readme_are_taken() {
    let mut sampler = testing::sampler::<TailSample>(&settings(
        r#"{"name": "slow queries of the shop", "type": "condition", "condition": [
              [{"path": "resource.attributes[\"service.name\"]", "equals": "shop"}, {"path": "attributes[\"db.query.text\"]", "exists": true},
               {"path": "duration", "greater": 500000000}],
              {"path": "events.attributes[\"exception.type\"]", "matches": "^Timeout"}]},
           {"name": "new", "type": "rare", "rare": {"field_list": ["service.name", "http.route"], "first": 3, "interval": "10m"}},
           {"name": "by tenant", "type": "budget", "budget": {"per_second": 5000}},
           {"name": "relief", "type": "stress_relief", "stress_relief": {"per_second": 100000}}"#,
    ));
    let query = || Span::named("SELECT").attribute("db.query.text", "SELECT 1").lasting(500_000_001);
    let decided = sampler.decide([query().service("shop"), query().service("cart")]);
    assert_eq!([decided.reason(0), decided.reason(1)], ["slow queries of the shop", "by tenant"]);
    let apart = testing::trace("0000000000000000000000000000000a", [query(), Span::named("a").service("shop")]);
    assert_ne!(sampler.decide([apart]).reason(0), "slow queries of the shop", "on one span");
}
