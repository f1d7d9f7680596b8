//! Full queues, several destinations, reloads and the end.

use super::*;

const HANG: Reply = Reply::Hang;

/// A destination whose queue has room for so many parcels of ten spans.
async fn small(name: &str, sink: &Sink, parcels: usize, on_full: OnFull) -> DestinationConfig {
    let mut config = quick(name, endpoint(Protocol::Http, sink.listen().await));
    config.concurrency = 1;
    config.timeout = Duration::from_mins(10);
    config.batch.max_items = 10;
    config.queue.max_bytes = parcels * (parcel(0..10).body.len() + 160);
    config.queue.on_full = on_full;
    config
}

#[tokio::test]
async fn a_full_queue_refuses_for_all_names_itself_and_leaves_nothing_anywhere() {
    let (stuck, free) = (Sink::new([], HANG), Sink::new([], Reply::Ok));
    let second = quick("free", endpoint(Protocol::Grpc, free.listen().await));
    let bench = Bench::new(vec![second, small("stuck", &stuck, 3, OnFull::Refuse).await]);
    for n in 0..3 {
        assert_eq!(bench.exports.is_full(), None);
        bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
    }
    let refusal = bench.send(parcel(30..40)).unwrap_err();
    assert!(refusal.is_retryable());
    assert!(refusal.message.contains("`stuck`"), "{}", refusal.message);
    assert_eq!(bench.exports.is_full(), Some(refusal));
    // What was taken arrives where there is no trouble; what was refused nowhere.
    let seen = free.until(|seen| seen.taken.len() == 30).await;
    assert!(seen.taken.keys().all(|&number| number < 30));
    bench.until_quiet("free").await;
    bench.assert_sum("stuck");
    assert_eq!(bench.of("admitted_spans_total", "stuck"), 30);
    assert_eq!((bench.of("refused_spans_total", "stuck"), bench.of("refused_spans_total", "free")), (10, 0));
}

#[tokio::test]
async fn room_that_was_reserved_and_not_used_comes_back() {
    let sink = Sink::new([], HANG);
    let bench = Bench::new(vec![small("back", &sink, 1, OnFull::Refuse).await]);
    let bytes = parcel(0..10).body.len();
    let reservation = bench.exports.reserve(Signal::Traces, bytes, 10).unwrap();
    assert!(bench.exports.reserve(Signal::Traces, bytes, 10).is_err());
    drop(reservation);
    assert_eq!(bench.of_traces("queue_bytes", "back"), 0);
    drop(bench.exports.reserve(Signal::Traces, bytes, 10).unwrap().commit(parcel(0..10)));
    assert!(bench.exports.reserve(Signal::Traces, 1, 1).is_err());
}

#[tokio::test]
async fn a_parcel_larger_than_the_queue_is_refused_for_good() {
    let sink = Sink::new([], Reply::Ok);
    let bench = Bench::new(vec![small("back", &sink, 1, OnFull::Refuse).await]);
    let refusal = bench.exports.reserve(Signal::Traces, 10_000, 1).err().unwrap();
    assert!(!refusal.is_retryable());
    assert!(refusal.message.contains("export.back.queue.size"), "{}", refusal.message);
}

#[tokio::test]
async fn an_empty_queue_takes_one_parcel_that_is_up_to_twice_as_large_as_itself() {
    for policy in [OnFull::Refuse, OnFull::DropOldest, OnFull::DropNewest] {
        let sink = Sink::new([], HANG);
        let bench = Bench::new(vec![small("back", &sink, 1, policy).await]);
        bench.send(parcel(0..17)).unwrap();
        sink.until(|seen| seen.requests.len() == 1).await;
        assert_eq!((bench.of("held_spans", "back"), bench.all_dropped("back")), (17, 0), "{policy:?}");
        // It is more than full now.
        let refused = bench.send(parcel(20..21)).is_err_and(|refusal| refusal.is_retryable());
        assert_eq!((refused, bench.all_dropped("back")), if policy == OnFull::Refuse { (true, 0) } else { (false, 1) });
        bench.assert_sum("back");
    }
}

#[tokio::test]
async fn queues_that_drop_never_refuse_and_count_what_they_drop() {
    for (policy, kept) in [(OnFull::DropOldest, [0, 40]), (OnFull::DropNewest, [0, 10])] {
        let sink = Sink::new([], HANG);
        let bench = Bench::new(vec![small("back", &sink, 2, policy).await]);
        bench.send(parcel(0..10)).unwrap();
        sink.until(|seen| seen.requests.len() == 1).await;
        for n in 1..5 {
            bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
            assert_eq!(bench.exports.is_full(), None);
        }
        assert_eq!(bench.dropped("back", "queue_full"), 30);
        bench.assert_sum("back");
        // Another queue gets what is left, so that it shows.
        let fresh = Sink::new([], Reply::Ok);
        bench.exports.reconfigure(vec![small("back", &fresh, 2, policy).await]).unwrap();
        fresh.until(|seen| seen.taken.contains_key(&kept[1])).await;
        assert!(!fresh.seen().taken.contains_key(&20));
    }
}

#[tokio::test]
async fn nothing_gives_way_to_a_parcel_that_has_no_room_all_the_same() {
    let sink = Sink::new([], HANG);
    let bench = Bench::new(vec![small("back", &sink, 3, OnFull::DropOldest).await]);
    bench.send(parcel(0..10)).unwrap();
    sink.until(|seen| seen.requests.len() == 1).await;
    bench.send(parcel(10..20)).unwrap();
    // As large as the whole queue but for one span, while a third of it is being sent.
    bench.send(parcel(20..49)).unwrap();
    assert_eq!(bench.dropped("back", "queue_full"), 29);
    assert_eq!(bench.of("held_spans", "back"), 20);
    bench.assert_sum("back");
}

