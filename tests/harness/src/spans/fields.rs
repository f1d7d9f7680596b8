//! What stands in a span: names and attributes by the semantic conventions.

use super::services::{Operation, Service};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use rand::RngExt as _;
use rand::rngs::SmallRng;

/// The conventions that the attributes follow.
pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

/// Every piece of personal data that the generator uses. None of these may be found behind `scrub-pii`.
pub const PERSONAL: [&str; 6] = [
    "nina.holm@mail.example",
    "j.berg+orders@shop-mail.example",
    "4111 1111 1111 1111",
    "5500005555555559",
    "DE89370400440532013000",
    "203.0.113.77",
];

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(super) fn resource(service: &Service, instance: u32) -> Vec<KeyValue> {
    vec![
        text("service.name", service.name),
        text("service.namespace", "shop"),
        text("service.version", "2.14.3"),
        text("service.instance.id", format!("{}-7d9f8b6c5-x{instance:04}", service.name)),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.language", service.language),
        text("telemetry.sdk.version", "1.47.0"),
        text("k8s.namespace.name", "shop-production"),
        text("k8s.pod.name", format!("{}-7d9f8b6c5-x{instance:04}", service.name)),
        text("k8s.node.name", format!("node-{:02}", instance % 4)),
        text("deployment.environment.name", "production"),
    ]
}

pub(super) fn scope(service: &Service) -> InstrumentationScope {
    InstrumentationScope {
        name: service.scope.to_owned(),
        version: "0.61.0".to_owned(),
        ..InstrumentationScope::default()
    }
}

pub(super) fn describe(span: &mut Span, service: &Service, operation: &Operation, random: &mut SmallRng) {
    let id = random.random_range(1..1_000_000);
    span.attributes = match operation {
        Operation::Http { method, route } => {
            span.name = format!("{method} {route}");
            http(service, method, route, &route.replace("{id}", &id.to_string()))
        }
        Operation::Rpc { service: called, method } => {
            span.name = format!("{called}/{method}");
            vec![
                text("rpc.system", "grpc"),
                text("rpc.service", *called),
                text("rpc.method", *method),
                number("rpc.grpc.status_code", 0),
            ]
        }
        Operation::Sql { verb, table } => {
            span.name = format!("{verb} {table}");
            vec![
                text("db.system.name", "postgresql"),
                text("db.operation.name", *verb),
                text("db.collection.name", *table),
                text("db.query.text", format!("{verb} {table} WHERE id = $1")),
            ]
        }
        Operation::Queue { verb, topic } => {
            span.name = format!("{topic} {verb}");
            vec![
                text("messaging.system", "kafka"),
                text("messaging.destination.name", *topic),
                text("messaging.operation.type", *verb),
                number("messaging.kafka.offset", id),
            ]
        }
    };
}

/// One of the endpoints that orchestrators poll.
pub(super) fn describe_health(span: &mut Span, service: &Service, random: &mut SmallRng) {
    const ROUTES: [&str; 4] = ["/healthz", "/health/ready", "/livez", "/metrics"];
    let route = ROUTES[random.random_range(0..ROUTES.len())];
    span.name = format!("GET {route}");
    span.attributes = http(service, "GET", route, route);
}

fn http(service: &Service, method: &str, route: &str, path: &str) -> Vec<KeyValue> {
    vec![
        text("http.request.method", method),
        text("http.route", route),
        text("url.path", path),
        number("http.response.status_code", 200),
        text("server.address", format!("{}.shop.svc", service.name)),
    ]
}

pub(super) fn fail(span: &mut Span) {
    span.status =
        Some(Status { code: 2, message: "upstream connect error or disconnect/reset before headers".to_owned() });
}

/// Personal data where it turns up in practice: an attribute, a URL, a statement, an exception.
pub(super) fn add_personal(span: &mut Span, which: usize) {
    let value = PERSONAL[which];
    match which % 4 {
        0 => span.attributes.push(text("user.contact", value)),
        1 => span.attributes.push(text("url.full", format!("https://shop.example/search?q={value}&page=2"))),
        2 => span.attributes.push(text("db.query.text", format!("SELECT * FROM t WHERE v = '{value}'"))),
        _ => span.events.push(event(span.start_time_unix_nano, "ValueError", &format!("no match for {value}"), "")),
    }
}

/// The attributes that instrumentations add beside the describing ones, in turn.
pub(super) fn add_common(span: &mut Span, turn: usize, missing: usize, random: &mut SmallRng) {
    let port = random.random_range(30_000..60_000);
    let added = match turn {
        0 => text("network.protocol.version", "1.1"),
        1 => number("server.port", 8080),
        2 => text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
        3 => number("thread.id", random.random_range(1..400)),
        4 => text("thread.name", format!("worker-{}", random.random_range(1..64))),
        5 => text("network.peer.address", "shop-gateway.internal"),
        6 => number("network.peer.port", port),
        7 => text("url.scheme", "https"),
        8 => number("http.response.body.size", random.random_range(200..90_000)),
        9 => text("code.function.name", "shop.orders.OrderController.place"),
        10 => number("code.line.number", random.random_range(10..900)),
        _ => text(&format!("http.request.header.x-shop-{turn}"), words(missing.saturating_sub(40).clamp(8, 120), turn)),
    };
    span.attributes.push(added);
}

/// A long SQL statement.
pub(super) fn add_statement(span: &mut Span, bytes: usize, turn: usize) {
    const COLUMNS: &str = "o.id, o.created_at, o.customer_id, l.sku, l.quantity, l.price ";
    let columns = COLUMNS.repeat(bytes / COLUMNS.len());
    let key = if turn == 0 { "db.query.text".to_owned() } else { format!("db.query.parameter.{turn}") };
    span.attributes.push(text(&key, format!("SELECT {columns}FROM orders o JOIN lines l ON l.order_id = o.id")));
}

/// An exception with its stack trace, 1 to 1.5 KB.
pub(super) fn add_exception(span: &mut Span, random: &mut SmallRng) {
    const FRAME: &str = "\tat shop.orders.OrderController.place(OrderController.java:117)\n";
    let trace = FRAME.repeat(random.random_range(14..20));
    span.events.push(event(span.start_time_unix_nano, "java.lang.IllegalStateException", "cart is empty", &trace));
}

fn event(time: u64, kind: &str, message: &str, trace: &str) -> Event {
    Event {
        time_unix_nano: time + 1_000,
        name: "exception".to_owned(),
        attributes: vec![
            text("exception.type", kind),
            text("exception.message", message),
            text("exception.stacktrace", trace),
        ],
        dropped_attributes_count: 0,
    }
}

fn words(bytes: usize, turn: usize) -> String {
    const WORDS: [&str; 8] = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath"];
    let mut text = String::with_capacity(bytes + 8);
    let mut at = turn;
    while text.len() < bytes {
        text.push_str(WORDS[at % WORDS.len()]);
        text.push(' ');
        at += 1;
    }
    text.truncate(bytes);
    text
}
