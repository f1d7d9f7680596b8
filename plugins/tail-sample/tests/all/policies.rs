//! Each policy of the Collector by itself and within others: which traces it keeps.

use crate::common::{id, ids, with};
use tracemill_sdk::prelude::*;
use tracemill_sdk::testing::{Gathered, Value};

/// Traces to which policies say yes or no, each with a name.
fn traces() -> Vec<(&'static str, Gathered)> {
    let span = || Span::named("a");
    let timed = |start: u64, end: u64| {
        let mut span = span();
        (span.start_time_unix_nano, span.end_time_unix_nano) = (start * 1_000_000, end * 1_000_000);
        span
    };
    let flagged = |flags| Span { flags, ..span() };
    let list: Vec<(&str, Vec<Span>)> = vec![
        ("plain", vec![span(), span()]),
        ("error", vec![span(), span().status(2, "broken")]),
        ("ok", vec![span(), span().status(1, "")]),
        ("100ms", vec![timed(1000, 1010), timed(1050, 1100)]),
        ("101ms", vec![timed(1000, 1010), timed(1050, 1101)]),
        ("500ms", vec![timed(1000, 1500)]),
        ("501ms", vec![timed(1000, 1501)]),
        ("five spans", vec![span(), span(), span(), span(), span()]),
        ("cart", vec![span(), span().attribute("service", "cart")]),
        ("cart resource", vec![span(), span().resource_attribute("service", "cart")]),
        ("carts", vec![span().attribute("service", "carts")]),
        ("service is 7", vec![span().attribute("service", 7i64)]),
        ("service is empty", vec![span().attribute("service", "")]),
        ("resource service is 7", vec![span().resource_attribute("service", 7i64)]),
        ("size 5", vec![span().attribute("size", 5i64)]),
        ("size 50", vec![span().attribute("size", 50i64), span()]),
        ("size 50 resource", vec![span().resource_attribute("size", 50i64)]),
        ("size -5", vec![span().attribute("size", -5i64)]),
        ("size 50.0", vec![span().attribute("size", 50.0)]),
        ("gold", vec![span().attribute("gold", true)]),
        ("not gold", vec![span().attribute("gold", false)]),
        ("gold resource", vec![span().resource_attribute("gold", true)]),
        ("gold text", vec![span().attribute("gold", "true")]),
        ("gold null", vec![span().attribute("gold", Value::Empty)]),
        ("state", vec![span().trace_state("a=b,vendor=x")]),
        ("state malformed", vec![span().trace_state("A=b,vendor=x")]),
        ("sampled flag", vec![flagged(0), flagged(0x101)]),
        ("other flags", vec![flagged(0x102)]),
        ("event", vec![span().event("exception", [("type", "Timeout".into())])]),
    ];
    list.into_iter().map(|(name, spans)| (name, testing::trace(id(0.4), spans))).collect()
}

/// The names of the traces that a policy keeps.
fn kept(policy: &str) -> Vec<&'static str> {
    let decided = with(policy).decide(traces().into_iter().map(|(_, trace)| trace));
    let names = traces().into_iter().enumerate().filter(|(index, _)| decided.is_kept(*index));
    names.map(|(_, (name, _))| name).collect()
}