#[tokio::test]
async fn the_bound_of_a_queue_is_shown_and_follows_a_reload() {
    let sink = Sink::new([], Reply::Ok);
    let mut config = small("back", &sink, 3, OnFull::Refuse).await;
    config.queue.max_bytes = 1 << 20;
    let bench = Bench::new(vec![config.clone()]);
    assert_eq!(bench.of_traces("queue_limit_bytes", "back"), 1 << 20);
    config.queue.max_bytes = 2 << 20;
    bench.exports.reconfigure(vec![config]).unwrap();
    assert_eq!(bench.of_traces("queue_limit_bytes", "back"), 2 << 20);
    // A destination that is gone has no bound.
    bench.exports.reconfigure(Vec::new()).unwrap();
    bench.until_quiet("back").await;
    assert!(!bench.scrape().contains("queue_limit_bytes{destination=\"back\",signal=\"traces\"}"));
}

#[tokio::test]
async fn an_unchanged_destination_survives_a_reload_with_its_queue() {
    let sink = Sink::new([], HANG);
    let config = small("back", &sink, 4, OnFull::Refuse).await;
    let bench = Bench::new(vec![config.clone()]);
    bench.send(parcel(0..10)).unwrap();
    let before = bench.exports.0.of(Signal::Traces).unwrap();
    bench.exports.reconfigure(vec![config.clone()]).unwrap();
    assert!(Arc::ptr_eq(&before[0], &bench.exports.0.of(Signal::Traces).unwrap()[0]));
    // A reload that fails changes nothing.
    assert!(matches!(bench.exports.reconfigure(vec![config.clone(), config]), Err(StartError::SameName(_))));
    assert!(Arc::ptr_eq(&before[0], &bench.exports.0.of(Signal::Traces).unwrap()[0]));
}

#[tokio::test]
async fn a_changed_destination_hands_over_all_it_holds_even_under_a_reservation() {
    let (dead, alive) = (Sink::new([], Reply::Status(503, 14, None)), Sink::new([], Reply::Ok));
    let bench = Bench::new(vec![small("back", &dead, 8, OnFull::Refuse).await]);
    let late = bench.exports.reserve(Signal::Traces, parcel(0..10).body.len(), 10).unwrap();
    for n in 1..5 {
        bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
    }
    dead.until(|seen| !seen.requests.is_empty()).await;
    bench.exports.reconfigure(vec![quick("back", endpoint(Protocol::Grpc, alive.listen().await))]).unwrap();
    drop(late.commit(parcel(0..10)));
    alive.until(|seen| seen.taken.len() == 50).await;
    bench.until_quiet("back").await;
    assert_eq!(bench.of("sent_spans_total", "back"), 50);
    assert_eq!(bench.all_dropped("back"), 0);
}

#[tokio::test]
async fn a_removed_destination_sends_what_it_holds() {
    let sink = Sink::new([], Reply::Ok);
    let mut config = quick("gone", endpoint(Protocol::Grpc, sink.listen().await));
    config.batch.timeout = Duration::from_hours(1);
    let bench = Bench::new(vec![config]);
    bench.send(parcel(0..10)).unwrap();
    bench.exports.reconfigure(Vec::new()).unwrap();
    sink.until(|seen| seen.taken.len() == 10).await;
    bench.until_quiet("gone").await;
    assert_eq!(bench.of("sent_spans_total", "gone"), 10);
}

#[tokio::test]
async fn draining_sends_what_waits_without_waiting_for_full_batches() {
    let sink = Sink::new([Reply::Status(503, 14, None)], Reply::Ok);
    let mut config = quick("back", endpoint(Protocol::Http, sink.listen().await));
    config.batch.timeout = Duration::from_hours(1);
    config.retry.initial = Duration::from_hours(1);
    config.retry.max = Duration::from_hours(1);
    let bench = Bench::new(vec![config]);
    bench.send(parcel(0..10)).unwrap();
    assert_eq!(bench.exports.drain(Duration::from_mins(1)).await, DrainReport::default());
    assert_eq!(sink.seen().taken.len(), 10);
    bench.until_quiet("back").await;
    assert!(bench.send(parcel(0..1)).unwrap_err().is_retryable());
    assert!(matches!(bench.exports.reconfigure(Vec::new()), Err(StartError::Ended)));
}

#[tokio::test]
async fn what_a_drain_cannot_deliver_is_reported_and_counted() {
    let (stuck, free) = (Sink::new([], HANG), Sink::new([], Reply::Ok));
    let second = quick("free", endpoint(Protocol::Grpc, free.listen().await));
    let bench = Bench::new(vec![small("stuck", &stuck, 8, OnFull::Refuse).await, second]);
    for n in 0..3 {
        bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
    }
    let late = bench.exports.reserve(Signal::Traces, parcel(30..40).body.len(), 10).unwrap();
    stuck.until(|seen| !seen.requests.is_empty()).await;
    until(async || bench.of("sent_spans_total", "free") == 30).await;
    let report = bench.exports.drain(Duration::from_millis(50)).await;
    assert_eq!(report.undelivered, [("stuck".to_owned(), Signal::Traces, 30)]);
    assert_eq!(bench.dropped("stuck", "shutdown"), 30);
    // Too late, and still accounted for.
    drop(late.commit(parcel(30..40)));
    bench.until_quiet("stuck").await;
    bench.until_quiet("free").await;
    assert_eq!(bench.dropped("stuck", "shutdown"), 40);
}
