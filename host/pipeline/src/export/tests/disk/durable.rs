//! Durable queues: over restarts, reloads, removals and shutdowns.

use super::*;

#[tokio::test]
async fn what_is_acknowledged_is_on_disk_delivered_once_and_gone() {
    for protocol in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let sink = Sink::new([BUSY], Reply::Ok);
        let mut config = durable("back", &sink, folder.path()).await;
        config.endpoints = endpoint(protocol, sink.listen().await).into();
        let bench = Bench::new(vec![config]);
        for n in 0..20 {
            bench.send_durably(parcel(n * 10..n * 10 + 10)).await.unwrap();
        }
        let seen = sink.until(|seen| seen.taken.len() == 200).await;
        bench.until_quiet("back").await;
        assert!(seen.taken.values().all(|&times| times == 1));
        assert!(bench.of_traces("queue_commits_total", "back") > 0);
        bench.until_disk_is_free("back").await;
    }
}

#[tokio::test]
async fn after_a_crash_all_that_was_not_delivered_is_sent_and_what_was_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([Reply::Ok], HANG);
    let bench = Bench::new(vec![durable("back", &sink, folder.path()).await]);
    bench.send_durably(parcel(0..10)).await.unwrap();
    until(async || bench.of("sent_spans_total", "back") == 10).await;
    for n in 1..8 {
        bench.send_durably(parcel(n * 10..n * 10 + 10)).await.unwrap();
    }
    bench.spool(0).store().flush();
    let after = crashed(folder.path());
    let sink = Sink::new([], Reply::Ok);
    let bench = Bench::new(vec![durable("back", &sink, after.path()).await]);
    assert_eq!(bench.of("replayed_spans_total", "back"), 70);
    let seen = sink.until(|seen| seen.taken.len() == 70).await;
    assert_eq!(seen.taken.keys().copied().collect::<Vec<_>>(), (10..80).collect::<Vec<_>>());
    bench.until_quiet("back").await;
    bench.until_disk_is_free("back").await;
}

#[tokio::test]
async fn what_is_more_than_memory_may_hold_waits_on_disk_and_comes_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], Reply::Status(503, 14, Some(Duration::from_mins(1))));
    let mut config = durable("back", &sink, folder.path()).await;
    config.concurrency = 1;
    config.queue.memory_bytes = 5 * parcel(0..10).body.len();
    let bench = Bench::new(vec![config.clone()]);
    bench.send_durably(parcel(0..10)).await.unwrap();
    // Its only sender has something to wait for, and reads nothing meanwhile; nor is it in the middle of a request when another takes its place.
    let refused = "requests_total{destination=\"back\",signal=\"traces\",outcome=\"retry\"}";
    until(async || bench.value(refused) == 1).await;
    for n in 1..300 {
        bench.send_durably(parcel(n * 10..n * 10 + 10)).await.unwrap();
    }
    assert!(bench.spool(0).unread().records > 280);
    bench.assert_sum("back");
    // A reload keeps it all.
    let alive = Sink::new([], Reply::Ok);
    config.endpoints = endpoint(Protocol::Grpc, alive.listen().await).into();
    bench.exports.reconfigure(vec![config]).unwrap();
    let seen = alive.until(|seen| seen.taken.len() == 3000).await;
    bench.until_quiet("back").await;
    assert!(seen.order.iter().copied().eq(0..3000), "each once, and in the order in which they were taken");
    assert_eq!(bench.of("sent_spans_total", "back"), 3000);
    bench.until_disk_is_free("back").await;
    // What comes now does not touch the disk on its way out.
    bench.send_durably(parcel(5000..5010)).await.unwrap();
    assert_eq!(bench.spool(0).unread().records, 0);
    alive.until(|seen| seen.taken.contains_key(&5009)).await;
}

#[tokio::test]
async fn a_shutdown_leaves_it_on_disk_loses_nothing_and_does_not_wait_for_a_dead_back_end() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Sink::new([], BUSY);
    let mut config = durable("back", &dead, folder.path()).await;
    config.queue.memory_bytes = 5 * parcel(0..10).body.len();
    let bench = Bench::new(vec![config.clone()]);
    for n in 0..20 {
        bench.send_durably(parcel(n * 10..n * 10 + 10)).await.unwrap();
    }
    let started = Instant::now();
    assert_eq!(bench.exports.drain(Duration::from_mins(10)).await, DrainReport::default());
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!((bench.of("left_spans_total", "back"), bench.of("held_spans", "back")), (200, 0));
    assert_eq!(bench.of_traces("queue_bytes", "back"), 0);
    bench.assert_sum("back");
    drop(bench);
    let alive = Sink::new([], Reply::Ok);
    let bench = Bench::new(vec![durable("back", &alive, folder.path()).await]);
    alive.until(|seen| seen.taken.len() == 200).await;
    bench.until_quiet("back").await;
}

#[tokio::test]
async fn what_a_shutdown_can_deliver_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([], Reply::Ok);
    let mut config = durable("back", &sink, folder.path()).await;
    config.batch.max_items = 1000;
    config.batch.timeout = Duration::from_hours(1);
    let bench = Bench::new(vec![config]);
    bench.send_durably(parcel(0..10)).await.unwrap();
    bench.exports.drain(Duration::from_mins(1)).await;
    assert_eq!(sink.seen().taken.len(), 10);
    assert_eq!(bench.of("left_spans_total", "back"), 0);
    assert!(std::fs::read_dir(folder.path().join("traces")).unwrap().all(|entry| entry.unwrap().file_name() == "lock"));
}

