//! Exports with their metrics, their log, and a folder for the files that they are told to read.

use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::signal::Signal;
use prometheus_client::registry::Registry;
use prost::Message as _;
use tokio::runtime::Handle;
use tracemill_pipeline::export::config::{Compression, Identity, Protocol};
use tracemill_pipeline::export::{DestinationConfig, Endpoint, Exports, Metrics, Parcel};

use super::certificates::Issued;
use super::log::Log;
use super::wait::until;

pub const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];

/// Everything around the exports of one test. The log is that of the test's own thread, on which its runtime runs.
pub struct Bench {
    pub exports: Exports,
    registry: Registry,
    log: Log,
    folder: tempfile::TempDir,
}

impl Bench {
    /// Without any destination.
    pub fn new() -> Self {
        let log = Log::listen();
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let exports = Exports::start(Vec::new(), metrics, Handle::current()).unwrap();
        Self { exports, registry, log, folder: tempfile::tempdir().unwrap() }
    }

    /// Writes a file for the exporter to read.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a client's certificate and key.
    pub fn identity(&self, issued: &Issued) -> Identity {
        Identity { cert_file: self.file("client.pem", &issued.cert), key_file: self.file("client.key", &issued.key) }
    }

    /// Sends ten spans to a destination that was just configured.
    pub fn send_ten(&self, config: &DestinationConfig) {
        self.exports.reconfigure(vec![config.clone()]).unwrap();
        self.send(0..10, 100);
    }

    /// Sends spans with these numbers, each of about so many bytes.
    pub fn send(&self, numbers: Range<u64>, bytes: usize) {
        let spans = numbers.end - numbers.start;
        let of_number = |number: u64| Span {
            trace_id: vec![7; 16],
            span_id: number.to_be_bytes().to_vec(),
            name: "x".repeat(bytes),
            ..Span::default()
        };
        let scope = ScopeSpans { spans: numbers.map(of_number).collect(), ..ScopeSpans::default() };
        let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
        let body = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec();
        let (signal, items) = (Signal::Traces, spans as u32);
        let parcel = Parcel { signal, body: body.into(), items, context: Arc::default(), custody: None };
        drop(self.exports.reserve(signal, parcel.body.len(), items).unwrap().commit(parcel));
    }

    /// A metric of the destination `back`, summed over its other labels.
    pub fn of(&self, name: &str) -> i64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let begin = format!("tracemill_export_{name}{{destination=\"back\"");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with(&begin)).collect();
        assert!(!lines.is_empty(), "no {name} in\n{text}");
        lines.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap()).sum()
    }

    /// Waits until nothing is held, and checks that all that was admitted was sent.
    pub async fn until_all_sent(&self) {
        until("nothing to be held", || self.of("held_spans") == 0 && self.of("queue_bytes") == 0).await;
        assert_eq!(self.of("sent_spans_total"), self.of("admitted_spans_total"));
        assert_eq!((self.of("rejected_spans_total"), self.of("dropped_spans_total")), (0, 0));
    }

    /// The line that says why an export failed.
    pub fn failure(&self) -> String {
        let log = self.log.text();
        let line = log.lines().find(|line| line.contains("export failed"));
        line.unwrap_or_else(|| panic!("no failure in the log:\n{log}")).to_owned()
    }

    /// Whether the log has such a line.
    pub fn has_logged(&self, text: &str) -> bool {
        self.log.text().contains(text)
    }
}

/// A destination `back` that does not wait long for anything.
pub fn destination(protocol: Protocol, scheme: &str, address: SocketAddr) -> DestinationConfig {
    let url = format!("{scheme}://{address}");
    let endpoint = match protocol {
        Protocol::Grpc => Endpoint::grpc(&url).unwrap(),
        Protocol::Http | Protocol::Kafka => Endpoint::http(&url).unwrap(),
    };
    let mut config = DestinationConfig::new("back", endpoint);
    config.compression = Compression::None;
    config.batch.timeout = Duration::ZERO;
    config.retry.initial = Duration::from_millis(1);
    config.retry.max = Duration::from_millis(5);
    config
}

/// What HTTP is called in a handshake.
pub fn alpn(protocol: Protocol) -> &'static [u8] {
    match protocol {
        Protocol::Grpc => b"h2",
        Protocol::Http | Protocol::Kafka => b"http/1.1",
    }
}
