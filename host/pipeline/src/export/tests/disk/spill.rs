//! Queues that go to the disk only when they must.

use std::sync::atomic::Ordering;

use super::*;
use crate::custody::{Custody, Fate};
use crate::export::config::Endpoints;

async fn spill(sink: &Sink, folder: &Path) -> DestinationConfig {
    let mut config = on_disk("back", sink, QueueMode::Spill, folder).await;
    config.queue.memory_bytes = 5 * parcel(0..10).body.len();
    config
}

fn unread(bench: &Bench) -> u64 {
    bench.spool(0).unread().records
}

#[tokio::test]
async fn while_the_back_end_keeps_up_the_disk_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], Reply::Ok);
    let bench = Bench::new(vec![spill(&sink, folder.path()).await]);
    for n in 0..10 {
        bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
        bench.until_quiet("back").await;
    }
    assert_eq!(sink.seen().taken.len(), 100);
    assert_eq!(bench.of_traces("queue_commits_total", "back"), 0);
}

#[tokio::test]
async fn what_memory_has_no_room_for_goes_to_the_disk_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], HANG);
    let mut config = spill(&sink, folder.path()).await;
    config.concurrency = 1;
    let bench = Bench::new(vec![config.clone()]);
    bench.send(parcel(0..10)).unwrap();
    // Its only sender has something to do, and takes nothing back from the disk meanwhile.
    sink.until(|seen| seen.requests.len() == 1).await;
    for n in 1..200 {
        bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
    }
    until(async || unread(&bench) >= 190).await;
    bench.assert_sum("back");
    let alive = Sink::new([], Reply::Ok);
    config.endpoints = endpoint(Protocol::Http, alive.listen().await).into();
    bench.exports.reconfigure(vec![config]).unwrap();
    let seen = alive.until(|seen| seen.taken.len() == 2000).await;
    assert!(seen.taken.values().all(|&times| times == 1));
    bench.until_quiet("back").await;
    bench.until_disk_is_free("back").await;
}

#[tokio::test]
async fn what_somebody_answers_for_is_synced_before_they_let_go_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], HANG);
    let mut config = spill(&sink, folder.path()).await;
    config.concurrency = 1;
    let bench = Bench::new(vec![config.clone()]);
    bench.send(parcel(0..10)).unwrap();
    sink.until(|seen| seen.requests.len() == 1).await;
    for n in 1..20 {
        bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
    }
    until(async || unread(&bench) > 0).await;
    bench.spool(0).store().flush();
    let fates = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&fates);
    let custody = Custody::new(move |fate| told.lock().push(fate));
    bench.spool(0).store().faults().sync.store(true, Ordering::Relaxed);
    let before = unread(&bench);
    bench.send(Parcel { custody: Some(custody), ..parcel(200..210) }).unwrap();
    let failed = async || bench.of_traces("queue_failed_commits_total", "back") > 0;
    until(async || failed().await || unread(&bench) > before).await;
    assert_eq!(*fates.lock(), [], "it is on no disk that would survive");
    // It is in memory then, and whoever answers for it is told when it is delivered.
    let alive = Sink::new([], Reply::Ok);
    config.endpoints = endpoint(Protocol::Http, alive.listen().await).into();
    bench.exports.reconfigure(vec![config]).unwrap();
    alive.until(|seen| seen.taken.len() == 210).await;
    bench.until_quiet("back").await;
    assert_eq!(*fates.lock(), [Fate::Settled]);
}

#[tokio::test]
async fn while_the_back_end_is_down_all_goes_to_the_disk_and_survives_a_crash() {
    for endpoints in [1, 2] {
        down(endpoints).await;
    }
}

/// Back ends of which none takes anything.
async fn down(endpoints: usize) {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], BUSY);
    let mut config = spill(&sink, folder.path()).await;
    config.concurrency = 1;
    let mut all = Vec::new();
    for _ in 0..endpoints {
        all.push(endpoint(Protocol::Http, sink.listen().await));
    }
    config.endpoints = Endpoints::new(all).unwrap();
    let bench = Bench::new(vec![config]);
    bench.send(parcel(0..10)).unwrap();
    sink.until(|seen| seen.requests.len() > 2).await;
    for n in 1..4 {
        bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
    }
    bench.spool(0).store().flush();
    let alive = Sink::new([], Reply::Ok);
    let after = crashed(folder.path());
    let again = Bench::new(vec![spill(&alive, after.path()).await]);
    let seen = alive.until(|seen| seen.taken.len() == 30).await;
    assert!(!seen.taken.contains_key(&0), "that was in memory alone");
    again.until_quiet("back").await;
}

#[tokio::test]
async fn a_full_disk_makes_it_a_queue_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], HANG);
    let mut config = spill(&sink, folder.path()).await;
    config.concurrency = 1;
    let bench = Bench::new(vec![config.clone()]);
    bench.disk_is_full(0, true);
    let mut taken = 0;
    let refusal = loop {
        match bench.send(parcel(taken * 10..taken * 10 + 10)) {
            Ok(()) => taken += 1,
            Err(refusal) => break refusal,
        }
        bench.spool(0).store().flush();
    };
    assert!(refusal.is_retryable());
    assert!((4..20).contains(&taken), "{taken}");
    bench.assert_sum("back");
    let alive = Sink::new([], Reply::Ok);
    config.endpoints = endpoint(Protocol::Http, alive.listen().await).into();
    bench.exports.reconfigure(vec![config]).unwrap();
    alive.until(|seen| seen.taken.len() as u64 == taken * 10).await;
    bench.until_quiet("back").await;
}

#[tokio::test]
async fn a_shutdown_brings_to_the_disk_what_it_cannot_deliver() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], HANG);
    let mut config = spill(&sink, folder.path()).await;
    config.concurrency = 1;
    config.timeout = Duration::from_mins(1);
    let bench = Bench::new(vec![config]);
    for n in 0..20 {
        bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
    }
    sink.until(|seen| seen.requests.len() == 1).await;
    assert_eq!(bench.exports.drain(Duration::from_millis(50)).await, DrainReport::default());
    assert_eq!(bench.of("left_spans_total", "back"), 200);
    bench.assert_sum("back");
    drop(bench);
    let alive = Sink::new([], Reply::Ok);
    let bench = Bench::new(vec![spill(&alive, folder.path()).await]);
    alive.until(|seen| seen.taken.len() == 200).await;
    bench.until_quiet("back").await;
}
