//! The same with queues on disk.

use std::path::Path;

use super::*;
use crate::export::config::{QueueConfig, QueueMode};

/// Endpoints on these sinks, with queues in this folder.
async fn on_disk(mode: fn(std::path::PathBuf) -> QueueMode, folder: &Path, sinks: &[&Sink]) -> DestinationConfig {
    let mut list = Vec::new();
    for sink in sinks {
        list.push(endpoint(Protocol::Grpc, sink.listen().await));
    }
    let mut config = quick("test", list[0].clone());
    config.endpoints = Endpoints::new(list).unwrap();
    config.endpoints.balance = Balance::ByTrace;
    config.batch.max_items = 50;
    config.timeout = Duration::from_secs(2);
    // Little in memory: most is on disk alone.
    let memory_bytes = 5_000;
    config.queue =
        QueueConfig { mode: mode(folder.to_owned()), max_bytes: 1 << 30, memory_bytes, ..QueueConfig::default() };
    config
}

/// The same without some of its endpoints.
fn only(config: &DestinationConfig, which: &[usize]) -> DestinationConfig {
    let list = which.iter().map(|&at| config.endpoints.iter().nth(at).unwrap().clone()).collect();
    let mut endpoints = Endpoints::new(list).unwrap();
    endpoints.balance = Balance::ByTrace;
    DestinationConfig { endpoints, ..config.clone() }
}

fn folders(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("traces/endpoints")).unwrap().count()
}

impl Bench {
    /// With files that the run before may still read for a moment.
    async fn reopened(config: DestinationConfig) -> Self {
        let bench = Self::new(vec![]);
        until(async || bench.exports.reconfigure(vec![config.clone()]).is_ok()).await;
        bench
    }

    async fn send_anyhow(&self, parcel: Parcel) {
        match self.exports.accept(parcel).unwrap() {
            Taken::Whole => {}
            Taken::Later(commit) => written(commit).await.unwrap(),
        }
    }
}

const MODES: [fn(std::path::PathBuf) -> QueueMode; 2] = [QueueMode::Durable, QueueMode::Spill];

#[tokio::test]
async fn what_is_on_disk_for_one_that_is_taken_out_goes_to_the_disks_of_the_others() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [(); 2].map(|()| Sink::new([], Reply::Ok));
        let dead = Sink::new([], BUSY);
        let config = on_disk(mode, folder.path(), &[&one, &two, &dead]).await;
        let bench = Bench::new(vec![config.clone()]);
        for span in 0..SPANS {
            for part in 0..10 {
                bench.send_anyhow(spans_of(part * 30..part * 30 + 30, span..span + 1)).await;
            }
        }
        let theirs = |sinks: &[&Sink]| sinks.iter().map(|sink| sink.seen().taken.len() as i64).sum::<i64>();
        until(async || {
            bench.of("sent_spans_total", "test") == theirs(&[&one, &two]) && bench.of("held_spans", "test") < 500
        })
        .await;
        bench.assert_sum("test");
        assert_eq!(folders(folder.path()), 3);
        bench.exports.reconfigure(vec![only(&config, &[0, 1])]).unwrap();
        bench.until_quiet("test").await;
        bench.until_moved().await;
        assert_each_once(&[&one, &two], 300 * SPANS);
        assert_eq!(whole(&one).len() + whole(&two).len(), 300);
        // Its folder goes a moment after it.
        until(async || folders(folder.path()) == 2).await;
        until(async || bench.of_traces("queue_disk_bytes", "test") == 0).await;
    }
}

#[tokio::test]
async fn what_an_earlier_run_left_for_one_that_is_gone_goes_to_the_others() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let (one, dead) = (Sink::new([], Reply::Ok), Sink::new([], BUSY));
        let config = on_disk(mode, folder.path(), &[&one, &dead]).await;
        let bench = Bench::new(vec![config.clone()]);
        for part in 0..10 {
            bench.send_anyhow(traces(part * 20..part * 20 + 20)).await;
        }
        // Nothing is on its way to the one: what a drain cuts off counts as left though it has arrived.
        let alive = config.endpoints.first().uri(Signal::Traces).authority().unwrap().to_string();
        until(async || {
            bench.waiting_for(&alive) == 0 && bench.of("sent_spans_total", "test") == one.seen().taken.len() as i64
        })
        .await;
        bench.exports.drain(Duration::from_secs(1)).await;
        bench.assert_sum("test");
        let left = bench.of_disk("left_spans_total", "test");
        assert!(left > 200, "{left}");
        assert_eq!(whole(&one).len() as i64 * 4 + left, 800);
        drop(bench);

        let two = Sink::new([], Reply::Ok);
        let mut next = on_disk(mode, folder.path(), &[&two]).await;
        next.endpoints =
            Endpoints::new(vec![config.endpoints.first().clone(), next.endpoints.first().clone()]).unwrap();
        next.endpoints.balance = Balance::ByTrace;
        let bench = Bench::reopened(next).await;
        assert_eq!(bench.of_disk("replayed_spans_total", "test"), left);
        bench.until_quiet("test").await;
        bench.until_moved().await;
        assert_each_once(&[&one, &two], 800);
        until(async || folders(folder.path()) == 2).await;
    }
}

#[tokio::test]
async fn one_queue_on_disk_becomes_several_over_a_restart_and_one_again() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Sink::new([], BUSY);
    let mut single = on_disk(QueueMode::Durable, folder.path(), &[&dead]).await;
    single.endpoints.balance = Balance::Failover;
    let bench = Bench::new(vec![single]);
    bench.send_anyhow(traces(0..100)).await;
    bench.exports.drain(Duration::ZERO).await;
    drop(bench);

    let (one, dead) = (Sink::new([], Reply::Ok), Sink::new([], BUSY));
    let bench = Bench::reopened(on_disk(QueueMode::Durable, folder.path(), &[&one, &dead]).await).await;
    until(async || bench.of("sent_spans_total", "test") > 0 && bench.exports.0.leaving.lock().is_empty()).await;
    let sent = whole(&one).len();
    assert!((30..70).contains(&sent), "{sent}");
    bench.exports.drain(Duration::ZERO).await;
    drop(bench);

    let last = Sink::new([], Reply::Ok);
    let mut single = on_disk(QueueMode::Durable, folder.path(), &[&last]).await;
    single.endpoints.balance = Balance::Failover;
    let bench = Bench::reopened(single).await;
    bench.until_quiet("test").await;
    bench.until_moved().await;
    assert_each_once(&[&one, &last], 400);
}
