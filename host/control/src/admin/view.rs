//! What the admin side shows: read from snapshots and counters when somebody asks, so that nothing is kept twice.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use pipeline::chain::gate::Gate;
use pipeline::chain::live::Chains;
use pipeline::chain::metrics::{FaultLabels, Metrics};
use pipeline::chain::quarantine;
use pipeline::chain::stage::{FaultKind, Stage};
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::trial;
use crate::plugins::folder::command::Commands;
use crate::plugins::status::{Shared, Status as Plugins};
use crate::reload;
use crate::tables;
use crate::telemetry;

const KINDS: [FaultKind; 7] = [
    FaultKind::Trap,
    FaultKind::Deadline,
    FaultKind::Memory,
    FaultKind::Error,
    FaultKind::Edits,
    FaultKind::Decisions,
    FaultKind::Instantiate,
];

/// Everything that the admin side can see.
pub struct View {
    /// All metrics.
    pub registry: Registry,
    /// The live chain.
    pub chains: Chains,
    /// Its counters.
    pub counters: Metrics,
    /// Whether requests are refused.
    pub gate: Gate,
    /// Whether the plugins let the receivers open.
    pub opened: watch::Receiver<bool>,
    /// Whether whoever connects to the receivers is let in.
    pub receiving: watch::Receiver<bool>,
    /// The plugin folder.
    pub plugins: Shared,
    /// Where it takes commands.
    pub commands: Commands,
    /// The lookup tables.
    pub tables: tables::status::Shared,
    /// The configuration file.
    pub config: Arc<ArcSwap<reload::Status>>,
    /// The destinations.
    pub destinations: Box<dyn Fn() -> Vec<Destination> + Send + Sync>,
    /// The consumer of Kafka, where there is one.
    pub kafka: Option<Box<dyn Fn() -> Kafka + Send + Sync>>,
    /// The trace buffer.
    pub trace_buffer: Box<dyn Fn() -> TraceBuffer + Send + Sync>,
    /// Where the proxy listens.
    pub listeners: Listeners,
    /// When it started.
    pub started: Instant,
}

/// Addresses that are listened on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listeners {
    /// OTLP/gRPC; `none` where it is told not to listen.
    pub grpc: String,
    /// Likewise, OTLP/HTTP.
    pub http: String,
    /// The admin side.
    pub admin: String,
}

/// How it stands with the trace buffer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceBuffer {
    /// Traces in it: they wait for their decision, or for a queue.
    pub traces: u64,
    /// Their spans.
    pub spans: u64,
    /// Bytes of memory that it takes, index included.
    pub memory_bytes: u64,
    /// Its bound.
    pub memory_limit_bytes: u64,
    /// Where it keeps what waits: `memory`, `spill` or `durable`.
    pub mode: String,
    /// Bytes of its files, where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_bytes: Option<u64>,
}

/// How it stands with the consumer of Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kafka {
    /// Its group.
    pub group: String,
    /// Messages that are on their way: taken, and not yet delivered.
    pub uncommitted: u64,
    /// Whether nothing is taken of some partitions now, because what was taken of them is refused or has no room.
    pub paused: bool,
    /// What is this consumer's.
    pub partitions: Vec<KafkaPartition>,
    /// What went wrong last, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// One partition that is this consumer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaPartition {
    /// The topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The offset of the next message behind the last commit of this consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<i64>,
    /// Messages behind what the group has committed, as of ten seconds ago at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
}

/// A span on which a plugin failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetAside {
    /// By which it is asked for.
    pub number: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Which plugin.
    pub plugin: String,
    /// Which version of it.
    pub version: String,
    /// How it failed: `trap`, `deadline`, `memory`, `error`, `edits`.
    pub kind: String,
    /// What it or the engine said.
    pub why: String,
    /// Bytes of the span with its resource and scope.
    pub bytes: usize,
}

/// The whole proxy at one time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// The version of the build.
    pub version: String,
    /// How long it has run.
    pub uptime_seconds: u64,
    /// Whether spans are taken, and with them what else has a destination.
    pub ready: bool,
    /// Why not, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<String>,
    /// The generation of the live chain.
    pub generation: u64,
    /// Where it listens.
    pub listeners: Listeners,
    /// What is taken from Kafka, where anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<Kafka>,
    /// Span counts.
    pub spans: Spans,
    /// Where traces wait, if samplers decide about them or something waits still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_buffer: Option<TraceBuffer>,
    /// Where spans, metrics and logs go.
    pub destinations: Vec<Destination>,
    /// The configuration file.
    pub config: reload::Status,
    /// The plugin folder.
    pub plugins: Plugins,
    /// The lookup tables.
    #[serde(default)]
    pub tables: Vec<tables::status::Status>,
}

/// Span counts since the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spans {
    /// Came in.
    pub received: u64,
    /// Were taken by the queues.
    pub admitted: u64,
}

