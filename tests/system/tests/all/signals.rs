//! Metrics and logs through the whole proxy: as they came, to those that take them, past what holds spans up.

use anyhow::Result;
use bytes::Bytes;
use harness::{Behaviour, Client, Generator, Profile, Protocol, Proxy, Sink, fetch, wait};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use prost::Message as _;
use serde_json::json;

const PROTOCOLS: [Protocol; 3] = [Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson];

fn metrics(points: usize) -> ExportMetricsServiceRequest {
    let data = Some(Data::Gauge(Gauge {
        data_points: vec![NumberDataPoint { flags: 1, ..NumberDataPoint::default() }; points],
    }));
    let scope = ScopeMetrics {
        metrics: vec![Metric { name: "m".into(), data, ..Metric::default() }],
        ..ScopeMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() }],
    }
}

fn logs(records: usize) -> ExportLogsServiceRequest {
    let body = Some(AnyValue { value: Some(Value::StringValue("hello".into())) });
    let scope =
        ScopeLogs { log_records: vec![LogRecord { body, ..LogRecord::default() }; records], ..ScopeLogs::default() };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() }],
    }
}

fn client(proxy: &Proxy, protocol: Protocol, signal: &str) -> Client {
    let path = match (protocol, signal) {
        (Protocol::Grpc, "metrics") => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        (Protocol::Grpc, _) => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        (_, "metrics") => "/v1/metrics",
        _ => "/v1/logs",
    };
    let ports = proxy.ports();
    Client::new(protocol, if protocol == Protocol::Grpc { &ports.grpc } else { &ports.http }).at(path)
}

