//! What these tests share: one broker, front and tail tiers before and behind a topic, and what became of spans.

use anyhow::{Context as _, Result};
use harness::proxy::{Proxy, Setup};
use harness::sink::{id, spans};
use harness::spans::Mix;
use harness::{Generator, Kafka, Profile, Sink, wait};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Status};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many partitions topics have here.
pub const PARTITIONS: usize = 6;

/// How long a group may take to share its partitions out anew, on a busy machine and after a crash.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// A proxy that writes to a topic.
pub fn front(kafka: &Kafka, topic: &str) -> Result<Setup> {
    let to = json!({ "brokers": [kafka.address()], "topics": { "traces": topic } });
    Ok(Proxy::setup()?
        .set("export.kafka.kafka", to)
        .set("export.kafka.batch.timeout", "20ms")
        .set("export.kafka.retry", json!({ "initial": "50ms", "max": "500ms" })))
}

/// A proxy of a group that takes the messages of a topic and delivers them to a sink. Others notice within seconds when it dies.
pub fn node(kafka: &Kafka, topic: &str, sink: &Sink) -> Result<Setup> {
    let from = json!({
        "brokers": [kafka.address()],
        "topics": { "traces": topic },
        "group": format!("{topic}-group"),
        "session_timeout": "3s",
        "commit_interval": "100ms",
    });
    Ok(Proxy::setup()?
        .set("receive.kafka", from)
        .export_grpc("sink", sink)
        .set("export.sink.batch.timeout", "20ms")
        .set("export.sink.retry", json!({ "initial": "50ms", "max": "500ms" })))
}

/// Sends so many requests of so many spans, and answers them.
pub async fn send(proxy: &Proxy, seed: u64, requests: usize, spans: usize) -> Result<Vec<ExportTraceServiceRequest>> {
    let mut generator = Generator::new(Profile::Small, seed).mix(Mix::PLAIN);
    let client = proxy.grpc();
    let mut sent = Vec::with_capacity(requests);
    for _ in 0..requests {
        let made = generator.request(spans);
        let answer = client.send(&made.request).await?;
        assert!(answer.is_whole(), "{answer:?}");
        sent.push(made.request);
    }
    Ok(sent)
}

/// Each span with its resource and scope, by its id. What is not there is as good as what is empty: others write it so or so.
fn whole(requests: &[ExportTraceServiceRequest]) -> BTreeMap<u64, Vec<ResourceSpans>> {
    let mut all: BTreeMap<u64, Vec<ResourceSpans>> = BTreeMap::new();
    for resource in requests.iter().flat_map(|request| &request.resource_spans) {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                let (mut around, mut within, mut span) = (resource.clone(), scope.clone(), span.clone());
                span.status = span.status.filter(|status| *status != Status::default());
                let number = id(&span);
                within.spans = vec![span];
                around.scope_spans = vec![within];
                all.entry(number).or_default().push(around);
            }
        }
    }
    all
}

/// The sink has exactly these spans, each once, in what they stood in.
pub fn same(sent: &[ExportTraceServiceRequest], sink: &Sink) {
    let (mut sent, arrived) = (whole(sent), sink.arrivals(|arrivals| whole(&arrivals.requests)));
    for (number, arrived) in arrived {
        let sent = sent.remove(&number).unwrap_or_default();
        assert_eq!(sent, arrived, "span {number:x}");
    }
    assert!(sent.is_empty(), "{} spans are missing", sent.len());
}

/// The ids of all spans.
pub fn ids(requests: &[ExportTraceServiceRequest]) -> Vec<u64> {
    requests.iter().flat_map(spans).map(id).collect()
}

/// Waits until all of these have arrived. Answers how often a span came once more than it needed to.
pub async fn arrived(sink: &Sink, ids: &[u64]) -> Result<u64> {
    let missing = || sink.arrivals(|arrivals| ids.iter().filter(|id| !arrivals.ids.contains_key(id)).count());
    let all = wait::until_within(PATIENCE, "all spans at the sink", async || (missing() == 0).then_some(())).await;
    all.with_context(|| format!("{} of {} spans are missing", missing(), ids.len()))?;
    Ok(sink.arrivals(|arrivals| ids.iter().map(|id| u64::from(arrivals.ids[id].times) - 1).sum()))
}

/// What the admin side says of the consumer.
pub async fn consumer(proxy: &Proxy) -> Result<Value> {
    Ok(harness::fetch::json(&proxy.admin("/status")).await?["kafka"].clone())
}

/// Waits until it has so many partitions.
pub async fn has_partitions(proxy: &Proxy, wanted: impl Fn(usize) -> bool) -> Result<()> {
    let has = async || {
        let partitions = consumer(proxy).await.ok()?["partitions"].as_array()?.len();
        wanted(partitions).then_some(())
    };
    wait::until_within(PATIENCE, "partitions", has).await.with_context(|| proxy.log())
}

/// Waits until all that was taken so far is settled and committed, of partitions that were read from their beginning.
pub async fn all_is_committed(proxy: &Proxy) -> Result<()> {
    let taken = proxy.metrics().await?.sum("tracemill_receive_kafka_messages_total", &[]);
    committed(proxy, taken as i64).await
}

/// Waits until so many messages are settled and committed.
async fn committed(proxy: &Proxy, messages_at_least: i64) -> Result<()> {
    let done = async || {
        let consumer = consumer(proxy).await.ok()?;
        let offsets: i64 = consumer["partitions"].as_array()?.iter().filter_map(|one| one["committed"].as_i64()).sum();
        (consumer["uncommitted"] == 0 && offsets >= messages_at_least).then_some(())
    };
    let waited = wait::until_within(PATIENCE, "everything to be committed", done).await;
    waited.with_context(|| format!("{messages_at_least} messages"))
}
