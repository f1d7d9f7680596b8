//! What arrives when all goes well.

use super::*;

#[tokio::test]
async fn every_protocol_and_codec_delivers_each_span_once() {
    for protocol in BOTH {
        for compression in [Compression::None, Compression::GZIP, Compression::ZSTD] {
            let sink = Sink::new([], Reply::Ok);
            let mut config = quick("back", endpoint(protocol, sink.listen().await));
            config.compression = compression;
            config.headers.insert("x-scope-orgid", "team".parse().unwrap());
            let bench = Bench::new(vec![config]);
            for n in 0..50 {
                bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
            }
            // One that takes many frames.
            bench.send(parcel_of(500..900, 1000)).unwrap();
            let seen = sink.until(|seen| seen.taken.len() == 900).await;
            bench.until_quiet("back").await;
            assert!(seen.taken.values().all(|&times| times == 1));
            assert_eq!(seen.requests[0]["x-scope-orgid"], "team");
            // E9: the exporter, its version and its language.
            let agent = concat!("tracemill/", env!("CARGO_PKG_VERSION"), " (Rust)");
            assert!(seen.requests.iter().all(|headers| headers["user-agent"] == agent));
            assert_eq!(bench.of("sent_spans_total", "back"), 900);
            assert_eq!(bench.of_traces("retries_total", "back"), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn parcels_are_joined_until_the_batch_is_large_or_old_enough() {
    let in_items = BatchConfig { max_items: 30, ..BatchConfig::default() };
    let in_bytes = BatchConfig { max_bytes: parcel(0..10).body.len() * 3, ..BatchConfig::default() };
    for batch in [in_items, in_bytes] {
        let sink = Sink::new([], Reply::Ok);
        let mut config = paused(Protocol::Grpc);
        config.batch = BatchConfig { timeout: Duration::from_millis(200), ..batch };
        let bench = Bench::in_memory(config, &sink);
        let start = Instant::now();
        for n in 0..7 {
            bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
        }
        let seen = sink.until(|seen| seen.taken.len() == 70).await;
        assert_eq!(seen.sizes, [30, 30, 10]);
        assert!(seen.times[1] - start < Duration::from_millis(200), "large enough: sent at once");
        assert_eq!((seen.times[2] - start).as_millis() / 10, 20, "the rest: when its time was up");
    }
}

#[tokio::test]
async fn parcels_with_different_passed_on_headers_are_never_joined() {
    let sink = Sink::new([], Reply::Ok);
    let mut config = paused(Protocol::Http);
    config.endpoints = endpoint(Protocol::Http, sink.listen().await).into();
    config.forward = vec![http::HeaderName::from_static("x-scope-orgid")];
    config.batch.timeout = Duration::from_millis(20);
    let bench = Bench::new(vec![config]);
    for (n, tenant) in (0..).zip(["a", "a", "b", "b", "b", "a"]) {
        let mut parcel = parcel(n..n + 1);
        let headers = vec![("x-scope-orgid".into(), tenant.into()), ("x-other".into(), n.to_string().into())];
        parcel.context = Arc::new(RequestContext { headers, ..RequestContext::default() });
        bench.send(parcel).unwrap();
    }
    let seen = sink.until(|seen| seen.taken.len() == 6).await;
    let tenants: Vec<_> = seen.requests.iter().map(|headers| headers["x-scope-orgid"].to_str().unwrap()).collect();
    assert_eq!((tenants, seen.sizes), (vec!["a", "b", "a"], vec![2, 3, 1]));
    assert!(seen.requests.iter().all(|headers| !headers.contains_key("x-other")));
}

#[tokio::test]
async fn a_parcel_over_the_request_limit_is_sent_in_pieces_and_only_a_span_over_it_alone_is_dropped() {
    let sink = Sink::new([], Reply::Ok);
    let mut config = quick("back", endpoint(Protocol::Grpc, sink.listen().await));
    config.batch.max_request_bytes = 5000;
    let bench = Bench::new(vec![config]);
    // Resources of 10 spans of 100 bytes, one of 50 spans, one with a span of 6,000 bytes.
    let parts =
        [parcel(0..10), parcel(10..20), parcel(20..70), parcel_of(70..71, 6000), parcel(71..81), parcel(81..91)];
    let body = parts.map(|p| p.body).concat();
    bench
        .send(Parcel { signal: Signal::Traces, body: body.into(), items: 91, context: Arc::default(), custody: None })
        .unwrap();
    let seen = sink.until(|seen| seen.taken.len() == 90).await;
    bench.until_quiet("back").await;
    assert!(seen.taken.values().all(|&times| times == 1));
    assert_eq!(bench.dropped("back", "span_too_large"), 1);
}

#[tokio::test]
async fn a_parcel_that_is_sent_in_pieces_goes_on_at_the_destinations_successor() {
    let (stuck, alive) = (Sink::new([Reply::Ok], Reply::Hang), Sink::new([], Reply::Ok));
    let mut config = quick("back", endpoint(Protocol::Http, stuck.listen().await));
    (config.batch.max_request_bytes, config.timeout) = (2000, Duration::from_mins(10));
    let bench = Bench::new(vec![config]);
    bench.send(parcel(0..100)).unwrap();
    let first = stuck.until(|seen| seen.requests.len() == 2).await;
    // Meanwhile no more than one piece is held beside the parcel.
    assert!(bench.of_traces("queue_bytes", "back") < parcel(0..100).body.len() as i64 + 2000 + 2 * 160 + 1);
    let mut next = quick("back", endpoint(Protocol::Http, alive.listen().await));
    next.batch.max_request_bytes = 2000;
    let old = bench.exports.0.of(Signal::Traces).unwrap();
    bench.exports.reconfigure(vec![next]).unwrap();
    // Long before the attempt at the old back end times out.
    old[0].finish(DropReason::Removed, Instant::now()).await;
    let seen = alive.until(|seen| seen.taken.len() + first.taken.len() == 100).await;
    assert!(seen.taken.keys().all(|number| !first.taken.contains_key(number)));
    bench.until_quiet("back").await;
    assert_eq!((bench.of("sent_spans_total", "back"), bench.all_dropped("back")), (100, 0));
}

#[tokio::test]
async fn what_the_back_end_finds_too_large_is_halved_until_it_fits_and_later_requests_fit_at_once() {
    for protocol in BOTH {
        let sink = Sink::of_size(100_000);
        let mut config = quick("back", endpoint(protocol, sink.listen().await));
        config.concurrency = 1;
        let bench = Bench::new(vec![config]);
        // One parcel of 1,000 spans of 500 bytes; then many that are joined.
        bench.send(parcel_of(0..1000, 500)).unwrap();
        bench.until_quiet("back").await;
        let refused = bench.value("requests_total{destination=\"back\",signal=\"traces\",outcome=\"too_large\"}");
        assert!((3..10).contains(&refused), "{refused}");
        for n in 100..200 {
            bench.send(parcel_of(n * 10..n * 10 + 10, 500)).unwrap();
        }
        let seen = sink.until(|seen| seen.taken.len() == 2000).await;
        bench.until_quiet("back").await;
        assert!(seen.taken.values().all(|&times| times == 1), "{protocol:?}");
        assert_eq!(
            bench.value("requests_total{destination=\"back\",signal=\"traces\",outcome=\"too_large\"}"),
            refused
        );
        assert_eq!((bench.of("sent_spans_total", "back"), bench.of("rejected_spans_total", "back")), (2000, 0));
    }
}

#[tokio::test]
async fn a_span_that_is_too_large_alone_is_rejected_and_costs_no_other() {
    for protocol in BOTH {
        let sink = Sink::of_size(10_000);
        let mut config = quick("back", endpoint(protocol, sink.listen().await));
        (config.concurrency, config.batch.timeout) = (1, Duration::from_millis(20));
        let bench = Bench::new(vec![config]);
        // One near the limit, that takes nearly all of what it comes with, and one above it.
        let parts = [parcel(0..5), parcel_of(5..6, 9_800), parcel(6..10), parcel_of(10..11, 10_100), parcel(11..20)];
        let body = parts.map(|part| part.body).concat();
        bench
            .send(Parcel {
                signal: Signal::Traces,
                body: body.into(),
                items: 20,
                context: Arc::default(),
                custody: None,
            })
            .unwrap();
        for n in 20..40 {
            bench.send(parcel_of(n..n + 1, 900)).unwrap();
        }
        bench.until_quiet("back").await;
        let seen = sink.seen();
        assert_eq!(seen.taken.len(), 39, "{protocol:?}");
        assert!(!seen.taken.contains_key(&10) && seen.taken.values().all(|&times| times == 1));
        assert_eq!((bench.of("sent_spans_total", "back"), bench.of("rejected_spans_total", "back")), (39, 1));
        assert_eq!(bench.all_dropped("back"), 0);
    }
}

#[tokio::test]
async fn without_destinations_parcels_are_taken_and_let_go() {
    let bench = Bench::new(Vec::new());
    bench.send(parcel(0..5)).unwrap();
    assert_eq!(bench.exports.is_full(), None);
    assert_eq!(bench.exports.drain(Duration::ZERO).await, DrainReport::default());
}

#[tokio::test]
async fn over_grpc_requests_share_as_many_connections_as_are_asked_for() {
    let sink = Sink::new([], Reply::Held);
    let mut config = quick("back", endpoint(Protocol::Grpc, sink.listen().await));
    (config.concurrency, config.connections, config.batch.max_items) = (7, 3, 1);
    let bench = Bench::new(vec![config]);
    for n in 0..7 {
        bench.send(parcel(n..n + 1)).unwrap();
    }
    sink.until(|seen| seen.taken.len() == 7).await;
    assert_eq!(sink.seen().connections, (3, 0), "seven requests are under way");
    sink.go_on();
    bench.until_quiet("back").await;
}
