//! Which part of what comes in a destination gets.

use http::HeaderName;
use otlp::path::Path;
use pipeline::export::config::{DestinationConfig, When, check_when};

use crate::config::conditions;
use crate::config::table::Table;
use crate::config::yaml::{Node, Value};

/// Reads `when`: conditions, or the word `otherwise`.
pub(super) fn read(table: &mut Table<'_>) -> Option<When> {
    let node = table.node("when")?;
    match &node.value {
        Value::Text(text) if text == "otherwise" => return Some(When::Otherwise),
        Value::List(items) if items.iter().any(is_empty) || items.is_empty() => {
            table.refuse("when", "holds no condition: leave it out for a destination that gets everything");
        }
        Value::List(_) | Value::Map(_) => {}
        _ => {
            table.refuse("when", "must be a list of conditions, or the word otherwise");
            return None;
        }
    }
    let lists = conditions::of(table, "when");
    match check_when(&lists) {
        Ok(_) => Some(When::Any(lists)),
        Err(error) => {
            table.refuse("when", error.to_string());
            None
        }
    }
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if items.is_empty())
}

fn paths(destination: &DestinationConfig) -> impl Iterator<Item = &Path> {
    let lists = match &destination.when {
        Some(When::Any(lists)) => &lists[..],
        None | Some(When::Otherwise) => &[],
    };
    lists.iter().flatten().map(|condition| &condition.path)
}

/// The headers of incoming requests that it asks for: they have to be kept.
pub(in crate::config) fn headers(destination: &DestinationConfig) -> impl Iterator<Item = HeaderName> {
    paths(destination).filter_map(|path| match path {
        Path::RequestHeader(name) => HeaderName::from_bytes(name.as_bytes()).ok(),
        _ => None,
    })
}

/// Whether it asks for the tenant.
pub(in crate::config) fn asks_for_tenant(destination: &DestinationConfig) -> bool {
    paths(destination).any(|path| *path == Path::RequestTenant)
}
