//! The sections `span_metrics` and `service_graph`: what is counted of spans before any sampling. Each is off where it is not there.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use otlp::path::Path;
use pipeline::spanmetrics::config::{Dimension, GraphConfig, SeriesConfig, SpanConfig, Temporality, Usual};

use super::table::Table;
use super::units;
use super::yaml::{Node, Value};

const MAX_BUCKETS: RangeInclusive<u64> = 2..=1_000;
const MAX_SERIES: RangeInclusive<u64> = 1..=1_000_000;
const VALUE_LENGTH: RangeInclusive<u64> = 1..=4_096;
const IDLE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24 * 7);
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_hours(1);
const WAIT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);
const SIZE: RangeInclusive<u64> = (1 << 20)..=(4 << 30);
/// So many buckets, of each series, are shown to Prometheus at most.
const MOST_BUCKETS: usize = 100;
/// What Prometheus keeps for itself.
const RESERVED: &str = "__";

/// Reads `span_metrics`.
pub(super) fn spans(table: &mut Table<'_>) -> Option<SpanConfig> {
    let is_on = table.has("span_metrics");
    let config = table.section("span_metrics", |table| {
        let usual = SpanConfig::default();
        let namespace = table.text("namespace");
        if namespace.as_deref().is_some_and(|name| !is_name(name)) {
            table.refuse(
                "namespace",
                "must be words of letters, digits and _, with dots between them, like traces.span.metrics",
            );
        }
        let dimensions = dimensions(table);
        let excluded = table.choices("exclude_dimensions", &Usual::ALL.map(|usual| (usual.name(), usual)));
        SpanConfig {
            namespace: namespace.unwrap_or(usual.namespace),
            dimensions,
            excluded,
            series: series(table, usual.series),
        }
    });
    is_on.then_some(config)
}

/// Reads `service_graph`.
pub(super) fn graph(table: &mut Table<'_>) -> Option<GraphConfig> {
    let is_on = table.has("service_graph");
    let config = table.section("service_graph", |table| {
        let usual = GraphConfig::default();
        let peers: Vec<Arc<str>> = table.texts("peer_attributes").into_iter().map(Arc::from).collect();
        GraphConfig {
            wait: table.duration("wait", WAIT).unwrap_or(usual.wait),
            size: table.size("size", SIZE).map_or(usual.size, |size| size as usize),
            peers: if table.has("peer_attributes") { peers } else { usual.peers },
            series: series(table, usual.series),
        }
    });
    is_on.then_some(config)
}

fn series(table: &mut Table<'_>, usual: SeriesConfig) -> SeriesConfig {
    let buckets = buckets(table);
    let config = SeriesConfig {
        buckets: buckets.unwrap_or(usual.buckets),
        max_buckets: table.count("max_buckets", MAX_BUCKETS).map_or(usual.max_buckets, |most| most as usize),
        max_series: table.count("max_series", MAX_SERIES).map_or(usual.max_series, |most| most as usize),
        max_value_length: table
            .count("max_value_length", VALUE_LENGTH)
            .map_or(usual.max_value_length, |most| most as usize),
        idle_after: table.duration("idle_after", IDLE).unwrap_or(usual.idle_after),
        exemplars: table.flag("exemplars").unwrap_or(usual.exemplars),
        interval: table.duration("interval", INTERVAL).unwrap_or(usual.interval),
        temporality: table
            .choice("temporality", &[("cumulative", Temporality::Cumulative), ("delta", Temporality::Delta)])
            .unwrap_or(usual.temporality),
        instance: table.text("instance").map(Arc::from).or_else(host_name),
    };
    if config.idle_after < config.interval {
        let message = "must not be shorter than `interval`: series would be forgotten before they are sent";
        table.refuse(if table.has("idle_after") { "idle_after" } else { "interval" }, message);
    }
    config
}

/// The machine's name, which in a container is the container's.
fn host_name() -> Option<Arc<str>> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().into()).filter(|name: &Arc<str>| !name.is_empty())
}

