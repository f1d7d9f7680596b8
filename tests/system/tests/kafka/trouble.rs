//! What goes wrong on the way: a back end that takes nothing, messages that are no OTLP, a broker that hangs.

use crate::bench::{all_is_committed, arrived, consumer, front, has_partitions, ids, node, send};
use anyhow::Result;
use harness::spans::Mix;
use harness::{Behaviour, Generator, Kafka, Profile, Sink, wait};
use nix::sys::signal::Signal;
use serde_json::json;
use system::reached;

#[tokio::test]
async fn a_full_queue_pauses_the_partitions_and_nothing_is_lost_or_sent_twice() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    sink.behave(Behaviour::Unavailable(None));
    kafka.create_topic("full", 2).await?;
    let front = front(&kafka, "full")?.start().await?;
    let small = json!({ "size": "128KiB" });
    let mut tail = node(&kafka, "full", &sink)?
        .set("export.sink.queue", small)
        .set("export.sink.batch.size", "64KiB")
        .set("receive.kafka.fetch_buffer", "128KiB")
        .start()
        .await?;
    let sent = ids(&send(&front, 91, 40, 200).await?);
    let paused = async || (consumer(&tail).await.ok()?["paused"] == true).then_some(());
    wait::until("the consumer to pause", paused).await?;
    reached(&tail, "tracemill_receive_kafka_retries_total", &[], 1.0).await?;
    sink.behave(Behaviour::Accept);
    assert_eq!(arrived(&sink, &sent).await?, 0);
    tail.settled().await?;
    let shown = consumer(&tail).await?;
    assert_eq!(shown["paused"], false, "{shown:#}");
    assert!(tail.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn few_bytes_in_flight_and_few_uncommitted_messages_are_enough() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    kafka.create_topic("tight", 2).await?;
    let front = front(&kafka, "tight")?.start().await?;
    let tail = node(&kafka, "tight", &sink)?
        .set("receive.kafka.max_uncommitted", 3)
        .set("receive.limits.in_flight", "64KiB")
        .start()
        .await?;
    let sent = ids(&send(&front, 92, 20, 200).await?);
    assert_eq!(arrived(&sink, &sent).await?, 0);
    tail.settled().await?;
    Ok(())
}

#[tokio::test]
async fn a_message_that_is_no_otlp_is_skipped_and_counted_and_holds_nothing_up() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    kafka.create_topic("mixed", 1).await?;
    let front = front(&kafka, "mixed")?.start().await?;
    let mut sent = ids(&send(&front, 93, 1, 10).await?);
    front.settled().await?;
    kafka.write_nonsense("mixed", &["this is no OTLP", "{\"resourceSpans\":[]}"]).await?;
    sent.extend(ids(&send(&front, 94, 1, 10).await?));
    let mut tail = node(&kafka, "mixed", &sink)?.start().await?;
    has_partitions(&tail, |count| count == 1).await?;
    assert_eq!(arrived(&sink, &sent).await?, 0);
    let skipped = [("topic", "mixed"), ("reason", "malformed")];
    reached(&tail, "tracemill_receive_kafka_skipped_messages_total", &skipped, 2.0).await?;
    all_is_committed(&tail).await?;
    assert!(tail.log().contains("a message is skipped"), "{}", tail.log());
    assert!(tail.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_a_topic_finds_too_large_is_sent_in_less_and_nothing_twice() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    kafka.create_topic_with("narrow", 1, &["max.message.bytes=20000"]).await?;
    let front = front(&kafka, "narrow")?
        .set("export.kafka.compression", "none")
        // All of it in one batch.
        .set("export.kafka.batch.timeout", "1s")
        .start()
        .await?;
    let tail = node(&kafka, "narrow", &sink)?.start().await?;
    // Traces that are too large for a message, and many small ones that are so together.
    let large = Generator::new(Profile::Small, 104).mix(Mix::PLAIN).traces_of(150).request(300);
    let small = Generator::new(Profile::Small, 105).mix(Mix::PLAIN).request(200);
    let mut hopeless = Generator::new(Profile::Small, 106).mix(Mix::PLAIN).request(1).request;
    hopeless.resource_spans[0].scope_spans[0].spans[0].name = "x".repeat(30_000);
    let client = front.grpc();
    for request in [&large.request, &small.request, &hopeless] {
        assert!(client.send(request).await?.is_whole());
    }
    let sent = [large.ids, small.ids].concat();
    assert_eq!(arrived(&sink, &sent).await?, 0);
    let accounts = front.settled().await?;
    let account = accounts.destination("kafka").expect("an account");
    assert_eq!((account.sent, account.dropped, account.rejected), (500, 0, 1), "{account:?}");
    tail.settled().await?;
    assert_eq!(sink.spans(), 500);
    Ok(())
}

