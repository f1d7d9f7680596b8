//! The policies, each as a Collector has it and as tracemill has it: the same but for conditions, which the Collector writes in OTTL.
#![allow(clippy::needless_pass_by_value, reason = "a table of literals, made where they are used")]

use super::traffic::Traffic;
use serde_json::{Value, json};

/// What the share keeps, and its threshold.
pub const SHARE: f64 = 0.3125;
pub const THRESHOLD: u64 = 11 << 52;

/// A block of policies.
pub struct Case {
    pub name: &'static str,
    pub collector: Value,
    pub tracemill: Value,
    /// Whether it keeps some traces and not others.
    pub is_selective: bool,
    /// Whether it is a share: the Collector goes by the specification only for traces that say something of sampling.
    pub is_share: bool,
    /// Whether it has an upper bound of latency: the Collector looks for it at the first spans that come as well as at all of them.
    is_bounded: bool,
}

impl Case {
    fn new(name: &'static str, policies: Value) -> Self {
        let tracemill = policies.clone();
        Self { name, collector: policies, tracemill, is_selective: true, is_share: false, is_bounded: false }
    }

    /// Written otherwise in tracemill.
    fn pair(name: &'static str, collector: Value, tracemill: Value) -> Self {
        Self { tracemill, ..Self::new(name, collector) }
    }

    /// Whether both have to agree on a trace.
    pub fn compares(&self, traffic: &Traffic, id: &Vec<u8>) -> bool {
        (!self.is_bounded || !traffic.skewed.contains(id)) && (!self.is_share || traffic.informed.contains(id))
    }
}

/// One policy of this type, with these settings.
fn policy(kind: &str, settings: Value) -> Value {
    json!({ "name": kind, "type": kind, kind: settings })
}

fn text(key: &str, values: &[&str]) -> Value {
    policy("string_attribute", json!({ "key": key, "values": values }))
}

fn expressions(key: &str, values: &[&str], inverts: bool) -> Value {
    let settings = json!({ "key": key, "values": values, "enabled_regex_matching": true, "cache_max_size": 50, "invert_match": inverts });
    policy("string_attribute", settings)
}

fn errors() -> Value {
    policy("status_code", json!({ "status_codes": ["ERROR"] }))
}

fn latency(over: u64) -> Value {
    policy("latency", json!({ "threshold_ms": over }))
}

fn always() -> Value {
    json!({ "name": "always", "type": "always_sample" })
}

fn not(of: Value) -> Value {
    policy("not", json!({ "not_sub_policy": of }))
}

fn and(of: Value) -> Value {
    policy("and", json!({ "and_sub_policy": of }))
}

fn drop(of: Value) -> Value {
    policy("drop", json!({ "drop_sub_policy": of }))
}

fn boolean(key: &str, value: bool, inverts: bool) -> Value {
    policy("boolean_attribute", json!({ "key": key, "value": value, "invert_match": inverts }))
}

fn numeric(settings: Value) -> Value {
    policy("numeric_attribute", settings)
}

