//! The exports as a whole, before back ends that refuse, hang, hang up and come back.

use std::ops::Range;
use std::panic::Location;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prometheus_client::registry::Registry;
use prost::Message as _;

use super::config::{BatchConfig, Compression, OnFull, Protocol};
use super::*;

mod by_trace;
mod closing;
mod delivery;
mod disk;
mod endpoints;
mod faults;
mod life;
#[path = "../../tests/support/log.rs"]
mod logged;
mod names;
mod routing;
mod secrets;
mod signals;
mod sink;

use logged::Log;
use sink::{Reply, Sink};

/// A parcel of spans with these numbers, each of about `bytes` bytes.
fn parcel_of(numbers: Range<u64>, bytes: usize) -> Parcel {
    named(numbers, || "x".repeat(bytes))
}

/// Spans with these numbers and such names.
fn named(numbers: Range<u64>, name: impl Fn() -> String) -> Parcel {
    let span = |number: u64| Span {
        trace_id: vec![7; 16],
        span_id: number.to_be_bytes().to_vec(),
        name: name(),
        ..Span::default()
    };
    let scope = ScopeSpans { spans: numbers.clone().map(span).collect(), ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
    Parcel {
        signal: Signal::Traces,
        body: request.encode_to_vec().into(),
        items: (numbers.end - numbers.start) as u32,
        context: Arc::default(),
        custody: None,
    }
}

fn parcel(numbers: Range<u64>) -> Parcel {
    parcel_of(numbers, 100)
}

/// What becomes of a commit.
async fn written(commit: Commit) -> Result<(), Refusal> {
    let (sender, outcome) = tokio::sync::oneshot::channel();
    commit.start(Box::new(move |taken| sender.send(taken).unwrap()));
    outcome.await.unwrap()
}

/// How long anything is waited for, on a real clock.
const PATIENCE: Duration = Duration::from_mins(2);

/// Looks every millisecond of the test's time whether something is so. What never comes to be is a failure that says where.
#[track_caller]
fn until(mut is_so: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let (caller, begun) = (Location::caller(), std::time::Instant::now());
    async move {
        while !is_so().await {
            assert!(begun.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {caller}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Exports with their metrics.
struct Bench {
    exports: Exports,
    registry: Registry,
}

impl Bench {
    fn new(configs: Vec<DestinationConfig>) -> Self {
        Self::over(Network::default(), configs)
    }

    fn over(network: Network, configs: Vec<DestinationConfig>) -> Self {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let exports = Exports::start_over(network, configs, metrics, Handle::current()).unwrap();
        Self { exports, registry }
    }

    /// One destination over connections in memory: for paused time.
    fn in_memory(config: DestinationConfig, sink: &Sink) -> Self {
        Self::over(in_memory(&[("127.0.0.1", sink)]), vec![config])
    }

    fn send(&self, parcel: Parcel) -> Result<(), Refusal> {
        match self.exports.reserve(parcel.signal, parcel.body.len(), parcel.items)?.commit(parcel) {
            Taken::Whole => Ok(()),
            Taken::Later(_) => panic!("a durable queue: use `send_durably`"),
        }
    }

    /// Through queues of which some are durable: hears what becomes of it.
    async fn send_durably(&self, parcel: Parcel) -> Result<(), Refusal> {
        match self.exports.reserve(parcel.signal, parcel.body.len(), parcel.items)?.commit(parcel) {
            Taken::Whole => panic!("no queue is durable"),
            Taken::Later(commit) => written(commit).await,
        }
    }

    fn scrape(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The value of a metric whose line begins so.
    fn value(&self, line: &str) -> i64 {
        let text = self.scrape();
        let found = text.lines().find_map(|candidate| candidate.strip_prefix("tracemill_export_")?.strip_prefix(line));
        found.unwrap_or_else(|| panic!("no {line} in\n{text}")).trim().parse().unwrap()
    }

    fn of(&self, name: &str, destination: &str) -> i64 {
        self.value(&format!("{name}{{destination=\"{destination}\"}}"))
    }

    /// Of what is counted by signal: that of traces.
    fn of_traces(&self, name: &str, destination: &str) -> i64 {
        self.value(&format!("{name}{{destination=\"{destination}\",signal=\"traces\"}}"))
    }

    /// The same of what only queues on disk have.
    fn of_disk(&self, name: &str, destination: &str) -> i64 {
        let line = format!("tracemill_export_{name}{{destination=\"{destination}\"");
        let scrape = self.scrape();
        let Some((_, rest)) = scrape.split_once(&line) else { return 0 };
        rest.lines().next().and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
    }

    fn dropped(&self, destination: &str, reason: &str) -> i64 {
        self.value(&format!("dropped_spans_total{{destination=\"{destination}\",reason=\"{reason}\"}}"))
    }

    fn all_dropped(&self, destination: &str) -> i64 {
        metrics::REASONS.iter().map(|&reason| self.dropped(destination, reason.label(Signal::Traces))).sum()
    }

    /// Invariant 6, the second sum.
    fn assert_sum(&self, destination: &str) {
        let of = |name| self.of(name, destination);
        assert_eq!(
            of("admitted_spans_total") + self.of_disk("replayed_spans_total", destination),
            of("sent_spans_total")
                + of("rejected_spans_total")
                + self.all_dropped(destination)
                + of("held_spans")
                + self.of_disk("left_spans_total", destination),
            "admitted + replayed = sent + rejected + dropped + held + left, of {destination}"
        );
    }

    /// Waits until nothing is held, in the time of the test.
    async fn until_quiet(&self, destination: &str) {
        until(async || self.of("held_spans", destination) == 0 && self.of_traces("queue_bytes", destination) == 0)
            .await;
        self.assert_sum(destination);
    }
}

fn endpoint(protocol: Protocol, address: std::net::SocketAddr) -> Endpoint {
    let url = format!("http://{address}");
    match protocol {
        Protocol::Grpc => Endpoint::grpc(&url).unwrap(),
        Protocol::Http | Protocol::Kafka => Endpoint::http(&url).unwrap(),
    }
}

/// Hosts that are reached within this process.
fn in_memory(hosts: &[(&str, &Sink)]) -> Network {
    let in_memory = hosts.iter().map(|(host, sink)| ((*host).to_owned(), sink.in_memory())).collect();
    Network { in_memory, ..Network::default() }
}

/// A destination that does not wait long for anything.
fn quick(name: &str, endpoint: Endpoint) -> DestinationConfig {
    let mut config = DestinationConfig::new(name, endpoint);
    config.batch.timeout = Duration::ZERO;
    config.retry.initial = Duration::from_millis(1);
    config.retry.max = Duration::from_millis(5);
    config
}

/// In paused time; the address is never dialled.
fn paused(protocol: Protocol) -> DestinationConfig {
    let mut config = DestinationConfig::new("test", endpoint(protocol, ([127, 0, 0, 1], 1).into()));
    config.concurrency = 1;
    config.compression = Compression::None;
    config
}

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];
