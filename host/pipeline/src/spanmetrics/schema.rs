//! What the series of one kind are called, and what tells them apart: the same for Prometheus and for OTLP, but for the spelling.

use std::sync::Arc;

use super::config::{Dimension, SpanConfig, Usual};

/// One label of all series, in the order in which keys have their values.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelName {
    /// As an attribute.
    pub attribute: Arc<str>,
    /// As Prometheus wants it.
    pub text: String,
    /// Whether it is the resource's too.
    pub of_resource: bool,
}

impl LabelName {
    /// Of an attribute.
    pub fn new(attribute: &str, of_resource: bool) -> Self {
        Self { attribute: attribute.into(), text: plain(attribute), of_resource }
    }
}

/// A name of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricName {
    /// In OTLP.
    pub otlp: String,
    /// In Prometheus' text, without `_total` and `_bucket`, but with its unit.
    pub text: String,
    /// What it is.
    pub help: &'static str,
}

/// Series that are counted alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The first byte of their keys.
    pub byte: u8,
    /// Where their number is shown.
    pub counter: Option<MetricName>,
    /// What that counts, in OTLP.
    pub counted: &'static str,
    /// Where their durations are shown.
    pub histogram: Option<MetricName>,
}

/// The families of one kind of metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The scope that they are sent under.
    pub scope: &'static str,
    /// What tells series apart.
    pub labels: Vec<LabelName>,
    /// In the order in which they are shown.
    pub families: Vec<Family>,
}

/// The family of spans.
pub const CALLS: u8 = b'c';

/// The families of edges.
pub mod edge {
    /// Requests.
    pub const REQUESTS: u8 = b'r';
    /// Those that failed.
    pub const FAILED: u8 = b'f';
    /// How long servers took.
    pub const SERVER: u8 = b's';
    /// How long clients waited.
    pub const CLIENT: u8 = b'l';
    /// Spans whose other half never came.
    pub const UNPAIRED: u8 = b'u';
    /// Spans for which there was no room.
    pub const DROPPED: u8 = b'd';
}

/// What is read of a span, in the order of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanKey {
    /// Whether the service counts.
    pub service: bool,
    /// What the spans of a scope share.
    pub shared: Vec<Dimension>,
    /// Whether the span's name counts.
    pub name: bool,
    /// Whether its kind does.
    pub kind: bool,
    /// Whether its status does.
    pub status: bool,
    /// The rest.
    pub own: Vec<Dimension>,
}

impl SpanKey {
    /// What a configuration asks for.
    pub fn of(config: &SpanConfig) -> Self {
        let has = |usual| !config.excluded.contains(&usual);
        let (shared, own) = config.dimensions.iter().cloned().partition(|known| otlp::lookup::is_shared(&known.path));
        Self {
            service: has(Usual::Service),
            shared,
            name: has(Usual::Name),
            kind: has(Usual::Kind),
            status: has(Usual::Status),
            own,
        }
    }

    /// The names of what it reads, in its order.
    fn labels(&self) -> Vec<LabelName> {
        let usual = |has: bool, usual: Usual| has.then(|| LabelName::new(usual.name(), usual == Usual::Service));
        let of_resource = |known: &Dimension| matches!(known.path, otlp::path::Path::ResourceAttribute(_));
        let dimension = |known: &Dimension| LabelName::new(&known.name, of_resource(known));
        usual(self.service, Usual::Service)
            .into_iter()
            .chain(self.shared.iter().map(dimension))
            .chain(usual(self.name, Usual::Name))
            .chain(usual(self.kind, Usual::Kind))
            .chain(usual(self.status, Usual::Status))
            .chain(self.own.iter().map(dimension))
            .collect()
    }
}

impl Schema {
    /// That of spans.
    pub fn of_spans(namespace: &str, key: &SpanKey) -> Self {
        let name = |what: &str, unit: &str, help| MetricName {
            otlp: format!("{namespace}.{what}"),
            text: plain(&format!("{namespace}.{what}{unit}")),
            help,
        };
        let family = Family {
            byte: CALLS,
            counter: Some(name("calls", "", "Spans, before any sampling")),
            counted: "{call}",
            histogram: Some(name("duration", ".seconds", "How long spans took, before any sampling")),
        };
        Self { scope: "tracemill.span_metrics", labels: key.labels(), families: vec![family] }
    }

    /// That of edges.
    pub fn of_edges() -> Self {
        let name = |what: &str, otlp: &str, unit: &str, help| MetricName {
            otlp: format!("traces_service_graph_{what}{otlp}"),
            text: format!("traces_service_graph_{what}{unit}"),
            help,
        };
        let counter = |byte, what, counted, help| Family {
            byte,
            counter: Some(name(what, "_total", "", help)),
            counted,
            histogram: None,
        };
        let histogram = |byte, what, help| Family {
            byte,
            counter: None,
            counted: "",
            histogram: Some(name(what, "", "_seconds", help)),
        };
        Self {
            scope: "tracemill.service_graph",
            labels: ["client", "server", "connection_type"].map(|name| LabelName::new(name, false)).to_vec(),
            families: vec![
                counter(edge::REQUESTS, "request", "{request}", "Requests between two services"),
                counter(
                    edge::FAILED,
                    "request_failed",
                    "{request}",
                    "Requests of which either side says that they failed",
                ),
                histogram(edge::SERVER, "request_server", "How long the server took for a request"),
                histogram(edge::CLIENT, "request_client", "How long the client waited for a request"),
                counter(edge::UNPAIRED, "unpaired_spans", "{span}", "Spans whose other half did not come in time"),
                counter(
                    edge::DROPPED,
                    "dropped_spans",
                    "{span}",
                    "Spans for which there was no room while they would have waited",
                ),
            ],
        }
    }
}

/// A name as Prometheus has them.
pub fn plain(name: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || char == '_' { char } else { '_' };
    let digit_first = name.starts_with(|first: char| first.is_ascii_digit());
    let prefix = if digit_first { "_" } else { "" };
    prefix.chars().chain(name.chars().map(plain)).collect()
}
