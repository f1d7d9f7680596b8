//! Nodes of a group come and go in the middle of the load: each span is delivered, and few are delivered twice; each trace that is to be kept arrives
//! whole.

use crate::bench::{PARTITIONS, arrived, front, has_partitions, ids, node, send};
use anyhow::{Result, ensure};
use harness::load::{self, Load};
use harness::proxy::Setup;
use harness::sink::{id, spans};
use harness::spans::Mix;
use harness::{Behaviour, Generator, Kafka, Profile, Sink, wait};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use std::collections::HashMap;
use system::reached;

const SPANS: usize = 30_000;
const RATE: usize = 3_000;
/// Spans of one request.
const REQUEST: usize = 50;
/// So many may come once more than they need to, of those that wait for nothing: what a node that is killed had delivered since it last committed, and
/// what either had under way when partitions moved on.
const FEW: usize = SPANS / 20;

/// How the first node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Killed,
    /// In good order.
    Stopped,
}

/// What the load went through: every node delivers to this sink.
pub struct Outcome {
    pub sink: Sink,
    /// Ids of all spans that the front tier has taken.
    pub sent: Vec<u64>,
    /// How often a span came once more than it needed to.
    pub twice: u64,
}

/// A steady load through two nodes, of which one ends, and another is added. `also` sets up more of each node: plugins, say. `wanted` are the
/// spans that are to arrive; all of them if it is not said.
pub async fn one_ends_and_one_is_added(
    kafka: &Kafka,
    topic: &str,
    generator: Generator,
    end: End,
    wanted: Option<Vec<u64>>,
    also: impl Fn(Setup) -> Result<Setup>,
) -> Result<Outcome> {
    let sink = Sink::start().await?;
    kafka.create_topic(topic, PARTITIONS).await?;
    let start = async || also(node(kafka, topic, &sink)?)?.start().await;
    let mut front = front(kafka, topic)?.start().await?;
    let (mut doomed, mut stays) = (start().await?, start().await?);
    // The load meets both.
    has_partitions(&doomed, |count| count == PARTITIONS / 2).await?;
    has_partitions(&stays, |count| count == PARTITIONS / 2).await?;
    let load = Load { spans: SPANS, per_request: REQUEST, rate: RATE, senders: 4 };
    let enough = wanted.as_ref().map_or(SPANS, Vec::len);
    let client = front.grpc();
    let loading = tokio::spawn(async move { load::run(&client, generator, load).await });
    let passed = |part: usize| {
        let sink = &sink;
        wait::until_within(crate::bench::PATIENCE, "a part of the load", async move || {
            (sink.spans() as usize >= enough / part).then_some(())
        })
    };
    passed(5).await?;
    match end {
        End::Killed => doomed.kill().await?,
        End::Stopped => ensure!(doomed.stop().await?.success(), "{}", doomed.log()),
    }
    let mut added = start().await?;
    has_partitions(&added, |count| count > 0).await?;
    let sent = loading.await??.acknowledged;
    let twice = arrived(&sink, wanted.as_ref().unwrap_or(&sent)).await?;
    front.settled().await?;
    for proxy in [&mut stays, &mut added, &mut front] {
        proxy.settled().await?;
        ensure!(proxy.stop().await?.success());
    }
    Ok(Outcome { sink, sent, twice })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_span_is_lost_and_few_come_twice_when_a_node_ends_and_one_is_added() -> Result<()> {
    let kafka = Kafka::start().await?;
    for (topic, end) in [("killed", End::Killed), ("stopped", End::Stopped)] {
        let generator = Generator::new(Profile::Small, 101).mix(Mix::PLAIN);
        // Few messages of a partition on their way at once: partitions are paused and resumed all the time.
        let tight = |setup: Setup| Ok(setup.set("receive.kafka.max_uncommitted", 100));
        let outcome = one_ends_and_one_is_added(&kafka, topic, generator, end, None, tight).await?;
        let Outcome { sink, sent, twice } = outcome;
        println!("{topic}: {} sent, {} arrived, {twice} of them once more than needed", sent.len(), sink.spans());
        ensure!(sent.len() == SPANS);
        ensure!(twice <= FEW as u64, "{topic}: {twice} came twice, more than {FEW}");
    }
    Ok(())
}

#[tokio::test]
async fn a_partition_that_went_while_it_was_paused_and_comes_back_is_read_again() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    sink.behave(Behaviour::Unavailable(None));
    kafka.create_topic("back", PARTITIONS).await?;
    let front = front(&kafka, "back")?.start().await?;
    let start = async || {
        node(&kafka, "back", &sink)?
            .set("export.sink.queue", json!({ "size": "128KiB" }))
            .set("export.sink.batch.size", "64KiB")
            .set("receive.kafka.fetch_buffer", "128KiB")
            .start()
            .await
    };
    let mut stays = start().await?;
    has_partitions(&stays, |count| count == PARTITIONS).await?;
    let sent = ids(&send(&front, 103, 40, 200).await?);
    reached(&stays, "tracemill_receive_kafka_paused_partitions", &[], PARTITIONS as f64).await?;
    let mut goes = start().await?;
    has_partitions(&goes, |count| count == PARTITIONS / 2).await?;
    has_partitions(&stays, |count| count == PARTITIONS / 2).await?;
    goes.kill().await?;
    has_partitions(&stays, |count| count == PARTITIONS).await?;
    sink.behave(Behaviour::Accept);
    arrived(&sink, &sent).await?;
    stays.settled().await?;
    ensure!(stays.stop().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_trace_with_an_error_arrives_whole_and_no_other_when_a_node_ends_and_one_is_added() -> Result<()> {
    let kafka = Kafka::start().await?;
    for (topic, end) in [("errors-killed", End::Killed), ("errors-stopped", End::Stopped)] {
        // Traces of several requests, a few of which have an error.
        let mix = Mix { errors: 0.004, ..Mix::PLAIN };
        let generator = Generator::new(Profile::Small, 102).mix(mix).traces_of(40);
        let (wanted, others) = with_and_without_errors(generator.clone());
        ensure!(wanted.len() > SPANS / 50 && others.len() > wanted.len(), "{} and {}", wanted.len(), others.len());
        // In memory: the one that ends takes what waits there with it, and Kafka has it still.
        let decides = |setup: Setup| {
            let errors =
                json!({ "name": "errors", "type": "status_code", "status_code": { "status_codes": ["ERROR"] } });
            let policies = json!({ "settings": { "policies": [errors] } });
            let waits = json!({ "root_delay": "1s", "idle": "2s" });
            setup.set("tail", waits).plugin("90-tail-sample", "tail-sample")?.sidecar("90-tail-sample", &policies)
        };
        let wanted_len = wanted.len();
        let outcome = one_ends_and_one_is_added(&kafka, topic, generator, end, Some(wanted), decides).await?;
        let Outcome { sink, sent, twice } = outcome;
        println!("{topic}: {wanted_len} of {} wanted, {twice} of them once more than needed", sent.len());
        ensure!(sent.len() == SPANS);
        let arrived = sink.arrivals(|arrivals| others.iter().filter(|id| arrivals.ids.contains_key(id)).count());
        ensure!(arrived == 0, "{topic}: {arrived} spans of traces without errors");
        // Decided behind what was not yet, and so not committed: seconds of the load of a node.
        ensure!(twice <= wanted_len as u64 / 2, "{topic}: {twice} of {wanted_len} came twice");
    }
    Ok(())
}

/// The ids of the spans that a load will have: those of traces with errors, and the others.
fn with_and_without_errors(mut generator: Generator) -> (Vec<u64>, Vec<u64>) {
    let mut traces: HashMap<Vec<u8>, (bool, Vec<u64>)> = HashMap::new();
    for _ in 0..SPANS / REQUEST {
        let made = generator.request(REQUEST);
        for span in spans(&made.request) {
            let (has_error, ids) = traces.entry(span.trace_id.clone()).or_default();
            *has_error |= span.status.as_ref().is_some_and(|status| status.code == StatusCode::Error as i32);
            ids.push(id(span));
        }
    }
    let (with, without): (Vec<_>, Vec<_>) = traces.into_values().partition(|(has_error, _)| *has_error);
    let ids = |all: Vec<(bool, Vec<u64>)>| all.into_iter().flat_map(|(_, ids)| ids).collect();
    (ids(with), ids(without))
}
