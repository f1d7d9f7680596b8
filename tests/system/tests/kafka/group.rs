//! Nodes of a group come and go in the middle of the load: each span is delivered, and few are delivered twice.

use crate::bench::{PARTITIONS, arrived, front, has_partitions, ids, node, send};
use anyhow::{Result, ensure};
use harness::load::{self, Load};
use harness::proxy::Setup;
use harness::spans::Mix;
use harness::{Behaviour, Generator, Kafka, Profile, Sink, wait};
use serde_json::json;
use system::reached;

const SPANS: usize = 30_000;
const RATE: usize = 3_000;
/// Messages of a partition that may be on their way at once.
const UNCOMMITTED: usize = 100;
/// Spans of one message, more or less: a trace of the generator's within a batch.
const LONGEST: usize = 16;

/// What the load went through: every node delivers to this sink.
pub struct Outcome {
    pub sink: Sink,
    /// Ids of all spans that the front tier has taken.
    pub sent: Vec<u64>,
    /// How often a span came once more than it needed to.
    pub twice: u64,
}

/// A steady load through two nodes, of which one is killed, and another is added. `also` sets up more of each node: plugins, say.
pub async fn one_is_killed_and_one_is_added(
    kafka: &Kafka,
    topic: &str,
    generator: Generator,
    also: impl Fn(Setup) -> Result<Setup>,
) -> Result<Outcome> {
    let sink = Sink::start().await?;
    kafka.create_topic(topic, PARTITIONS).await?;
    let start = async || {
        let setup = node(kafka, topic, &sink)?.set("receive.kafka.max_uncommitted", UNCOMMITTED);
        also(setup)?.start().await
    };
    let mut front = front(kafka, topic)?.start().await?;
    let (mut doomed, mut stays) = (start().await?, start().await?);
    // The load meets both.
    has_partitions(&doomed, |count| count == PARTITIONS / 2).await?;
    has_partitions(&stays, |count| count == PARTITIONS / 2).await?;
    let load = Load { spans: SPANS, per_request: 50, rate: RATE, senders: 4 };
    let client = front.grpc();
    let loading = tokio::spawn(async move { load::run(&client, generator, load).await });
    let passed = |part: usize| {
        let sink = &sink;
        wait::until_within(crate::bench::PATIENCE, "a part of the load", async move || {
            (sink.spans() as usize >= SPANS / part).then_some(())
        })
    };
    passed(5).await?;
    doomed.kill().await?;
    let mut added = start().await?;
    has_partitions(&added, |count| count > 0).await?;
    let sent = loading.await??.acknowledged;
    let twice = arrived(&sink, &sent).await?;
    front.settled().await?;
    for proxy in [&mut stays, &mut added, &mut front] {
        proxy.settled().await?;
        ensure!(proxy.stop().await?.success());
    }
    Ok(Outcome { sink, sent, twice })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_span_is_lost_and_few_come_twice_when_a_node_is_killed_and_one_is_added() -> Result<()> {
    let kafka = Kafka::start().await?;
    let generator = Generator::new(Profile::Small, 101).mix(Mix::PLAIN);
    let outcome = one_is_killed_and_one_is_added(&kafka, "moving", generator, Ok).await?;
    let Outcome { sink, sent, twice } = outcome;
    println!("{} sent, {} arrived, {twice} of them once more than needed", sent.len(), sink.spans());
    ensure!(sent.len() == SPANS);
    // What the one that was killed had delivered and not committed; what either node had under way when partitions moved on.
    let most = 3 * PARTITIONS * UNCOMMITTED * LONGEST;
    ensure!(twice <= most as u64, "{twice} came twice, more than {most}");
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
async fn what_waits_for_its_decision_is_not_lost_either() -> Result<()> {
    let kafka = Kafka::start().await?;
    let generator = Generator::new(Profile::Small, 102).mix(Mix::PLAIN);
    // In memory: the one that is killed takes what waits there with it, and Kafka has it still.
    let decides = |setup: Setup| {
        let everything = json!({ "settings": { "policies": [{ "name": "everything", "type": "always_sample" }] } });
        let waits = json!({ "root_delay": "100ms", "idle": "300ms" });
        setup.set("tail", waits).plugin("90-tail-sample", "tail-sample")?.sidecar("90-tail-sample", &everything)
    };
    let Outcome { sink, sent, twice } = one_is_killed_and_one_is_added(&kafka, "deciding", generator, decides).await?;
    println!("{} sent, {} arrived, {twice} of them once more than needed", sent.len(), sink.spans());
    ensure!(sent.len() == SPANS);
    Ok(())
}
