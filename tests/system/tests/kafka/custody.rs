//! An offset is committed when its spans are delivered, or on a disk that answers for them, and no sooner: what a node has taken into its memory and not
//! delivered is delivered by another, whether the node ends well or not.

use crate::bench::{PARTITIONS, all_is_committed, arrived, consumer, front, has_partitions, ids, node, send};
use anyhow::Result;
use harness::{Behaviour, Kafka, Sink};
use serde_json::json;
use system::reached;

#[tokio::test]
async fn what_a_node_has_not_delivered_is_delivered_by_the_next_however_it_ends() -> Result<()> {
    let kafka = Kafka::start().await?;
    for (topic, is_killed) in [("killed", true), ("ended", false)] {
        let (down, sink) = (Sink::start().await?, Sink::start().await?);
        down.behave(Behaviour::Unavailable(None));
        kafka.create_topic(topic, PARTITIONS).await?;
        let front = front(&kafka, topic)?.start().await?;
        let mut first = node(&kafka, topic, &down)?.set("shutdown.timeout", "2s").start().await?;
        let sent = ids(&send(&front, 81, 20, 100).await?);
        reached(&first, "tracemill_admitted_spans_total", &[], 2000.0).await?;
        front.settled().await?;
        // It has them all, in memory, and has answered for none.
        let said = consumer(&first).await?;
        let partitions = said["partitions"].as_array().cloned().unwrap_or_default();
        assert!(partitions.iter().all(|partition| partition["committed"].is_null()), "{said:#}");
        assert!(said["uncommitted"].as_u64() > Some(0), "{said:#}");
        if is_killed {
            first.kill().await?;
        } else {
            let status = first.stop().await?;
            assert!(!status.success(), "it could not deliver");
        }
        let mut second = node(&kafka, topic, &sink)?.start().await?;
        has_partitions(&second, |count| count == PARTITIONS).await?;
        let twice = arrived(&sink, &sent).await?;
        assert_eq!(twice, 0, "{topic}: none was delivered by the first");
        all_is_committed(&second).await?;
        assert!(second.stop().await?.success());
    }
    Ok(())
}

#[tokio::test]
async fn what_is_on_the_disk_of_a_node_is_its_own_to_deliver() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    sink.behave(Behaviour::Unavailable(None));
    kafka.create_topic("durable", PARTITIONS).await?;
    let folder = tempfile::tempdir()?;
    let durable = json!({ "mode": "durable", "folder": folder.path() });
    let start = || async { node(&kafka, "durable", &sink)?.set("export.sink.queue", durable.clone()).start().await };
    let front = front(&kafka, "durable")?.start().await?;
    let mut first = start().await?;
    let sent = ids(&send(&front, 82, 20, 100).await?);
    reached(&first, "tracemill_admitted_spans_total", &[], 2000.0).await?;
    // The disk answers for them: nobody else needs them.
    all_is_committed(&first).await?;
    first.kill().await?;
    sink.behave(Behaviour::Accept);
    let mut again = start().await?;
    let twice = arrived(&sink, &sent).await?;
    again.settled().await?;
    // What was committed a moment before it was killed is not read again; what was not may come twice.
    assert_eq!(twice, 0);
    assert!(again.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn what_waits_undecided_on_the_disk_of_a_node_is_decided_once_it_is_back() -> Result<()> {
    let (kafka, sink) = (Kafka::start().await?, Sink::start().await?);
    kafka.create_topic("undecided", PARTITIONS).await?;
    let folder = tempfile::tempdir()?;
    let everything = json!({ "settings": { "policies": [{ "name": "everything", "type": "always_sample" }] } });
    let start = async |wait: &str| {
        let waits = json!({ "root_delay": wait, "idle": wait, "longest": "1h" });
        node(&kafka, "undecided", &sink)?
            .set("tail", waits)
            .set("tail.mode", "durable")
            .set("tail.folder", folder.path().to_string_lossy())
            .plugin("90-tail-sample", "tail-sample")?
            .sidecar("90-tail-sample", &everything)?
            .start()
            .await
    };
    let front = front(&kafka, "undecided")?.start().await?;
    let mut first = start("1h").await?;
    let sent = ids(&send(&front, 83, 20, 100).await?);
    reached(&first, "tracemill_tail_held_spans", &[], 2000.0).await?;
    // The disk answers for them, decided or not.
    all_is_committed(&first).await?;
    assert_eq!(sink.spans(), 0, "none is decided yet");
    first.kill().await?;
    let mut again = start("500ms").await?;
    let twice = arrived(&sink, &sent).await?;
    let accounts = again.settled().await?;
    assert_eq!((accounts.door.replayed, twice), (2000, 0), "from its own disk, and from there alone");
    assert!(again.stop().await?.success());
    Ok(())
}
