//! Limits in time: how long spans may wait, and how fast what waited comes back.

use super::*;

const AGE: Duration = Duration::from_secs(10);
const NEARLY: Duration = Duration::from_secs(9);

#[tokio::test(start_paused = true)]
async fn a_queue_whose_oldest_has_waited_too_long_is_full() {
    for policy in [OnFull::Refuse, OnFull::DropNewest, OnFull::DropOldest] {
        let sink = Sink::new([], HANG);
        let mut config = paused(Protocol::Http);
        config.timeout = Duration::from_hours(1);
        config.batch.max_items = 1;
        config.queue.max_age = Some(AGE);
        config.queue.on_full = policy;
        let bench = Bench::in_memory(config, &sink);
        bench.send(parcel(0..1)).unwrap();
        sink.until(|seen| seen.requests.len() == 1).await;
        bench.send(parcel(1..2)).unwrap();
        tokio::time::advance(NEARLY).await;
        bench.send(parcel(2..3)).unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(bench.exports.is_full().is_some(), policy == OnFull::Refuse);
        let outcome = bench.send(parcel(3..4));
        assert_eq!(outcome.is_err(), policy == OnFull::Refuse);
        if let Err(refusal) = outcome {
            assert!(refusal.is_retryable() && refusal.message.contains("max_age"), "{}", refusal.message);
        }
        let expected = match policy {
            OnFull::Refuse => (3, 0, 0),
            OnFull::DropNewest => (3, 1, 0),
            OnFull::DropOldest => (3, 0, 1),
        };
        let dropped = |reason| bench.dropped("test", reason);
        assert_eq!((bench.of("held_spans", "test"), dropped("queue_full"), dropped("too_old")), expected, "{policy:?}");
        bench.assert_sum("test");
    }
}

/// Leaves records behind that were taken at these times, as an earlier run would.
fn left_behind(folder: &Path, times: &[u64]) {
    let counters = Metrics::register(&mut Registry::default()).of_disk("back", Signal::Traces);
    let (store, _) = store::Store::open(&folder.join("traces"), 1 << 20, counters).unwrap();
    for (n, &time) in (0..).zip(times) {
        let record = store::Prepared::of(&parcel(n * 10..n * 10 + 10), time);
        store.append(record, true, Box::new(|written| assert!(written.is_ok()))).unwrap();
    }
    store.flush();
}

#[tokio::test]
async fn what_is_on_disk_alone_is_too_old_as_well() {
    for mode in MODES {
        for policy in [OnFull::Refuse, OnFull::DropNewest, OnFull::DropOldest] {
            let folder = tempfile::tempdir().unwrap();
            let (old, young) = (queue::now() - 60_000, queue::now());
            left_behind(folder.path(), &[young, old, old, young]);
            let sink = Sink::new([], HANG);
            let mut config = on_disk("back", &sink, mode, folder.path()).await;
            config.timeout = Duration::from_hours(1);
            config.concurrency = 1;
            config.queue.max_age = Some(Duration::from_secs(30));
            config.queue.on_full = policy;
            // The first record is read and being sent, and the others are left where they are.
            config.queue.drain_rate = Some(1);
            let bench = Bench::new(vec![config]);
            sink.until(|seen| seen.requests.len() == 1).await;
            assert_eq!(bench.spool(0).unread().records, 3);
            assert_eq!(bench.exports.is_full().is_some(), policy == OnFull::Refuse);
            let outcome = bench.send_to_disk(mode, parcel(40..50)).await;
            let expected = match policy {
                OnFull::Refuse => (40, 0, 0),
                OnFull::DropNewest => (40, 10, 0),
                OnFull::DropOldest => (30, 0, 20),
            };
            assert_eq!(outcome.is_err(), policy == OnFull::Refuse);
            let dropped = |reason| bench.dropped("back", reason);
            let so = || (bench.of("held_spans", "back"), dropped("queue_full"), dropped("too_old"));
            until(async || so() == expected).await;
            bench.assert_sum("back");
        }
    }
}

#[tokio::test]
async fn records_are_as_old_as_they_are_also_after_a_restart() {
    for (policy, sent) in [(OnFull::DropOldest, 10), (OnFull::Refuse, 30)] {
        let folder = tempfile::tempdir().unwrap();
        left_behind(folder.path(), &[0, queue::now() - 60_000, queue::now()]);
        let sink = Sink::new([], Reply::Ok);
        let mut config = durable("back", &sink, folder.path()).await;
        config.queue.max_age = Some(Duration::from_secs(30));
        config.queue.on_full = policy;
        let bench = Bench::new(vec![config]);
        bench.until_quiet("back").await;
        assert_eq!(bench.of("sent_spans_total", "back"), sent);
        assert_eq!(bench.dropped("back", "too_old"), 30 - sent);
        bench.until_disk_is_free("back").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_waited_comes_back_no_faster_than_the_drain_rate() {
    let folder = tempfile::tempdir().unwrap();
    let parcels = || (0..40).map(|n| noise(n * 10..n * 10 + 10, 90));
    let bytes: usize = parcels().map(|parcel| parcel.body.len()).sum();
    {
        let counters = Metrics::register(&mut Registry::default()).of_disk("test", Signal::Traces);
        let (store, _) = store::Store::open(&folder.path().join("traces"), 1 << 20, counters).unwrap();
        for parcel in parcels() {
            store.append(store::Prepared::of(&parcel, queue::now()), true, Box::new(|_| {})).unwrap();
        }
        store.flush();
    }
    let sink = Sink::new([], Reply::Ok);
    let mut config = paused(Protocol::Http);
    config.batch.timeout = Duration::ZERO;
    config.queue = QueueConfig {
        mode: QueueMode::Durable(folder.path().to_owned()),
        drain_rate: Some(10_000),
        ..QueueConfig::default()
    };
    let started = Instant::now();
    let bench = Bench::in_memory(config, &sink);
    sink.until(|seen| seen.taken.len() == 400).await;
    let (took, due) = (started.elapsed().as_secs_f64(), bytes as f64 / 10_000.0);
    assert!((due * 0.8..due * 1.3).contains(&took), "{bytes} bytes took {took} s, not {due} s");
    bench.until_quiet("test").await;
}
