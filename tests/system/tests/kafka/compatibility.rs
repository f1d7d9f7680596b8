//! With OpenTelemetry's Collector on the other side of the topic, in both directions; and beside us before it.

use crate::bench::{PARTITIONS, arrived, front, has_partitions, ids, node, same, send};
use anyhow::Result;
use harness::sink::{Keep, id, spans};
use harness::{Client, Collector, Generator, Kafka, Profile, Protocol, Sink};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::{Value, json};
use std::collections::HashMap;

/// A Collector between its own OTLP receiver and Kafka, or between Kafka and an OTLP back end.
async fn collector(config: Value) -> Result<Collector> {
    let binary = backends::collector_for_kafka()?.or_fail("a test against the Collector")?;
    Collector::start(&binary, config).await
}

async fn writing(kafka: &Kafka, topic: &str) -> Result<Collector> {
    let exporter = json!({
        "brokers": [kafka.address()],
        "partition_traces_by_id": true,
        "traces": { "topic": topic, "encoding": "otlp_proto" },
    });
    collector(json!({
        "exporters": { "kafka": exporter },
        "service": {
            "telemetry": { "metrics": { "level": "none" }, "logs": { "level": "warn" } },
            "pipelines": { "traces": { "receivers": ["otlp"], "exporters": ["kafka"] } },
        },
    }))
    .await
}

#[tokio::test]
async fn what_the_collector_writes_arrives() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::keeping(Keep::Requests).await?);
    kafka.create_topic("theirs", PARTITIONS).await?;
    let theirs = writing(&kafka, "theirs").await?;
    let tail = node(&kafka, "theirs", &sink)?.start().await?;
    let client = Client::new(Protocol::Grpc, theirs.grpc());
    let mut generator = Generator::new(Profile::Small, 111);
    let mut sent = Vec::new();
    for _ in 0..20 {
        let made = generator.request(100);
        assert!(client.send(&made.request).await?.is_whole());
        sent.push(made.request);
    }
    assert_eq!(arrived(&sink, &ids(&sent)).await?, 0);
    tail.settled().await?;
    same(&sent, &sink);
    Ok(())
}

#[tokio::test]
async fn the_collector_reads_what_we_write() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::keeping(Keep::Requests).await?);
    kafka.create_topic("ours", PARTITIONS).await?;
    let receiver = json!({
        "brokers": [kafka.address()],
        "group_id": "theirs",
        "initial_offset": "earliest",
        "traces": { "topics": ["ours"], "encoding": "otlp_proto" },
    });
    let theirs = collector(json!({
        "receivers": { "kafka": receiver },
        "exporters": { "otlp_grpc": { "endpoint": sink.address().to_string(), "tls": { "insecure": true } } },
        "service": {
            "telemetry": { "metrics": { "level": "none" }, "logs": { "level": "warn" } },
            "pipelines": { "traces": { "receivers": ["kafka", "otlp"], "exporters": ["otlp_grpc"] } },
        },
    }))
    .await?;
    let front = front(&kafka, "ours")?.start().await?;
    let sent = send(&front, 112, 20, 100).await?;
    arrived(&sink, &ids(&sent)).await?;
    front.settled().await?;
    same(&sent, &sink);
    drop(theirs);
    Ok(())
}

/// Half of each trace's spans one way, half the other.
fn halves(request: &ExportTraceServiceRequest) -> [ExportTraceServiceRequest; 2] {
    [0, 1].map(|half| {
        let mut request = request.clone();
        for resource in &mut request.resource_spans {
            for scope in &mut resource.scope_spans {
                let mut seen = HashMap::<Vec<u8>, usize>::new();
                scope.spans.retain(|span| {
                    let count = seen.entry(span.trace_id.clone()).or_default();
                    *count += 1;
                    *count % 2 == half
                });
            }
        }
        request
    })
}

#[tokio::test]
async fn the_spans_of_a_trace_meet_though_some_come_by_us_and_some_by_the_collector() -> Result<()> {
    let kafka = Kafka::start().await?;
    let sinks = [Sink::keeping(Keep::Requests).await?, Sink::keeping(Keep::Requests).await?];
    kafka.create_topic("both", PARTITIONS).await?;
    let nodes = [node(&kafka, "both", &sinks[0])?.start().await?, node(&kafka, "both", &sinks[1])?.start().await?];
    for node in &nodes {
        has_partitions(node, |count| count == PARTITIONS / 2).await?;
    }
    let (ours, theirs) = (front(&kafka, "both")?.start().await?, writing(&kafka, "both").await?);
    let clients = [ours.grpc(), Client::new(Protocol::Grpc, theirs.grpc())];
    let mut generator = Generator::new(Profile::Small, 113);
    let mut sent = 0;
    for _ in 0..20 {
        let made = generator.request(100);
        for (client, half) in clients.iter().zip(halves(&made.request)) {
            assert!(client.send(&half).await?.is_whole());
        }
        sent += made.ids.len() as u64;
    }
    let all = async || (sinks.iter().map(Sink::spans).sum::<u64>() >= sent).then_some(());
    harness::wait::until_within(crate::bench::PATIENCE, "all spans", all).await?;
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut seen = 0;
    for (place, sink) in sinks.iter().enumerate() {
        assert!(sink.spans() > 0, "one node has all of it");
        sink.arrivals(|arrivals| {
            for span in arrivals.requests.iter().flat_map(spans) {
                let first = *places.entry(span.trace_id.clone()).or_insert(place);
                assert_eq!(first, place, "span {:x} is not where others of its trace are", id(span));
                seen += 1;
            }
        });
    }
    assert_eq!(seen, sent);
    Ok(())
}