#[tokio::test]
async fn a_broker_that_hangs_does_not_use_up_the_time_of_a_shutdown() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    kafka.create_topic("parting", 1).await?;
    let front = front(&kafka, "parting")?.start().await?;
    let mut tail = node(&kafka, "parting", &sink)?.set("shutdown.timeout", "6s").start().await?;
    let sent = ids(&send(&front, 99, 2, 50).await?);
    arrived(&sink, &sent).await?;
    kafka.signal(Signal::SIGSTOP)?;
    let status = tail.stop().await?;
    kafka.signal(Signal::SIGCONT)?;
    assert!(status.success(), "{}", tail.log());
    assert!(tail.log().contains("could not leave its group in time"), "{}", tail.log());
    Ok(())
}

#[tokio::test]
async fn a_message_over_the_limit_is_skipped_and_its_partition_goes_on() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    kafka.create_topic("oversize", 1).await?;
    let front = front(&kafka, "oversize")?.start().await?;
    let mut sent = ids(&send(&front, 97, 1, 10).await?);
    front.settled().await?;
    // As large as a broker takes it, and twice what a request may have here.
    kafka.write_nonsense("oversize", &[&"x".repeat(128 << 10)]).await?;
    let behind = ids(&send(&front, 98, 10, 10).await?);
    sent.extend(&behind);
    front.settled().await?;
    let mut tail = node(&kafka, "oversize", &sink)?
        .set("receive.limits.request", "64KiB")
        // Fewer than there are behind it: if it were never done, they would not all be taken.
        .set("receive.kafka.max_uncommitted", 2)
        .start()
        .await?;
    assert_eq!(arrived(&sink, &sent).await?, 0);
    let skipped = [("topic", "oversize"), ("reason", "too_large")];
    reached(&tail, "tracemill_receive_kafka_skipped_messages_total", &skipped, 1.0).await?;
    all_is_committed(&tail).await?;
    assert!(tail.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_broker_that_hangs_is_waited_for_in_the_queue() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    kafka.create_topic("hanging", 1).await?;
    let front = front(&kafka, "hanging")?.set("export.kafka.timeout", "1s").start().await?;
    let tail = node(&kafka, "hanging", &sink)?.start().await?;
    let mut sent = ids(&send(&front, 95, 2, 50).await?);
    arrived(&sink, &sent).await?;
    kafka.signal(Signal::SIGSTOP)?;
    sent.extend(ids(&send(&front, 96, 5, 50).await?));
    reached(&front, "tracemill_export_requests_total", &[("destination", "kafka"), ("outcome", "retry")], 1.0).await?;
    kafka.signal(Signal::SIGCONT)?;
    // What it had read before it hung may be written after all, and be sent again: that is at least once.
    arrived(&sink, &sent).await?;
    let accounts = front.settled().await?;
    let kafka = accounts.destination("kafka").expect("an account");
    assert_eq!((kafka.sent, kafka.dropped, kafka.rejected), (350, 0, 0), "{kafka:?}");
    drop(tail);
    Ok(())
}
