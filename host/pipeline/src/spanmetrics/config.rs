//! What is to be counted of spans, and how much of it is kept.

use std::sync::Arc;
use std::time::Duration;

use otlp::path::Path;

/// Buckets of a histogram, where nothing else is said: the Collector's.
const USUAL_BUCKETS: [u64; 16] = [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1_000, 1_400, 2_000, 5_000, 10_000, 15_000];
/// Those of edges: Tempo's and the Collector's.
const USUAL_EDGE_BUCKETS: [u64; 8] = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800];

/// The metrics by service, span name, kind and status.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanConfig {
    /// What their names begin with, in OTLP's spelling.
    pub namespace: String,
    /// What tells series apart beside the usual four.
    pub dimensions: Vec<Dimension>,
    /// Which of the usual four do not.
    pub excluded: Vec<Usual>,
    /// How they are kept and sent.
    pub series: SeriesConfig,
}

/// The metrics of who calls whom.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphConfig {
    /// How long one half of an edge waits for the other.
    pub wait: Duration,
    /// Bytes of what waits, about.
    pub size: usize,
    /// Attributes that name a peer which sends no spans, in the order in which they are looked for.
    pub peers: Vec<Arc<str>>,
    /// How they are kept and sent.
    pub series: SeriesConfig,
}

/// How series are kept and sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesConfig {
    /// Upper bounds of the buckets for Prometheus' text, in seconds, rising.
    pub buckets: Vec<f64>,
    /// How many buckets an exponential histogram has at most.
    pub max_buckets: usize,
    /// How many series there are at most; what is beyond is counted in one that says so.
    pub max_series: usize,
    /// How many bytes of a text tell series apart.
    pub max_value_length: usize,
    /// After so much time without a span a series is forgotten.
    pub idle_after: Duration,
    /// Whether histograms name a span for each bucket.
    pub exemplars: bool,
    /// How often they are sent.
    pub interval: Duration,
    /// What is sent.
    pub temporality: Temporality,
    /// Names this process in what is sent, so that the series of several are told apart. Not among those that are scraped.
    pub instance: Option<Arc<str>>,
}

/// What a sum that is sent is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temporality {
    /// Everything since the series began.
    Cumulative,
    /// What has come since it was sent last.
    Delta,
}

/// Something that tells series apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// What it is called.
    pub name: Arc<str>,
    /// Where it stands.
    pub path: Path,
    /// What counts where a span has none.
    pub default: Option<Arc<str>>,
}

/// What usually tells series apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// `service.name`
    Service,
    /// `span.name`
    Name,
    /// `span.kind`
    Kind,
    /// `status.code`
    Status,
}

impl Usual {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Service, Self::Name, Self::Kind, Self::Status];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Service => "service.name",
            Self::Name => "span.name",
            Self::Kind => "span.kind",
            Self::Status => "status.code",
        }
    }
}

impl Default for SeriesConfig {
    fn default() -> Self {
        Self {
            buckets: seconds(&USUAL_BUCKETS),
            max_buckets: 160,
            max_series: 10_000,
            max_value_length: 256,
            idle_after: Duration::from_mins(15),
            exemplars: true,
            interval: Duration::from_mins(1),
            temporality: Temporality::Cumulative,
            instance: None,
        }
    }
}

impl Default for SpanConfig {
    fn default() -> Self {
        Self {
            namespace: "traces.span.metrics".to_owned(),
            dimensions: Vec::new(),
            excluded: Vec::new(),
            series: SeriesConfig::default(),
        }
    }
}

impl Default for GraphConfig {
    fn default() -> Self {
        let peers = [
            "peer.service",
            "db.namespace",
            "db.name",
            "db.system.name",
            "db.system",
            "messaging.system",
            "server.address",
        ];
        Self {
            wait: Duration::from_secs(10),
            size: 16 << 20,
            peers: peers.map(Arc::from).to_vec(),
            series: SeriesConfig { buckets: seconds(&USUAL_EDGE_BUCKETS), ..SeriesConfig::default() },
        }
    }
}

fn seconds(milliseconds: &[u64]) -> Vec<f64> {
    milliseconds.iter().map(|&ms| ms as f64 / 1e3).collect()
}
