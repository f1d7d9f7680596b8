//! The two sides, started with the same work to do.

mod collector;
mod setting;
mod tail;
mod tracemill;

pub use setting::{CONSUMERS, Durable, Setting, Tls};
pub use tail::{Sampling, Tail, Waits};

use anyhow::{Context as _, Result};
use harness::client::{Client, Protocol};
use harness::metrics::Metrics;
use harness::sink::Sink;
use harness::wire::Compression;
use harness::{Collector, Proxy, fetch};

/// The routes of health checks, for both sides.
const ROUTES: [&str; 7] = ["/health", "/healthz", "/health/live", "/health/ready", "/ready", "/livez", "/metrics"];

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This project.
    Tracemill,
    /// The OpenTelemetry Collector.
    Collector,
}

/// What it does with spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// Receive, batch, send.
    PassThrough,
    /// Drop health checks, redact e-mail addresses, set an attribute, sample half, batch.
    Four,
    /// `scrub-pii` with its defaults; the Collector has nothing like it.
    ScrubDefaults,
    /// 40 renames, of which some ten meet an attribute of each span.
    Renames,
    /// `sample`, of which nothing is left.
    DropAll,
    /// `drop-health` alone.
    DropHealth,
    /// `drop-health` with a list of routes: the host's condition looks at one attribute.
    DropRoutes,
    /// A plugin that sees one column of every span and edits few: `mark-slow` of the examples, with one limit for all.
    MarkSlow,
    /// 30 % dropped, then five plugins that read one path.
    FiveReaders,
    /// Nothing but `span_metrics`, which nobody scrapes; the Collector's connector is not in its build here.
    SpanMetrics,
    /// The same, and `service_graph`.
    ServiceGraph,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// What is done.
    pub steps: Steps,
    /// How spans come in and leave.
    pub protocol: Protocol,
    /// Of both ways.
    pub compression: Compression,
}

impl Work {
    /// Over gRPC, not compressed.
    pub fn grpc(steps: Steps) -> Self {
        Self::over(Protocol::Grpc, steps)
    }

    /// Over this protocol, not compressed.
    pub fn over(protocol: Protocol, steps: Steps) -> Self {
        Self { steps, protocol, compression: Compression::None }
    }
}

/// A proxy that is running.
pub struct Subject {
    process: Running,
    grpc: String,
    http: String,
    /// Where its metrics are, if they are wanted of it.
    metrics: Option<String>,
}

enum Running {
    Tracemill(Box<Proxy>),
    Collector(Box<Collector>),
}

/// The pairs of [`Steps::Renames`]: keys that the generator uses, and others that no span has.
pub fn renames() -> impl Iterator<Item = (String, String)> {
    const USED: [&str; 14] = [
        "code.function.name",
        "code.line.number",
        "db.collection.name",
        "db.operation.name",
        "http.response.body.size",
        "messaging.operation.type",
        "network.peer.address",
        "network.peer.port",
        "network.protocol.version",
        "server.address",
        "server.port",
        "thread.id",
        "thread.name",
        "url.scheme",
    ];
    let used = USED.into_iter().map(str::to_owned);
    used.chain((USED.len()..40).map(|i| format!("old.name.{i}"))).map(|old| (old.clone(), format!("renamed.{old}")))
}

impl Side {
    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tracemill => "tracemill",
            Self::Collector => "Collector",
        }
    }

    /// Starts it, sending to the sink.
    pub async fn start(self, work: Work, sink: &Sink) -> Result<Subject> {
        self.start_with(work, &Setting::default(), sink).await
    }

    /// The same with TLS, or a queue on disk.
    pub async fn start_with(self, work: Work, setting: &Setting, sink: &Sink) -> Result<Subject> {
        match self {
            Self::Tracemill => tracemill::start(work, setting, sink).await,
            Self::Collector => collector::start(work, setting, sink).await,
        }
    }
}

impl Subject {
    /// Its process.
    pub fn id(&self) -> Result<u32> {
        match &self.process {
            Running::Tracemill(proxy) => proxy.id(),
            Running::Collector(collector) => collector.id(),
        }
        .context("it has ended")
    }

    /// A client for what is measured: a connection of its own.
    pub fn client(&self, work: Work) -> Client {
        Client::new(work.protocol, self.address(work.protocol)).compress(work.compression)
    }

    /// The same where it may have to speak TLS.
    pub fn client_with(&self, work: Work, setting: &Setting) -> Result<Client> {
        Ok(setting.client(work.protocol, self.address(work.protocol))?.compress(work.compression))
    }

    /// Where it listens.
    pub fn address(&self, protocol: Protocol) -> &str {
        if protocol == Protocol::Grpc { &self.grpc } else { &self.http }
    }

    /// tracemill's own handle.
    pub fn proxy(&mut self) -> Option<&mut Proxy> {
        match &mut self.process {
            Running::Tracemill(proxy) => Some(proxy),
            Running::Collector(_) => None,
        }
    }

    /// What it counts: tracemill always, the Collector where it samples tails.
    pub async fn metrics(&self) -> Result<Metrics> {
        let url = self.metrics.as_ref().context("its metrics were not asked for")?;
        Metrics::parse(&fetch::get(url).await?.text)
    }

    /// Ends it at once: nothing more is measured.
    pub async fn end(mut self) -> Result<()> {
        match &mut self.process {
            Running::Tracemill(proxy) => proxy.kill().await,
            Running::Collector(collector) => collector.kill().await,
        }
    }
}