fn buckets(table: &mut Table<'_>) -> Option<Vec<f64>> {
    let texts = table.texts("buckets");
    if texts.is_empty() {
        return None;
    }
    let mut bounds = Vec::new();
    for text in texts {
        match units::duration(&text) {
            Ok(bound) => bounds.push(bound.as_secs_f64()),
            Err(message) => {
                table.refuse("buckets", message);
                return None;
            }
        }
    }
    let rises = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !rises || bounds.first().is_some_and(|first| *first <= 0.0) {
        table.refuse("buckets", "must be durations above 0s, each longer than the one before");
        return None;
    }
    if bounds.len() > MOST_BUCKETS {
        table.refuse("buckets", format!("must not be more than {MOST_BUCKETS}"));
        return None;
    }
    Some(bounds)
}

fn dimensions(table: &mut Table<'_>) -> Vec<Dimension> {
    let items = table.items("dimensions");
    let (path, problems) = (table.path_of("dimensions"), table.problems());
    let mut dimensions: Vec<Dimension> = Vec::new();
    let mut taken: Vec<String> = Usual::ALL.iter().map(|usual| plain(usual.name())).collect();
    for (number, item) in items.iter().enumerate() {
        let path = format!("{path}[{number}]");
        let dimension = match &item.value {
            Value::Map(_) => Table::read(&path, item, problems, dimension),
            _ => short(item).map_err(|message| problems.note(item.at, &path, message)).ok(),
        };
        let Some(dimension) = dimension else { continue };
        let name = plain(&dimension.name);
        if dimension.name.is_empty() || name.starts_with(RESERVED) || name == "le" {
            problems.note(item.at, &path, format!("`{}` cannot be a label: give it another `name`", dimension.name));
        } else if taken.contains(&name) {
            problems.note(item.at, &path, format!("`{name}` is a label already: give it another `name`"));
        } else {
            taken.push(name);
            dimensions.push(dimension);
        }
    }
    if items.is_empty() {
        // Asks for its keys once, for the reference.
        let absent = Node { at: table.at(), value: Value::Null, written: String::new() };
        let unseen = super::report::Problems::default();
        Table::read(&path, &absent, &unseen, dimension);
        unseen.keys().into_iter().for_each(|key| problems.asked_for(key));
    }
    dimensions
}

/// A path alone.
fn short(item: &Node) -> Result<Dimension, String> {
    let Value::Text(text) = &item.value else {
        return Err(format!("must be a path, or a mapping with `path`, not {}", item.kind()));
    };
    let path = read_path(text)?;
    Ok(Dimension { name: usual_name(&path, text), path, default: None })
}

fn dimension(table: &mut Table<'_>) -> Option<Dimension> {
    let (text, name, default) = (table.text("path"), table.text("name"), table.text("default"));
    let Some(text) = text else {
        if !table.has("path") {
            table.refuse_whole("needs `path`, like attributes[\"http.route\"]");
        }
        return None;
    };
    match read_path(&text) {
        Ok(path) => {
            let name = name.map_or_else(|| usual_name(&path, &text), Arc::from);
            Some(Dimension { name, path, default: default.map(Arc::from) })
        }
        Err(message) => {
            table.refuse("path", message);
            None
        }
    }
}

fn read_path(text: &str) -> Result<Path, String> {
    let path: Path = text.parse().map_err(|error: otlp::path::PathError| error.to_string())?;
    let is_id = matches!(path, Path::TraceId | Path::SpanId | Path::ParentSpanId);
    if path.is_many() || is_id {
        return Err(format!("{text} has no single value that many spans share"));
    }
    Ok(path)
}

/// Attributes are called what they are called on the span.
fn usual_name(path: &Path, text: &str) -> Arc<str> {
    match path {
        Path::Attribute(key) | Path::ResourceAttribute(key) | Path::ScopeAttribute(key) => key.clone(),
        _ => text.into(),
    }
}

/// As Prometheus spells it.
fn plain(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

fn is_name(name: &str) -> bool {
    let is_word = |word: &str| {
        let letters = |char: char| char.is_ascii_alphanumeric() || char == '_';
        word.chars().all(letters) && word.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    name.split('.').all(is_word)
}
