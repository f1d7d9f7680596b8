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
            let agent = concat!("tracemill/", env!("CARGO_PKG_VERSION"));
            assert!(seen.requests.iter().all(|headers| headers["user-agent"] == agent));
            assert_eq!(bench.of("sent_spans_total", "back"), 900);
            assert_eq!(bench.of("retries_total", "back"), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn parcels_are_joined_until_the_batch_is_large_or_old_enough() {
    let sink = Sink::new([], Reply::Ok);
    let mut config = paused(Protocol::Grpc);
    config.batch.max_spans = 30;
    config.batch.timeout = Duration::from_millis(200);
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

#[tokio::test]
async fn parcels_with_different_passed_on_headers_are_never_joined() {
    let sink = Sink::new([], Reply::Ok);
    let mut config = paused(Protocol::Http);
    config.endpoint = endpoint(Protocol::Http, sink.listen().await);
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
    bench.send(Parcel { body: body.into(), spans: 91, context: Arc::default() }).unwrap();
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
    assert!(bench.of("queue_bytes", "back") < parcel(0..100).body.len() as i64 + 2000 + 2 * 160 + 1);
    let mut next = quick("back", endpoint(Protocol::Http, alive.listen().await));
    next.batch.max_request_bytes = 2000;
    let old = bench.exports.0.current.load_full();
    bench.exports.reconfigure(vec![next]).unwrap();
    // Long before the attempt at the old back end times out.
    old[0].finish(DropReason::Removed, Instant::now()).await;
    let seen = alive.until(|seen| seen.taken.len() + first.taken.len() == 100).await;
    assert!(seen.taken.keys().all(|number| !first.taken.contains_key(number)));
    bench.until_quiet("back").await;
    assert_eq!((bench.of("sent_spans_total", "back"), bench.all_dropped("back")), (100, 0));
}

#[tokio::test]
async fn without_destinations_parcels_are_taken_and_let_go() {
    let bench = Bench::new(Vec::new());
    bench.send(parcel(0..5)).unwrap();
    assert_eq!(bench.exports.is_full(), None);
    assert_eq!(bench.exports.drain(Duration::ZERO).await, DrainReport::default());
}
