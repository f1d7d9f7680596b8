//! From tracemill over Kafka to tracemill: the same spans, once, with what came with them.

use crate::bench::{PARTITIONS, PATIENCE, all_is_committed, consumer, front, has_partitions, node, same, send};
use anyhow::Result;
use harness::sink::Keep;
use harness::{Client, Kafka, Protocol, Proxy, Sink};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics};
use prost::Message as _;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use system::reached;

#[tokio::test]
async fn exactly_the_same_spans_arrive_and_none_again_after_a_restart() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::keeping(Keep::Requests).await?);
    kafka.create_topic("spans", PARTITIONS).await?;
    let mut first = node(&kafka, "spans", &sink)?.start().await?;
    has_partitions(&first, |count| count == PARTITIONS).await?;
    let mut front = front(&kafka, "spans")?.start().await?;
    let mut sent = send(&front, 71, 30, 100).await?;
    sink.wait_for_spans(3000).await?;
    same(&sent, &sink);
    let accounts = first.settled().await?;
    assert_eq!((accounts.door.received, accounts.door.refused), (3000, 0));
    let taken = first.metrics().await?.sum("tracemill_receive_kafka_messages_total", &[("topic", "spans")]);
    assert!(taken >= 30.0, "{taken} messages: a trace each");
    all_is_committed(&first).await?;
    page_and_metrics_agree(&first).await?;
    assert!(consumer(&first).await?["last_error"].is_null());
    assert!(first.stop().await?.success());
    assert!(first.log().contains("leaves its group"), "{}", first.log());

    // Whoever comes next goes on where it was.
    let mut second = node(&kafka, "spans", &sink)?.start().await?;
    has_partitions(&second, |count| count == PARTITIONS).await?;
    sent.extend(send(&front, 72, 10, 100).await?);
    sink.wait_for_spans(4000).await?;
    second.settled().await?;
    front.settled().await?;
    same(&sent, &sink);
    assert!(front.stop().await?.success());
    assert!(second.stop().await?.success());
    Ok(())
}

/// The page has exactly what a proxy with Kafka shows of it, as `metrics.rs` of the other system tests checks of the rest.
async fn page_and_metrics_agree(proxy: &Proxy) -> Result<()> {
    const OURS: &str = "tracemill_receive_kafka_";
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/docs/metrics.md"))?;
    let name = |line: &str| {
        line.strip_prefix("| `")?.split('`').next().filter(|name| name.starts_with(OURS)).map(str::to_owned)
    };
    let listed: BTreeSet<String> = page.lines().filter_map(name).collect();
    // Only known once there are statistics.
    let has_lag = async || (consumer(proxy).await.ok()?["partitions"][0]["lag"] == 0).then_some(());
    harness::wait::until_within(PATIENCE, "the lag to be known", has_lag).await?;
    let text = harness::fetch::get(&proxy.admin("/metrics")).await?.text;
    let shown: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| name.starts_with(OURS))
        .map(|(name, kind)| if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        .collect();
    assert_eq!(listed, shown);
    Ok(())
}

#[tokio::test]
async fn tenants_and_headers_come_along() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::keeping(Keep::Requests).await?);
    kafka.create_topic("spans", 1).await?;
    let front = front(&kafka, "spans")?
        .set("export.kafka.forward", json!(["x-scope-orgid"]))
        .set("export.kafka.headers", json!({ "x-front": "here" }))
        .start()
        .await?;
    let tail = node(&kafka, "spans", &sink)?
        .set("receive.tenant_header", "x-scope-orgid")
        .set("receive.headers", json!(["x-front"]))
        .set("export.sink.when", json!([{ "path": "request.tenant", "equals": "red" }]))
        .set("export.sink.forward", json!(["x-scope-orgid", "x-front"]))
        .start()
        .await?;
    for tenant in ["red", "blue"] {
        let client = front.grpc().header("x-scope-orgid", tenant)?;
        let made = harness::Generator::new(harness::Profile::Small, 73).request(20);
        assert!(client.send(&made.request).await?.is_whole());
    }
    sink.wait_for_spans(20).await?;
    reached(&tail, "tracemill_admitted_spans_total", &[], 40.0).await?;
    tail.settled().await?;
    sink.arrivals(|arrivals| {
        assert_eq!(arrivals.spans, 20, "of the other tenant");
        for attempt in &arrivals.attempts {
            assert_eq!(
                (&attempt.headers["x-scope-orgid"], &attempt.headers["x-front"]),
                (&"red".parse().unwrap(), &"here".parse().unwrap())
            );
        }
    });
    Ok(())
}

#[tokio::test]
async fn metrics_and_logs_go_whole() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::keeping(Keep::Requests).await?);
    kafka.create_topic("points", 2).await?;
    kafka.create_topic("records", 2).await?;
    let topics = json!({ "metrics": "points", "logs": "records" });
    let front = Proxy::setup()?
        .set("export.kafka.kafka", json!({ "brokers": [kafka.address()], "topics": topics }))
        .set("export.kafka.signals", json!(["metrics", "logs"]))
        .set("export.kafka.batch.timeout", "0s")
        .start()
        .await?;
    let tail = node(&kafka, "spans", &sink)?
        .set("receive.kafka.topics", topics)
        .set("export.sink.signals", json!(["metrics", "logs"]))
        .set("export.sink.batch.timeout", "0s")
        .start()
        .await?;
    let point = NumberDataPoint { time_unix_nano: 1, ..NumberDataPoint::default() };
    let gauge = Metric {
        name: "depth".into(),
        data: Some(Data::Gauge(Gauge { data_points: vec![point; 3] })),
        ..Metric::default()
    };
    let scope = ScopeMetrics { metrics: vec![gauge], ..ScopeMetrics::default() };
    let metrics = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() }],
    };
    let record =
        LogRecord { body: Some(AnyValue { value: Some(Value::StringValue("line".into())) }), ..LogRecord::default() };
    let scope = ScopeLogs { log_records: vec![record; 2], ..ScopeLogs::default() };
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() }],
    };
    for (path, body) in [("/v1/metrics", metrics.encode_to_vec()), ("/v1/logs", logs.encode_to_vec())] {
        let client = Client::new(Protocol::HttpProtobuf, &front.ports().http).at(path);
        assert!(client.send_bytes(body.into()).await?.is_whole());
    }
    let both =
        async || sink.arrivals(|arrivals| (!arrivals.metrics.is_empty() && !arrivals.logs.is_empty()).then_some(()));
    harness::wait::until_within(PATIENCE, "metrics and logs", both).await?;
    sink.arrivals(|arrivals| {
        assert_eq!(arrivals.metrics.concat(), metrics.encode_to_vec());
        assert_eq!(arrivals.logs.concat(), logs.encode_to_vec());
    });
    tail.settled().await?;
    Ok(())
}
