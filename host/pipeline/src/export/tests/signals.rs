//! Metrics and logs beside spans: from the way in to the back ends that take them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};

use super::*;
use crate::admit::Budget;
use crate::chain::gate::Gate;
use crate::chain::metrics::Metrics as OfChain;
use crate::chain::outlet::Outlet;
use crate::forward::{self, Forward};
use crate::paths;
use crate::request::{Accepted, Answer, RefusalKind, Request};

impl Outlet for Exports {
    fn takes(&self, signal: Signal) -> bool {
        self.takes(signal)
    }

    fn is_full(&self) -> Option<Refusal> {
        self.is_full()
    }

    fn room(&self) -> usize {
        self.room()
    }

    fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal> {
        self.accept(parcel)
    }
}

/// A request with so many data points, log records or spans, and a field that nobody knows.
pub(super) fn request(signal: Signal, items: usize) -> Bytes {
    let mut body = match signal {
        Signal::Traces => return parcel(0..items as u64).body,
        Signal::Metrics => {
            let data_points = vec![NumberDataPoint { time_unix_nano: 5, ..NumberDataPoint::default() }; items];
            let data = Some(Data::Gauge(Gauge { data_points }));
            let scope = ScopeMetrics { metrics: vec![Metric { data, ..Metric::default() }], ..ScopeMetrics::default() };
            let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
            ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec()
        }
        Signal::Logs => {
            let record = LogRecord { severity_text: "INFO".into(), ..LogRecord::default() };
            let scope = ScopeLogs { log_records: vec![record; items], ..ScopeLogs::default() };
            let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
            ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
        }
    };
    otlp::wire::put_bytes(&mut body, 1000, b"unknown");
    body.into()
}

/// Exports with the way to them.
pub(super) struct Way {
    pub(super) bench: Bench,
    forward: Forward,
    gate: Gate,
    registry: Registry,
    budget: Budget,
}

impl Way {
    pub(super) fn new(configs: Vec<DestinationConfig>) -> Self {
        let bench = Bench::new(configs);
        let (gate, mut registry) = (Gate::new(), Registry::default());
        let chain = OfChain::default();
        chain.register(&mut registry);
        let metrics = forward::Metrics::register(&mut registry, &chain);
        let forward = Forward::new(Arc::new(bench.exports.clone()), gate.clone(), metrics);
        Self { bench, forward, gate, registry, budget: Budget::new(1 << 30) }
    }

    pub(super) async fn send(&self, signal: Signal, body: Bytes) -> Answer {
        let permit = self.budget.take(body.len()).unwrap();
        let answer = self.forward.take(Request { signal, body, context: Arc::default(), permit, custody: None }).await;
        assert_eq!(self.budget.used(), 0);
        answer
    }

    /// What is counted of the way in: received, refused, admitted.
    pub(super) fn counted(&self, signal: Signal) -> [u64; 3] {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let items = signal.items();
        let names = [
            format!("tracemill_receive_{items}_total "),
            format!("tracemill_refused_{items}_total{{reason=\"queue_full\"}} "),
            format!("tracemill_admitted_{items}_total "),
        ];
        names.map(|name| text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap())
    }

    pub(super) async fn until_quiet(&self, signal: Signal, destination: &str) {
        let held = format!("held_{}", signal.items());
        until(async || self.bench.of(&held, destination) == 0).await;
    }
}

pub(super) fn taking(signals: &[Signal], config: DestinationConfig) -> DestinationConfig {
    DestinationConfig { signals: signals.to_vec(), ..config }
}

#[tokio::test]
async fn each_signal_arrives_at_its_own_place_byte_for_byte_and_alone() {
    for protocol in BOTH {
        let sink = Sink::new([], Reply::Ok);
        let mut config = taking(&Signal::ALL, quick("back", endpoint(protocol, sink.listen().await)));
        // What can be joined is.
        config.batch.timeout = Duration::from_millis(20);
        let way = Way::new(vec![config]);
        for round in 1..=3usize {
            way.bench.send(parcel(0..round as u64)).unwrap();
            for signal in [Signal::Metrics, Signal::Logs] {
                assert_eq!(way.send(signal, request(signal, round)).await, Ok(Accepted::default()));
            }
        }
        for signal in Signal::ALL {
            way.until_quiet(signal, "back").await;
            let items = signal.items();
            assert_eq!(way.bench.of(&format!("admitted_{items}_total"), "back"), 6);
            assert_eq!(way.bench.of(&format!("sent_{items}_total"), "back"), 6);
            let place = match protocol {
                Protocol::Http | Protocol::Kafka => paths::http(signal),
                Protocol::Grpc => paths::method(signal),
            };
            let all: Vec<_> = sink.seen().bodies.into_iter().filter(|(path, _)| path == place).collect();
            let came: Vec<u8> = all.iter().flat_map(|(_, body)| body.clone()).collect();
            let sent: Vec<u8> = (1..=3).flat_map(|round| request(signal, round).to_vec()).collect();
            assert_eq!(came, sent, "{signal}");
            assert!(all.len() < 3, "requests of one signal are joined");
        }
        assert_eq!(way.counted(Signal::Metrics), [6, 0, 6]);
        assert_eq!(way.counted(Signal::Logs), [6, 0, 6]);
    }
}