#[tokio::test]
async fn each_signal_goes_to_those_that_take_it_as_it_came() -> Result<()> {
    let (all, one) = (Sink::start().await?, Sink::start().await?);
    let setup = Proxy::setup()?
        .export_grpc("all", &all)
        .set("export.all.signals", json!(["traces", "metrics", "logs"]))
        // In the order in which they came.
        .set("export.all.concurrency", 1)
        .export_http("one", &one)
        .set("export.one.signals", json!(["logs"]))
        .set("export.one.concurrency", 1)
        .plugin("10-drop-health", "drop-health")?;
    setup
        .run(async |proxy| {
            let mut unknown = logs(2).encode_to_vec();
            unknown.extend_from_slice(b"\xfa\x3e\x03abc");
            for protocol in PROTOCOLS {
                let as_json = protocol == Protocol::HttpJson;
                let of_metrics = if as_json { serde_json::to_vec(&metrics(3))? } else { metrics(3).encode_to_vec() };
                let answer = client(proxy, protocol, "metrics").send_bytes(of_metrics.into()).await?;
                assert!(answer.is_whole(), "{protocol:?}: {answer:?}");
                let of_logs = if as_json { serde_json::to_vec(&logs(2))? } else { unknown.clone() };
                let answer = client(proxy, protocol, "logs").send_bytes(of_logs.into()).await?;
                assert!(answer.is_whole(), "{protocol:?}: {answer:?}");
            }
            assert!(proxy.grpc().send(&Generator::new(Profile::Small, 3).request(5).request).await?.is_whole());
            let accounts = proxy.settled().await?;
            assert_eq!(accounts.forwarded.each_ref().map(|account| account.door.admitted), [9, 6]);
            assert_eq!((one.spans(), one.arrivals(|came| came.metrics.len())), (0, 0));
            assert!(accounts.destination("one").is_none() && all.spans() > 0);
            let joined = |messages: &Vec<Bytes>| messages.concat();
            let came = all.arrivals(|came| joined(&came.metrics));
            assert!(came.starts_with(&metrics(3).encode_to_vec().repeat(2)), "what came as protobuf leaves as it came");
            let resource_metrics = vec![metrics(3).resource_metrics; 3].concat();
            assert_eq!(
                ExportMetricsServiceRequest::decode(&came[..])?,
                ExportMetricsServiceRequest { resource_metrics }
            );
            let resource_logs = vec![logs(2).resource_logs; 3].concat();
            for sink in [&all, &one] {
                let came = sink.arrivals(|came| joined(&came.logs));
                assert!(came.starts_with(&unknown.repeat(2)), "what came as protobuf leaves as it came");
                let read = ExportLogsServiceRequest::decode(&came[..])?;
                assert_eq!(read, ExportLogsServiceRequest { resource_logs: resource_logs.clone() });
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_back_end_that_is_away_gets_metrics_later_and_full_queues_refuse_their_own_signal() -> Result<()> {
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Unavailable(None));
    let setup = Proxy::setup()?
        .export_http("sink", &sink)
        .set("export.sink.signals", json!(["metrics", "logs"]))
        .set("export.sink.batch", json!({ "size": "32KiB" }))
        .set("export.sink.queue", json!({ "size": "64KiB" }))
        .set("export.sink.retry", json!({ "initial": "10ms", "max": "50ms" }));
    setup
        .run(async |proxy| {
            let large = Bytes::from(logs(2_000).encode_to_vec());
            assert!((20 << 10..40 << 10).contains(&large.len()), "{}", large.len());
            let logs = client(proxy, Protocol::Grpc, "logs");
            let (mut accepted, mut refused) = (0, 0);
            while refused == 0 {
                let answer = logs.send_bytes(large.clone()).await?;
                match answer.refusal() {
                    None => accepted += 1,
                    Some(refusal) => {
                        assert!(refusal.is_retryable() && refusal.delay.is_some(), "{refusal:?}");
                        refused += 1;
                    }
                }
            }
            let message = metrics(4).encode_to_vec().into();
            let answer = client(proxy, Protocol::HttpProtobuf, "metrics").send_bytes(message).await?;
            assert!(answer.is_whole(), "metrics have a queue of their own: {answer:?}");
            sink.behave(Behaviour::Accept);
            let accounts = proxy.settled().await?;
            let [points, records] = accounts.forwarded.each_ref().map(|account| account.door);
            assert_eq!((points.received, points.admitted), (4, 4));
            assert_eq!((records.refused, records.admitted), (2_000 * refused, 2_000 * accepted));
            assert_eq!(
                sink.arrivals(|came| came.logs.iter().map(Bytes::len).sum::<usize>()),
                large.len() * accepted as usize
            );
            Ok(())
        })
        .await
}

#[tokio::test]
async fn garbage_is_refused_for_good_and_counted() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).set("export.sink.signals", json!(["metrics", "logs"]));
    setup
        .run(async |proxy| {
            for signal in ["metrics", "logs"] {
                for protocol in PROTOCOLS {
                    let answer = client(proxy, protocol, signal).send_bytes("no message".into()).await?;
                    let refusal = answer.refusal().expect("refused");
                    assert!(!refusal.is_retryable() && refusal.code == 3, "{signal} {protocol:?}: {refusal:?}");
                    let place = if protocol == Protocol::HttpJson { "at line 1 column" } else { " at byte 0" };
                    assert!(refusal.message.contains(place), "{signal} {protocol:?}: {refusal:?}");
                }
                let labels = [("signal", signal)];
                let malformed = proxy.metrics().await?.sum("tracemill_receive_malformed_requests_total", &labels);
                assert_eq!(malformed as u64, 2, "JSON is refused before it is counted there");
            }
            assert!(sink.arrivals(|came| came.metrics.is_empty() && came.logs.is_empty()));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn destinations_may_begin_and_end_to_take_a_signal_while_running() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let send = async |proxy: &Proxy| client(proxy, Protocol::HttpJson, "logs").send_bytes("{}".into()).await;
            let answer = send(proxy).await?;
            let refusal = answer.refusal().expect("nobody takes logs");
            assert_eq!(refusal.http, 404);
            assert!(refusal.message.contains("signals: [logs]"), "{refusal:?}");
            proxy.configure("export.sink.signals", json!(["traces", "logs"]))?;
            let taken = async || send(proxy).await.ok().filter(harness::Answer::is_whole).map(drop);
            wait::until("logs to be taken", taken).await?;
            let status = fetch::json(&proxy.admin("/status")).await?;
            let signals: Vec<_> =
                status["destinations"].as_array().into_iter().flatten().map(|of| &of["signal"]).collect();
            assert_eq!(signals, ["traces", "logs"]);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_plugin_that_is_missing_holds_up_spans_only() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("export.sink.signals", json!(["traces", "logs"]))
        .set("plugins.required", json!(["drop-health"]))
        .plugin("10-drop-health", "drop-health")?;
    setup
        .run(async |proxy| {
            std::fs::remove_file(proxy.plugins().join("10-drop-health.wasm"))?;
            let request = Generator::new(Profile::Small, 4).request(1).request;
            let closed = async || proxy.grpc().send(&request).await.ok()?.refusal().map(|_| ());
            wait::until("spans to be refused", closed).await?;
            let answer = client(proxy, Protocol::Grpc, "logs").send_bytes(logs(1).encode_to_vec().into()).await?;
            assert!(answer.is_whole(), "{answer:?}");
            proxy.settled().await?;
            assert_eq!(sink.arrivals(|came| came.logs.len()), 1);
            Ok(())
        })
        .await
}