/// One destination, of one signal: one that takes several is here for each of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Its name in the configuration.
    pub name: String,
    /// `traces`, `metrics` or `logs`.
    pub signal: String,
    /// `grpc`, `http` or `kafka`.
    pub protocol: String,
    /// Its URL; of several, the first.
    pub endpoint: String,
    /// All of them, where there are several, or where each address counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Bytes in its queue, being sent or reserved.
    pub queue_bytes: u64,
    /// The queue's bound.
    pub queue_limit_bytes: u64,
    /// Where the queue keeps what waits: `memory`, `spill` or `durable`.
    pub queue_mode: String,
    /// Bytes of its files, where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_disk_bytes: Option<u64>,
    /// Spans, data points or log records that the back end has taken.
    pub sent: u64,
    /// Those in the queue or being sent.
    pub held: u64,
    /// Those that the back end has refused for good.
    pub rejected: u64,
    /// Those that were given up.
    pub dropped: u64,
    /// What went wrong last, until something goes right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// One of several endpoints of a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its URL.
    pub url: String,
    /// Whether it is left alone for a while, because it failed or asked for that.
    pub resting: bool,
    /// The addresses behind its name, where each counts as a back end of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Bytes of the queue before it, where each endpoint has one of its own (`route_by`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_bytes: Option<u64>,
    /// Whether it is an endpoint no more, and what waits for it is being handed to the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaving: bool,
    /// What went wrong with its last request, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
}

/// One of the addresses behind a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// With its port.
    pub address: String,
    /// Whether it is left alone for a while.
    pub resting: bool,
}

impl View {
    /// Why spans are not taken now, if they are not.
    #[must_use]
    pub fn not_ready(&self) -> Option<String> {
        if let Some(reason) = self.gate.closed() {
            return Some(reason.to_string());
        }
        let reason = match (*self.opened.borrow(), *self.receiving.borrow()) {
            (_, true) => return None,
            (false, false) => "the plugins are being loaded",
            (true, false) => "the receivers are being opened",
        };
        Some(reason.to_owned())
    }

    /// The plugin folder, with what only the data plane knows.
    #[must_use]
    pub fn plugins(&self) -> Plugins {
        let mut plugins = Plugins::clone(&self.plugins.load());
        let chain = self.chains.current();
        for stage in &mut plugins.stages {
            stage.faults = KINDS.iter().map(|kind| self.faults(&stage.stage, kind.label())).sum();
            let is_it = |known: &Arc<Stage>| *known.spec().name == *stage.stage;
            let live = chain.stages().find(|live| is_it(live));
            stage.breaker = live.map(|live| if live.is_open() { "open" } else { "closed" }.to_owned());
            let tried = chain.places.iter().filter_map(|place| place.trial.as_ref()).find(|tried| is_it(tried.stage()));
            if let (Some(shown), Some(tried)) = (&mut stage.trial, tried) {
                trial::fill(shown, tried, live.map(|live| live.work()));
            }
        }
        plugins
    }

    /// The lookup tables.
    #[must_use]
    pub fn tables(&self) -> Vec<tables::status::Status> {
        Vec::clone(&self.tables.load())
    }

    /// The spans that are set aside, the newest first.
    #[must_use]
    pub fn quarantine(&self) -> Vec<SetAside> {
        let shown = |one: quarantine::SetAside| SetAside {
            number: one.number,
            at_ms: one.at,
            plugin: one.plugin.to_string(),
            version: one.version.to_string(),
            kind: one.kind.label().to_owned(),
            why: one.why,
            bytes: one.request.len(),
        };
        self.chains.quarantine().all().into_iter().map(shown).collect()
    }

    /// One of them, as an OTLP request.
    #[must_use]
    pub fn set_aside(&self, number: u64) -> Option<Bytes> {
        self.chains.quarantine().get(number).map(|one| one.request)
    }

    /// Everything.
    #[must_use]
    pub fn status(&self) -> Status {
        let not_ready = self.not_ready();
        Status {
            version: telemetry::VERSION.to_owned(),
            uptime_seconds: self.started.elapsed().as_secs(),
            ready: not_ready.is_none(),
            not_ready,
            generation: self.chains.current().generation,
            listeners: self.listeners.clone(),
            spans: Spans { received: self.counters.received.get(), admitted: self.counters.admitted.get() },
            destinations: (self.destinations)(),
            trace_buffer: self.trace_buffer(),
            kafka: self.kafka.as_ref().map(|kafka| kafka()),
            config: reload::Status::clone(&self.config.load()),
            plugins: self.plugins(),
            tables: self.tables(),
        }
    }

    fn trace_buffer(&self) -> Option<TraceBuffer> {
        let buffer = (self.trace_buffer)();
        (buffer.spans > 0 || self.chains.current().samplers().next().is_some()).then_some(buffer)
    }

    fn faults(&self, plugin: &str, kind: &'static str) -> u64 {
        self.counters.faults.get(&FaultLabels { plugin: plugin.into(), kind }).map_or(0, |counter| counter.get())
    }
}