/// A policy named after its type.
fn policy(kind: &str, block: &str) -> String {
    format!(r#"{{"name": "{kind}", "type": "{kind}", "{kind}": {block}}}"#)
}

#[test]
fn policies_keep_what_the_collectors_keep() {
    let table: &[(&str, &str, &[&str])] = &[
        ("latency", r#"{"threshold_ms": 100}"#, &["101ms", "500ms", "501ms"]),
        ("latency", r#"{"threshold_ms": 100, "upper_threshold_ms": 500}"#, &["101ms", "500ms"]),
        ("status_code", r#"{"status_codes": ["ERROR"]}"#, &["error"]),
        ("status_code", r#"{"status_codes": ["OK", "ERROR"]}"#, &["error", "ok"]),
        ("span_count", r#"{"min_spans": 3}"#, &["five spans"]),
        ("span_count", r#"{"min_spans": 3, "max_spans": 4}"#, &[]),
        ("string_attribute", r#"{"key": "service", "values": ["cart", ""]}"#, &["cart", "cart resource"]),
        (
            "string_attribute",
            r#"{"key": "service", "values": ["^car"], "enabled_regex_matching": true, "cache_max_size": 10}"#,
            &["cart", "cart resource", "carts"],
        ),
        (
            "string_attribute",
            // An expression that matches nothing at all: what is there as another type counts as empty, but for a span.
            r#"{"key": "service", "values": ["^$"], "enabled_regex_matching": true}"#,
            &["resource service is 7"],
        ),
        (
            "numeric_attribute",
            r#"{"key": "size", "min_value": 50, "max_value": 100}"#,
            &["size 50", "size 50 resource"],
        ),
        ("numeric_attribute", r#"{"key": "size", "min_value": 6}"#, &["size 50", "size 50 resource"]),
        (
            "numeric_attribute",
            // What is no whole number counts as 0.
            r#"{"key": "size", "max_value": 10}"#,
            &["size 5", "size -5", "size 50.0"],
        ),
        ("boolean_attribute", r#"{"key": "gold", "value": true}"#, &["gold", "gold resource"]),
        ("boolean_attribute", r#"{"key": "gold", "value": false}"#, &["not gold", "gold text", "gold null"]),
        ("trace_state", r#"{"key": "vendor", "values": ["x", "y"]}"#, &["state"]),
        ("condition", r#"[{"path": "attributes[\"size\"]", "greater": [49, 49.5]}]"#, &["size 50", "size 50.0"]),
        (
            "condition",
            r#"[{"path": "duration", "greater": 500000000}, {"path": "status.code", "equals": 2}]"#,
            &["error", "501ms"],
        ),
        (
            "condition",
            r#"[[{"path": "attributes[\"service\"]", "exists": true}, {"path": "attributes[\"service\"]", "prefix": "cart", "not": true}]]"#,
            &["service is 7", "service is empty"],
        ),
        ("condition", r#"[{"path": "events.attributes[\"type\"]", "matches": "^Time"}]"#, &["event"]),
        ("condition", r#"[{"path": "events.name", "contains": ["cept", "xyz"]}]"#, &["event"]),
        ("condition", r#"[{"path": "attributes", "equals": true}]"#, &["gold"]),
    ];
    for (kind, block, expected) in table {
        assert_eq!(kept(&policy(kind, block)), *expected, "{kind} {block}");
    }
    assert_eq!(kept(r#"{"name": "a", "type": "trace_flags"}"#), ["sampled flag"]);
    assert_eq!(kept(r#"{"name": "a", "type": "always_sample"}"#).len(), traces().len());
}

#[test]
fn an_inverted_match_is_the_opposite() {
    for (kind, block) in [
        ("string_attribute", r#"{"key": "service", "values": ["cart"]"#),
        ("string_attribute", r#"{"key": "service", "values": ["^$", "c.r"], "enabled_regex_matching": true"#),
        ("numeric_attribute", r#"{"key": "size", "min_value": -9, "max_value": 10"#),
        ("boolean_attribute", r#"{"key": "gold", "value": false"#),
    ] {
        let straight = kept(&policy(kind, &format!("{block}}}")));
        let inverted = kept(&policy(kind, &format!(r#"{block}, "invert_match": true}}"#)));
        let by_not = kept(&policy("not", &format!(r#"{{"not_sub_policy": {}}}"#, policy(kind, &format!("{block}}}")))));
        assert_eq!(straight.len() + inverted.len(), traces().len(), "{kind} {block}");
        assert!(straight.iter().all(|name| !inverted.contains(name)), "{kind} {block}");
        assert_eq!(inverted, by_not, "{kind} {block}");
    }
}

#[test]
fn any_policy_keeps_and_any_drop_drops() {
    let errors = policy("status_code", r#"{"status_codes": ["ERROR"]}"#);
    let cart = policy("string_attribute", r#"{"key": "service", "values": ["cart"]}"#);
    let not_carts = r#"{"name": "not carts", "type": "string_attribute",
        "string_attribute": {"key": "service", "values": ["carts"], "invert_match": true}}"#;
    let spans = r#"{"name": "two", "type": "span_count", "span_count": {"min_spans": 2, "max_spans": 2}}"#;
    let drop = |subs: &str| policy("drop", &format!(r#"{{"drop_sub_policy": [{subs}]}}"#));
    let and = |subs: &str| policy("and", &format!(r#"{{"and_sub_policy": [{subs}]}}"#));
    assert_eq!(kept(&format!("{errors}, {cart}")), ["error", "cart", "cart resource"]);
    assert_eq!(kept(&format!("{errors}, {cart}, {}", drop(&cart))), ["error"]);
    assert_eq!(kept(&format!("{errors}, {}", drop(&format!("{cart}, {errors}")))), ["error"], "all must hold to drop");
    assert_eq!(kept(&and(&format!("{cart}, {spans}"))), ["cart", "cart resource"]);
    assert_eq!(kept(&and(&format!("{cart}, {not_carts}, {errors}"))), [""; 0]);
    // An inverted match does not veto any more what others keep, as it did in the Collector before 0.144.
    assert!(kept(&format!("{cart}, {not_carts}")).contains(&"cart"));
}

#[test]
fn the_reason_is_the_name_of_the_policy() {
    let errors = policy("status_code", r#"{"status_codes": ["ERROR"]}"#);
    let drop = policy("drop", &format!(r#"{{"drop_sub_policy": [{}]}}"#, policy("span_count", r#"{"min_spans": 3}"#)));
    let settings = format!("{errors}, {drop}");
    let span = || Span::named("a");
    let decided = with(&settings).decide([
        testing::trace(id(0.4), [span().status(2, "")]),
        testing::trace(id(0.4), [span().status(2, ""), span(), span()]),
        testing::trace(id(0.4), [span()]),
    ]);
    let said: Vec<_> = (0..3).map(|index| (decided.decision(index), decided.reason(index))).collect();
    let expected = [(Decision::Keep, "status_code"), (Decision::Drop, "drop"), (Decision::Drop, "no policy keeps it")];
    assert_eq!(said, expected);
    let others = format!(r#"{{"policies": [{errors}], "otherwise": "abstain"}}"#);
    let mut sampler = testing::sampler::<tail_sample::TailSample>(&others);
    assert_eq!(sampler.decide([span()]).decision(0), Decision::Abstain);
}

#[test]
fn shares_are_left_to_the_host_and_weigh_what_they_should() {
    let tenth = policy("probabilistic", r#"{"sampling_percentage": 10, "hash_salt": "x"}"#);
    let errors = policy("status_code", r#"{"status_codes": ["ERROR"]}"#);
    let probes = policy("string_attribute", r#"{"key": "probe", "values": ["yes"]}"#);
    let most = r#"{"name": "most", "type": "probabilistic", "probabilistic": {"sampling_percentage": 75}}"#;
    let drop = policy("drop", &format!(r#"{{"drop_sub_policy": [{probes}, {most}]}}"#));
    let not = policy("not", &format!(r#"{{"not_sub_policy": {most}}}"#));
    let plain = || testing::trace(id(0.8), [Span::named("a")]);
    let probe = || testing::trace(id(0.8), [Span::named("a").attribute("probe", "yes")]);
    let error = || testing::trace(id(0.8), [Span::named("a").attribute("probe", "yes").status(2, "")]);
    let decisions = |policies: &str| with(policies).decide([plain(), probe(), error()]).decisions().collect::<Vec<_>>();
    let (keep, sample) = (Decision::Keep, Decision::Sample);
    assert_eq!(decisions(&tenth), [sample(0.1), sample(0.1), sample(0.1)]);
    assert_eq!(decisions(&format!("{tenth}, {errors}")), [sample(0.1), sample(0.1), keep]);
    assert_eq!(decisions(&format!("{errors}, {tenth}, {drop}")), [sample(0.1), sample(0.1), sample(0.25)]);
    assert_eq!(decisions(&not), [sample(0.25), sample(0.25), sample(0.25)]);
    let sampler = with(&tenth);
    assert!(sampler.plan().columns.is_empty(), "the host alone looks at the randomness");
}

#[test]
fn shares_hold() {
    let settings = policy("probabilistic", r#"{"sampling_percentage": 25}"#);
    let decided = with(&settings).decide(ids(10_000).map(|id| Span::named("a").trace(id)));
    assert!((2350..2650).contains(&decided.kept()), "{}", decided.kept());
}

#[test]
fn golden_cases() {
    testing::golden_traces::<tail_sample::TailSample>("tests/cases");
}
