//! What the plan asks for: no column that no policy needs, and which traces are decided at once.

use crate::common::{id, with};
use tracemill_sdk::prelude::*;

const ERRORS: &str = r#"{"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}"#;
const SLOW: &str = r#"{"name": "slow", "type": "latency", "latency": {"threshold_ms": 500}}"#;
const SHARE: &str = r#"{"name": "share", "type": "probabilistic", "probabilistic": {"sampling_percentage": 5}}"#;
const LIMIT: &str = r#"{"name": "limit", "type": "rate_limiting", "rate_limiting": {"spans_per_second": 50}}"#;
const CART: &str =
    r#"{"name": "cart", "type": "string_attribute", "string_attribute": {"key": "service.name", "values": ["cart"]}}"#;

fn paths(policies: &str) -> (Vec<String>, Show) {
    let sampler = with(policies);
    (sampler.plan().columns.iter().map(|want| want.path.clone()).collect(), sampler.plan().show)
}

#[test]
fn only_what_policies_need_is_shown() {
    assert_eq!(paths(&format!("{ERRORS}, {SLOW}, {SHARE}")), (vec![], Show::NoSpans));
    assert_eq!(paths(LIMIT), (vec![], Show::NoSpans));
    assert_eq!(paths(&format!("{LIMIT}, {SHARE}")), (vec!["trace_state".to_owned()], Show::Roots));
    let attributes = ["attributes[\"service.name\"]", "resource.attributes[\"service.name\"]"].map(str::to_owned);
    assert_eq!(
        paths(&format!("{CART}, {SHARE}, {CART}").replacen("\"cart\"", "\"other\"", 1)),
        (attributes.into(), Show::EverySpan)
    );
    let of_root = r#"{"name": "a", "type": "rare", "rare": {"field_list": ["root.name"]}}"#;
    assert_eq!(paths(of_root), (vec!["name".to_owned()], Show::Roots));
}

/// What is decided of a trace that is asked about early.
fn early(policies: &str, spans: &[Span]) -> Option<Decision> {
    let mut sampler = with(policies);
    let trace = testing::trace(id(0.4), spans.to_vec()).due(Due::Early);
    sampler.asks_early(&trace).then(|| sampler.decide([trace]).decision(0))
}

#[test]
fn what_cannot_be_overturned_is_decided_at_once() {
    let span = || Span::named("a");
    let error = || span().status(2, "");
    let cart = || span().service("cart");
    let both = format!(r#"{{"name": "both", "type": "and", "and": {{"and_sub_policy": [{CART}, {ERRORS}]}}}}"#);
    let drop = format!(r#"{{"name": "drop", "type": "drop", "drop": {{"drop_sub_policy": [{CART}]}}}}"#);
    let relief = r#"{"name": "relief", "type": "stress_relief", "stress_relief": {"per_second": 1000}}"#;
    let number = r#"{"name": "number", "type": "numeric_attribute", "numeric_attribute": {"key": "n", "min_value": 5, "max_value": 9}}"#;
    let keep = Some(Decision::Keep);
    assert_eq!(early(ERRORS, &[span(), error()]), keep);
    assert_eq!(early(ERRORS, &[span()]), None);
    assert_eq!(early(&format!("{ERRORS}, {SHARE}, {LIMIT}, {relief}"), &[error()]), keep);
    assert_eq!(early(&format!("{ERRORS}, {drop}"), &[error()]), None, "a span of the cart may come yet");
    assert_eq!(early(CART, &[span(), cart()]), keep);
    assert_eq!(early(SLOW, &[span().lasting(500_999_999)]), None);
    assert_eq!(early(SLOW, &[span().lasting(501_000_000)]), keep);
    assert_eq!(early(number, &[span().attribute("n", 9i64)]), keep);
    assert_eq!(early(number, &[span().attribute("n", 10i64)]), None);
    assert_eq!(early(&both, &[cart(), error()]), None, "on two spans it waits");
    assert_eq!(early(&both, &[cart().status(2, "")]), keep);
    assert_eq!(early(&format!("{both}, {SHARE}"), &[cart().status(2, "")]), keep);
    let inverted = CART.replace("[\"cart\"]", "[\"cart\"], \"invert_match\": true");
    assert_eq!(early(&inverted, &[span()]), None, "a span of the cart may come yet");
}

#[test]
fn what_is_asked_about_too_early_waits() {
    let trace = testing::trace(id(0.99), [Span::named("a")]).due(Due::Early);
    let decided = with(&format!("{ERRORS}, {SHARE}")).decide([trace]);
    assert!(matches!(decided.decision(0), Decision::Wait(_)));
}
