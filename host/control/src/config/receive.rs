//! The `receive` section: what listens for spans, and the bounds of what is taken.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;
use pipeline::receive::{AuthConfig, Config};

use super::auth;
use super::cors;
use super::export::headers::name_of as header_name;
use super::kafka;
use super::table::Table;
use super::tls;
use super::yaml::Value;

const DAY: Duration = Duration::from_hours(24);
/// How many bytes may be in flight.
const BYTES: RangeInclusive<u64> = (64 << 10)..=(64 << 30);
/// What is written for a protocol that is not to be served.
const NONE: &str = "none";

pub(super) fn read(table: &mut Table<'_>) -> Config {
    let usual = Config::default();
    let (grpc, grpc_tls) = table.section("grpc", |table| (listen(table, usual.grpc), tls::read(table)));
    let (http, http_tls, cors) =
        table.section("http", |table| (listen(table, usual.http), tls::read(table), cors::read(table)));
    let mut config = Config { grpc, http, grpc_tls, http_tls, cors, ..usual };
    if config.grpc.is_none() && config.http.is_none() && !table.has("kafka") {
        table.refuse_whole("nothing is listened on: give `grpc` or `http` an address");
    }
    config.kafka = kafka::receive(table);
    config.keep_headers =
        table.texts("headers").iter().filter_map(|name| header_name(table, "headers", name)).collect();
    config.tenant_header = table.text("tenant_header").and_then(|name| header_name(table, "tenant_header", &name));
    config.max_connection_age = table.duration("max_connection_age", Duration::from_secs(1)..=30 * DAY);
    config.auth = auth::read(table);
    table.section("limits", |table| limits(table, &mut config));
    config
}

fn listen(table: &mut Table<'_>, usual: Option<SocketAddr>) -> Option<SocketAddr> {
    let is_none = |value: &Value| matches!(value, Value::Text(text) if text == NONE);
    if table.node("listen").is_some_and(|node| is_none(&node.value)) {
        return None;
    }
    table.address("listen").or(usual)
}

fn limits(table: &mut Table<'_>, config: &mut Config) {
    let time = Duration::from_millis(100)..=Duration::from_hours(1);
    let size = |table: &mut Table<'_>, key, usual| table.size(key, BYTES).map_or(usual, |bytes| bytes as usize);
    config.max_in_flight_bytes = size(table, "in_flight", config.max_in_flight_bytes);
    config.max_in_flight_per_connection = part(table, "in_flight_per_connection", config.max_in_flight_bytes);
    config.max_in_flight_per_tenant = part(table, "in_flight_per_tenant", config.max_in_flight_bytes);
    let bounds = [
        ("in_flight", Some(config.max_in_flight_bytes)),
        ("in_flight_per_connection", config.max_in_flight_per_connection),
        ("in_flight_per_tenant", config.max_in_flight_per_tenant),
    ];
    let least = bounds.iter().filter_map(|(_, bound)| *bound).fold(config.max_request_bytes, usize::min);
    config.max_request_bytes = size(table, "request", least);
    for (key, bound) in bounds {
        if bound.is_some_and(|bound| config.max_request_bytes > bound) {
            table.refuse("request", format!("must not be above `{key}`: such a request would never be taken"));
        }
    }
    let may_name_tenants = config.tenant_header.is_some() || matches!(config.auth, Some(AuthConfig::Tokens(_)));
    if config.max_in_flight_per_tenant.is_some() && !may_name_tenants {
        let message = "needs `receive.tenant_header` or `receive.auth.tokens_file`, which name the tenant";
        table.refuse("in_flight_per_tenant", message);
    }
    let count = |table: &mut Table<'_>, key, usual| table.count(key, 1..=1_000_000).unwrap_or(usual);
    config.max_connections = count(table, "connections", config.max_connections as u64) as usize;
    config.max_streams = count(table, "streams", config.max_streams.into()) as u32;
    config.header_timeout = table.duration("header_timeout", time.clone()).unwrap_or(config.header_timeout);
    config.idle_timeout = table.duration("idle_timeout", time.start().to_owned()..=DAY).unwrap_or(config.idle_timeout);
    config.body_timeout = table.duration("body_timeout", time.clone()).unwrap_or(config.body_timeout);
    config.keep_alive = table.duration("keep_alive", time.clone()).unwrap_or(config.keep_alive);
    config.retry_after = table.duration("retry_after", time).unwrap_or(config.retry_after);
}

/// The bytes in flight that one of many may have.
fn part(table: &mut Table<'_>, key: &'static str, all: usize) -> Option<usize> {
    let part = table.size(key, BYTES)? as usize;
    if part > all {
        table.refuse(key, "must not be above `in_flight`, which bounds all of them together");
    }
    Some(part)
}

/// Headers that destinations pass on, or ask for, have to be kept by the receivers.
pub(super) fn keep(config: &mut Config, forwarded: impl Iterator<Item = HeaderName>) {
    for name in forwarded {
        if !config.keep_headers.contains(&name) {
            config.keep_headers.push(name);
        }
    }
}