/// All of them.
pub fn all() -> Vec<Case> {
    const CODE: &str = "http.response.status_code";
    let one = |name, policy: Value| Case::new(name, json!([policy]));
    let mut cases = vec![
        Case { is_selective: false, ..one("always_sample", always()) },
        one("latency", latency(500)),
        one("latency, at the microsecond", latency(2000)),
        Case {
            is_bounded: true,
            ..one("latency within bounds", policy("latency", json!({ "threshold_ms": 99, "upper_threshold_ms": 500 })))
        },
        one("status_code ERROR", errors()),
        one("status_code OK or ERROR", policy("status_code", json!({ "status_codes": ["OK", "ERROR"] }))),
        one("status_code UNSET", policy("status_code", json!({ "status_codes": ["UNSET"] }))),
        one("numeric_attribute", numeric(json!({ "key": CODE, "min_value": 500, "max_value": 599 }))),
        one("numeric_attribute from", numeric(json!({ "key": CODE, "min_value": 500 }))),
        one("numeric_attribute to, of all types", numeric(json!({ "key": "odd", "max_value": 6 }))),
        one("numeric_attribute below nothing", numeric(json!({ "key": "amount", "min_value": -50, "max_value": -1 }))),
        one("numeric_attribute of a resource", numeric(json!({ "key": "replica", "min_value": 11, "max_value": 11 }))),
        one(
            "numeric_attribute inverted",
            numeric(json!({ "key": CODE, "min_value": 200, "max_value": 201, "invert_match": true })),
        ),
        one("string_attribute of resources", text("service.name", &["checkout", "stock"])),
        one("string_attribute of spans and resources", text("http.route", &["/cart", ""])),
        one("string_attribute of all types", text("odd", &["true", "7", ""])),
        one("string_attribute by expressions", expressions("http.route", &["^/products/", "ady$"], false)),
        one("string_attribute by an expression that an empty text meets", expressions("odd", &["^$"], false)),
        one("string_attribute by expressions, inverted", expressions("http.route", &["^/products/", "ady$"], true)),
        one(
            "string_attribute inverted",
            policy("string_attribute", json!({ "key": "service.name", "values": ["stock"], "invert_match": true })),
        ),
        one("trace_state", policy("trace_state", json!({ "key": "vendor", "values": ["a", "ab"] }))),
        one("trace_flags", json!({ "name": "sampled", "type": "trace_flags" })),
        one("span_count", policy("span_count", json!({ "min_spans": 4 }))),
        one("span_count within bounds", policy("span_count", json!({ "min_spans": 2, "max_spans": 4 }))),
        one("boolean_attribute", boolean("retry", true, false)),
        one("boolean_attribute false, of all types", boolean("odd", false, false)),
        one("boolean_attribute of a resource", boolean("canary", true, false)),
        one("boolean_attribute inverted", boolean("retry", true, true)),
        one("and", and(json!([text("service.name", &["checkout"]), latency(100)]))),
        one(
            "and, of different spans",
            and(json!([errors(), text("http.route", &["/cart"]), boolean("retry", false, false)])),
        ),
        one("and with not", and(json!([text("service.name", &["payment"]), not(errors())]))),
        one(
            "and with an inverted one",
            and(json!([latency(100), expressions("http.route", &["ready", "live"], true)])),
        ),
        one("not", not(errors())),
        one("not of an inverted one", not(boolean("retry", true, true))),
        Case::new("drop", json!([always(), drop(json!([expressions("http.route", &["^/(live|ready)$"], false)]))])),
        Case::new(
            "drop before the others, with not",
            json!([drop(json!([text("service.name", &["stock"]), not(errors())])), latency(100), errors()]),
        ),
        one(
            "composite",
            policy(
                "composite",
                json!({
                    "max_total_spans_per_second": 1_000_000_000_u64,
                    "policy_order": ["errors", "slow", "cart"],
                    "composite_sub_policy": [
                        { "name": "errors", "type": "status_code", "status_code": { "status_codes": ["ERROR"] } },
                        { "name": "slow", "type": "latency", "latency": { "threshold_ms": 1000 } },
                        { "name": "cart", "type": "and", "and": { "and_sub_policy": [text("http.route", &["/cart"]), latency(100)] } },
                    ],
                    "rate_allocation": [
                        { "policy": "errors", "percent": 40 },
                        { "policy": "slow", "percent": 30 },
                        { "policy": "cart", "percent": 30 },
                    ],
                }),
            ),
        ),
        Case::new(
            "what most have",
            json!([
                errors(),
                latency(1000),
                { "name": "retries", "type": "boolean_attribute", "boolean_attribute": { "key": "retry", "value": true } },
                { "name": "probes", "type": "drop", "drop": { "drop_sub_policy": [text("http.route", &["/live"]), not(errors())] } },
            ]),
        ),
        Case {
            is_share: true,
            ..one("probabilistic", policy("probabilistic", json!({ "sampling_percentage": 100.0 * SHARE })))
        },
        Case {
            is_share: true,
            ..one(
                "and of shares",
                and(json!([policy("probabilistic", json!({ "sampling_percentage": 100.0 * SHARE })), always()])),
            )
        },
    ];
    cases.extend(conditions());
    cases
}

fn conditions() -> Vec<Case> {
    let pair = |name, ottl: Value, conditions: Value| {
        Case::pair(name, json!([policy("ottl_condition", ottl)]), json!([policy("condition", conditions)]))
    };
    vec![
        pair(
            "condition: a text",
            json!({ "error_mode": "ignore", "span": ["attributes[\"http.route\"] == \"/cart\""] }),
            json!([{ "path": "attributes[\"http.route\"]", "equals": "/cart" }]),
        ),
        pair(
            "condition: two of one span",
            json!({
                "error_mode": "ignore",
                "span": ["resource.attributes[\"service.name\"] == \"checkout\" and attributes[\"http.response.status_code\"] >= 500"],
            }),
            json!([[
                { "path": "resource.attributes[\"service.name\"]", "equals": "checkout" },
                { "path": "attributes[\"http.response.status_code\"]", "greater": 499 },
            ]]),
        ),
        pair(
            "condition: one of three",
            json!({ "error_mode": "ignore", "span": [
                "attributes[\"retry\"] == true",
                "IsMatch(name, \"^POST /products\")",
                "attributes[\"http.response.status_code\"] == 600",
            ] }),
            json!([
                { "path": "attributes[\"retry\"]", "equals": true },
                { "path": "name", "matches": "^POST /products" },
                { "path": "attributes[\"http.response.status_code\"]", "equals": 600 },
            ]),
        ),
        pair(
            "condition: an event",
            json!({ "error_mode": "ignore", "spanevent": ["attributes[\"exception.type\"] == \"TimeoutError\""] }),
            json!([{ "path": "events.attributes[\"exception.type\"]", "equals": "TimeoutError" }]),
        ),
        pair(
            "condition: what is not there",
            json!({ "error_mode": "ignore", "span": ["attributes[\"http.route\"] == nil and status.code == STATUS_CODE_ERROR"] }),
            json!([[
                { "path": "attributes[\"http.route\"]", "exists": true, "not": true },
                { "path": "status.code", "equals": 2 },
            ]]),
        ),
    ]
}