#[tokio::test]
async fn a_request_goes_only_to_destinations_that_take_its_signal() {
    let (first, second) = (Sink::new([], Reply::Ok), Sink::new([], Reply::Ok));
    let metrics = taking(&[Signal::Metrics], quick("metrics", endpoint(Protocol::Http, first.listen().await)));
    let both = taking(&[Signal::Metrics, Signal::Logs], quick("both", endpoint(Protocol::Grpc, second.listen().await)));
    let way = Way::new(vec![metrics.clone(), both]);
    assert!(way.forward.takes(Signal::Logs) && !way.forward.takes(Signal::Traces));
    way.send(Signal::Metrics, request(Signal::Metrics, 4)).await.unwrap();
    way.send(Signal::Logs, request(Signal::Logs, 5)).await.unwrap();
    first.until(|seen| seen.bodies.len() == 1).await;
    second.until(|seen| seen.bodies.len() == 2).await;
    way.until_quiet(Signal::Metrics, "metrics").await;
    assert_eq!(way.bench.of("sent_metric_points_total", "metrics"), 4);
    assert_eq!(first.seen().bodies[0].0, "/v1/metrics");

    // A reload takes a signal away: its senders come back, and then are told that there is nobody.
    way.bench.exports.reconfigure(vec![metrics]).unwrap();
    assert!(!way.forward.takes(Signal::Logs));
    let refusal = way.send(Signal::Logs, request(Signal::Logs, 1)).await.unwrap_err();
    assert!(refusal.is_retryable() && refusal.message.contains("no destination takes logs"), "{refusal}");
}

#[tokio::test]
async fn a_full_queue_refuses_its_own_signal_only() {
    let sink = Sink::new([], Reply::Hang);
    let mut config = taking(&Signal::ALL, quick("back", endpoint(Protocol::Http, sink.listen().await)));
    config.queue.max_bytes = 2_000;
    let way = Way::new(vec![config]);
    let body = request(Signal::Logs, 100);
    assert!(body.len() > 800);
    way.send(Signal::Logs, body.clone()).await.unwrap();
    let refusal = way.send(Signal::Logs, request(Signal::Logs, 200)).await.unwrap_err();
    assert!(refusal.is_retryable() || refusal.kind == RefusalKind::TooLarge, "{refusal}");
    assert_eq!(way.counted(Signal::Logs), [300, 200, 100]);
    assert_eq!(way.bench.of("refused_log_records_total", "back"), 200);
    way.send(Signal::Metrics, request(Signal::Metrics, 10)).await.unwrap();
    way.bench.send(parcel(0..1)).unwrap();
    let report = way.bench.exports.drain(Duration::ZERO).await;
    let of = |signal, items| ("back".to_owned(), signal, items);
    assert_eq!(report.undelivered, [of(Signal::Traces, 1), of(Signal::Metrics, 10), of(Signal::Logs, 100)]);
    assert!(way.send(Signal::Metrics, request(Signal::Metrics, 1)).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn what_is_malformed_is_refused_and_harms_nothing_and_what_is_empty_ends_here() {
    let sink = Sink::new([], Reply::Ok);
    let config = taking(&[Signal::Metrics, Signal::Logs], quick("back", endpoint(Protocol::Grpc, sink.listen().await)));
    let way = Way::new(vec![config]);
    for signal in [Signal::Metrics, Signal::Logs] {
        let whole = request(signal, 3);
        for wrong in [whole.slice(..whole.len() - 1), Bytes::from_static(b"no protobuf"), vec![0xff; 2 << 20].into()] {
            let refusal = way.send(signal, wrong).await.unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::Malformed);
            assert!(refusal.message.starts_with(&format!("malformed OTLP {signal}: ")), "{refusal}");
        }
        assert_eq!(way.send(signal, Bytes::new()).await, Ok(Accepted::default()));
        assert_eq!(way.send(signal, request(signal, 0)).await, Ok(Accepted::default()));
        assert_eq!(way.counted(signal), [0, 0, 0]);
    }
    way.gate.close("the end");
    assert!(way.send(Signal::Logs, request(Signal::Logs, 1)).await.unwrap_err().is_retryable());
    assert!(way.bench.exports.drain(Duration::from_secs(1)).await.undelivered.is_empty());
    assert_eq!(sink.seen().bodies, []);
}

#[tokio::test]
async fn what_is_larger_than_a_request_may_be_arrives_in_parts_of_its_signal() {
    for signal in [Signal::Metrics, Signal::Logs] {
        let sink = Sink::new([], Reply::Ok);
        let mut config = taking(&[signal], quick("back", endpoint(Protocol::Http, sink.listen().await)));
        config.batch.max_request_bytes = 1_000;
        let way = Way::new(vec![config]);
        way.send(signal, request(signal, 500)).await.unwrap();
        way.until_quiet(signal, "back").await;
        let bodies = sink.seen().bodies;
        assert!(bodies.len() > 3 && bodies.iter().all(|(_, body)| body.len() <= 1_000), "{}", bodies.len());
        assert_eq!(bodies.iter().map(|(_, body)| signal.count(body).unwrap()).sum::<u32>(), 500);
        assert_eq!(way.bench.of(&format!("sent_{}_total", signal.items()), "back"), 500);
    }
}
