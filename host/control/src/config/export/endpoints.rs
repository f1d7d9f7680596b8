//! Where a destination's requests go: one URL or several, how requests are spread over them, and what their names stand for.

use std::time::Duration;

use pipeline::export::config::{Balance, Dns, Endpoint, EndpointError, Endpoints, EndpointsError};

use crate::config::table::Table;
use crate::config::yaml::Value;

/// How often names may be resolved anew.
const RESOLVE_EVERY: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

/// Reads them; `None` if there is none that can be used (the problem is noted).
pub(super) fn read(table: &mut Table<'_>) -> Option<Endpoints> {
    let mut endpoints = urls(table);
    let balance = table.choice("balance", &[("failover", Balance::Failover), ("round_robin", Balance::RoundRobin)]);
    let dns = table.choice("dns", &[("one", Dns::One), ("all", Dns::All)]);
    let resolve_every = table.duration("resolve_every", RESOLVE_EVERY);
    let route_by = table.choice("route_by", &[("trace", Balance::ByTrace)]);
    if route_by.is_some() && balance.is_some() {
        table.refuse("balance", "has no meaning with `route_by`, which says who gets a request: leave one of them out");
    }
    if let Some(endpoints) = &mut endpoints {
        endpoints.balance = route_by.or(balance).unwrap_or(endpoints.balance);
        endpoints.dns = dns.unwrap_or(endpoints.dns);
        endpoints.resolve_every = resolve_every.unwrap_or(endpoints.resolve_every);
        if route_by.is_some()
            && let Err(error) = endpoints.check_by_trace()
        {
            table.refuse("route_by", error.to_string());
        }
    }
    endpoints
}

/// What stands under one key.
enum Found {
    Nothing,
    /// Something that cannot be used: that is noted.
    Wrong,
    These(Endpoints),
}

fn urls(table: &mut Table<'_>) -> Option<Endpoints> {
    if table.has("kafka") && (table.has("grpc") || table.has("http")) {
        table.refuse("kafka", EndpointsError::Protocols.to_string());
    }
    match (of(table, "grpc", Endpoint::grpc), of(table, "http", Endpoint::http)) {
        (Found::These(found), Found::Nothing) | (Found::Nothing, Found::These(found)) => return Some(found),
        (Found::Nothing, Found::Nothing) if table.has("kafka") => return None,
        (Found::Nothing, Found::Nothing) => {
            table
                .refuse_whole("needs `grpc` or `http` with a URL, like http://localhost:4317, or `kafka` with brokers");
        }
        (Found::Nothing, Found::Wrong) | (Found::Wrong, Found::Nothing) => {}
        _ => table.refuse("http", EndpointsError::Protocols.to_string()),
    }
    None
}

fn of(table: &mut Table<'_>, key: &'static str, read: fn(&str) -> Result<Endpoint, EndpointError>) -> Found {
    let is_list = table.node(key).is_some_and(|node| matches!(node.value, Value::List(_)));
    let urls = table.texts(key);
    if !table.has(key) {
        return Found::Nothing;
    }
    let refused = |error: &dyn std::error::Error| table.refuse(key, error.to_string());
    let list: Vec<_> = urls.iter().map(|url| read(url).map_err(|error| refused(&error))).collect();
    let list: Option<Vec<Endpoint>> = list.into_iter().map(Result::ok).collect();
    // Of what is no text, and of a variable that is not set, was said what is wrong with it.
    let list = list.filter(|list| is_list || !list.is_empty());
    let endpoints = list.and_then(|list| Endpoints::new(list).map_err(|error| refused(&error)).ok());
    endpoints.map_or(Found::Wrong, Found::These)
}