#[tokio::test]
async fn a_parcel_that_is_cut_is_done_when_all_its_pieces_are() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([Reply::Ok, Reply::Ok], HANG);
    let mut config = durable("back", &sink, folder.path()).await;
    config.concurrency = 1;
    config.batch.max_request_bytes = 3000;
    let bench = Bench::new(vec![config]);
    bench.send_durably(parcel(0..100)).await.unwrap();
    sink.until(|seen| seen.requests.len() == 3).await;
    let after = crashed(folder.path());
    let sink = Sink::new([], Reply::Ok);
    let mut config = durable("back", &sink, after.path()).await;
    config.batch.max_request_bytes = 3000;
    let bench = Bench::new(vec![config]);
    // All of it, since some of it was not delivered.
    sink.until(|seen| seen.taken.len() == 100).await;
    bench.until_quiet("back").await;
    bench.until_disk_is_free("back").await;
}

#[tokio::test]
async fn spans_that_the_back_end_refuses_for_good_do_not_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new([Reply::Status(400, 3, None)], Reply::Ok);
    let bench = Bench::new(vec![durable("back", &sink, folder.path()).await]);
    bench.send_durably(parcel(0..10)).await.unwrap();
    bench.until_quiet("back").await;
    assert_eq!(bench.of("rejected_spans_total", "back"), 10);
    bench.until_disk_is_free("back").await;
}

#[tokio::test]
async fn a_removed_destination_leaves_its_queue_to_one_that_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Sink::new([], BUSY);
    let config = durable("back", &dead, folder.path()).await;
    let bench = Bench::new(vec![config]);
    bench.send_durably(parcel(0..10)).await.unwrap();
    bench.exports.reconfigure(Vec::new()).unwrap();
    until(async || bench.of("left_spans_total", "back") == 10).await;
    bench.assert_sum("back");
    let alive = Sink::new([], Reply::Ok);
    let config = durable("back", &alive, folder.path()).await;
    // The folder is free a moment after the last sender has ended.
    until(async || bench.exports.reconfigure(vec![config.clone()]).is_ok()).await;
    alive.until(|seen| seen.taken.len() == 10).await;
    bench.until_quiet("back").await;
}

#[tokio::test]
async fn folders_are_not_shared_and_do_not_change_while_running() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sink = Sink::new([], Reply::Ok);
    let one = durable("one", &sink, folder.path()).await;
    let bench = Bench::new(vec![one.clone()]);
    let two = durable("two", &sink, &folder.path().join(".")).await;
    let error = bench.exports.reconfigure(vec![one.clone(), two]).unwrap_err().to_string();
    assert!(error.contains("`one` and `two`") && error.contains("queue.folder"), "{error}");
    let moved = durable("one", &sink, other.path()).await;
    assert!(matches!(bench.exports.reconfigure(vec![moved]), Err(StartError::FolderChanged(_))));
    let mut memory = one.clone();
    memory.queue = QueueConfig::default();
    assert!(matches!(bench.exports.reconfigure(vec![memory]), Err(StartError::FolderChanged(_))));
    let registry = &mut Registry::default();
    let second = Exports::start(vec![one.clone()], Metrics::register(registry), Handle::current());
    let error = second.err().unwrap().to_string();
    assert!(error.contains("`one`") && error.contains("in use"), "{error}");
    // From durable to spill and back is another way to use the same.
    let mut spill = one.clone();
    spill.queue.mode = QueueMode::Spill(folder.path().to_owned());
    bench.exports.reconfigure(vec![spill]).unwrap();
    bench.exports.reconfigure(vec![one]).unwrap();
    bench.send_durably(parcel(0..10)).await.unwrap();
    bench.until_quiet("one").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backlog_goes_over_whole_however_often_the_configuration_changes() {
    let folder = tempfile::tempdir().unwrap();
    let dead = Sink::new([], BUSY);
    let mut config = durable("back", &dead, folder.path()).await;
    config.queue.memory_bytes = parcel(0..10).body.len();
    // Others make a reload take its time.
    let mut configs = vec![config.clone()];
    for number in 0..8 {
        configs.push(quick(&format!("other-{number}"), endpoint(Protocol::Http, dead.listen().await)));
    }
    let bench = Bench::new(configs.clone());
    for n in 0..200 {
        bench.send_durably(parcel(n * 10..n * 10 + 10)).await.unwrap();
    }
    for round in 0..30 {
        configs[0].timeout = Duration::from_millis(2000 + round);
        bench.exports.reconfigure(configs.clone()).unwrap();
        tokio::task::yield_now().await;
    }
    let alive = Sink::new([], Reply::Ok);
    configs.truncate(1);
    configs[0].endpoints = endpoint(Protocol::Http, alive.listen().await).into();
    bench.exports.reconfigure(configs).unwrap();
    alive.until(|seen| seen.taken.len() == 2000).await;
    bench.until_quiet("back").await;
    bench.until_disk_is_free("back").await;
    // An account that has gone wrong leaves no room for ever.
    assert_eq!(bench.exports.0.of(Signal::Traces).unwrap()[0].queue().room(), (1 << 30) - 160);
    bench.send_durably(parcel(2000..2010)).await.unwrap();
    bench.until_quiet("back").await;
}
