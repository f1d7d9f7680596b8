//! A destination whose traces are shared out among its endpoints.

use super::names::Names;
use super::*;
use crate::export::config::{Balance, Dns, Endpoints};

mod disk;

const BUSY: Reply = Reply::Status(503, 14, None);

/// How many spans a trace has here: those of trace `n` have the numbers from `n` times this on.
const SPANS: u64 = 4;

/// Of each of these traces, its spans from the `first` on.
fn spans_of(traces: Range<u64>, spans: Range<u64>) -> Parcel {
    let span = |number: u64| Span {
        trace_id: u128::from(number / SPANS)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes()
            .to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: "x".repeat(50),
        ..Span::default()
    };
    let numbers = traces.flat_map(|trace| spans.clone().map(move |span| trace * SPANS + span));
    let spans: Vec<Span> = numbers.map(span).collect();
    let items = spans.len() as u32;
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    let body = ExportTraceServiceRequest { resource_spans: vec![resource] }.encode_to_vec().into();
    Parcel { signal: Signal::Traces, body, items, context: Arc::default(), custody: None }
}

fn traces(traces: Range<u64>) -> Parcel {
    spans_of(traces, 0..SPANS)
}

fn list(hosts: &[&str]) -> Endpoints {
    let one = |host: &&str| Endpoint::grpc(&format!("http://{host}:1")).unwrap();
    let mut endpoints = Endpoints::new(hosts.iter().map(one).collect()).unwrap();
    endpoints.balance = Balance::ByTrace;
    endpoints
}

/// Endpoints on these hosts, in paused time.
fn routed(hosts: &[&str]) -> DestinationConfig {
    let mut config = paused(Protocol::Grpc);
    config.endpoints = list(hosts);
    config.batch.timeout = Duration::ZERO;
    config.batch.max_items = 50;
    config.retry.initial = Duration::from_secs(1);
    config.retry.max = Duration::from_secs(8);
    config.timeout = Duration::from_secs(2);
    config
}

/// The traces that arrived there, whole. Fails on a part of one, and on what came twice.
fn whole(sink: &Sink) -> Vec<u64> {
    let seen = sink.seen();
    assert!(seen.taken.values().all(|&times| times == 1));
    let mut whole: Vec<u64> = seen.taken.keys().map(|span| span / SPANS).collect();
    whole.dedup();
    assert_eq!(whole.len() as u64 * SPANS, seen.taken.len() as u64, "parts of traces: {:?}", seen.taken.keys());
    whole
}

/// Whether so many spans arrived at these, each once.
fn assert_each_once(sinks: &[&Sink], spans: u64) {
    let mut all: Vec<u64> = Vec::new();
    for sink in sinks {
        let seen = sink.seen();
        assert!(seen.taken.values().all(|&times| times == 1));
        all.extend(seen.taken.keys());
    }
    all.sort_unstable();
    assert!(all.iter().copied().eq(0..spans), "{} of {spans}", all.len());
}

impl Bench {
    fn take(&self, parcel: Parcel) -> Result<(), Refusal> {
        match self.exports.accept(parcel)? {
            Taken::Whole => Ok(()),
            Taken::Later(_) => panic!("a durable queue"),
        }
    }

    /// Bytes before one endpoint, by its host and port.
    fn waiting_for(&self, endpoint: &str) -> i64 {
        self.value(&format!("endpoint_queue_bytes{{destination=\"test\",endpoint=\"http://{endpoint}\"}}"))
    }

    /// Waits until no queue is being moved any more.
    async fn until_moved(&self) {
        until(async || self.exports.0.leaving.lock().is_empty()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_spans_of_a_trace_go_to_one_endpoint_whenever_they_come() {
    let [one, two, three] = [(); 3].map(|()| Sink::new([], Reply::Ok));
    let bench = Bench::over(
        in_memory(&[("one", &one), ("two", &two), ("three", &three)]),
        vec![routed(&["one", "two", "three"])],
    );
    for span in 0..SPANS {
        // By either way in.
        let parcel = spans_of(0..300, span..span + 1);
        let taken = if span % 2 == 0 { bench.take(parcel) } else { bench.send(parcel) };
        taken.unwrap();
        bench.until_quiet("test").await;
    }
    let shares = [&one, &two, &three].map(|sink| whole(sink).len());
    assert_eq!(shares.iter().sum::<usize>(), 300);
    assert!(shares.iter().all(|share| (70..130).contains(share)), "{shares:?}");
    assert_eq!(bench.of("admitted_spans_total", "test"), 1200);
    let [status] = &bench.exports.status()[..] else { panic!("one destination") };
    let names: Vec<_> = status.endpoints.iter().map(|endpoint| endpoint.uri.as_str()).collect();
    assert_eq!(names, ["http://one:1", "http://two:1", "http://three:1"]);
    assert_eq!(status.queue_limit, 3 * (64 << 20));
    assert!(status.endpoints.iter().all(|endpoint| endpoint.queue_bytes == Some(0) && !endpoint.resting));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_down_keeps_its_spans_and_holds_nobody_up() {
    let (up, down) = (Sink::new([], Reply::Ok), Sink::new(vec![BUSY; 6], Reply::Ok));
    let bench = Bench::over(in_memory(&[("up", &up), ("down", &down)]), vec![routed(&["up", "down"])]);
    bench.take(traces(0..100)).unwrap();
    let begun = Instant::now();
    until(async || bench.of("sent_spans_total", "test") > 0).await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    let share = whole(&up);
    assert!((30..70).contains(&share.len()));
    assert_eq!(bench.of("held_spans", "test"), (100 - share.len() as i64) * SPANS as i64);
    assert!(bench.waiting_for("down:1") > 0 && bench.waiting_for("up:1") == 0);
    until(async || bench.exports.status()[0].trouble.is_some()).await;
    let status = bench.exports.status();
    assert!(status[0].trouble.as_ref().unwrap().contains("http://down:1"), "{status:?}");
    let [of_up, of_down] = &status[0].endpoints[..] else { panic!("{status:?}") };
    assert!(of_down.resting && of_down.trouble.is_some() && of_down.queue_bytes.unwrap() > 0);
    assert!(!of_up.resting && of_up.trouble.is_none() && of_up.queue_bytes == Some(0));
    bench.until_quiet("test").await;
    assert!(begun.elapsed() > Duration::from_secs(5));
    // Not one of them went elsewhere.
    assert_eq!(whole(&up), share);
    assert_eq!(whole(&down).len(), 100 - share.len());
    assert_eq!(bench.exports.status()[0].trouble, None);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_what_it_would_get_or_drops_by_its_policy() {
    for on_full in [OnFull::Refuse, OnFull::DropNewest] {
        let (up, down) = (Sink::new([], Reply::Ok), Sink::new([], BUSY));
        let mut config = routed(&["up", "down"]);
        config.queue.on_full = on_full;
        config.queue.max_bytes = 20_000;
        let bench = Bench::over(in_memory(&[("up", &up), ("down", &down)]), vec![config]);
        let mut sent = 0;
        let refusal = loop {
            if bench.all_dropped("test") > 0 {
                break None;
            }
            match bench.take(traces(sent..sent + 10)) {
                Ok(()) => sent += 10,
                Err(refusal) => break Some(refusal),
            }
            until(async || bench.waiting_for("up:1") == 0).await;
        };
        let theirs = up.seen().taken.len();
        if let Some(refusal) = refusal {
            assert!(on_full == OnFull::Refuse && refusal.is_retryable());
            assert!(
                refusal.message.contains("`test`") && refusal.message.contains("http://down:1"),
                "{}",
                refusal.message
            );
            // What it would get nothing of is taken.
            assert_eq!(bench.exports.is_full(), None);
            let only_up = (0..100).find(|&n| up.seen().taken.contains_key(&(n * SPANS))).unwrap();
            bench.take(traces(only_up..only_up + 1)).unwrap();
        } else {
            assert_eq!(on_full, OnFull::DropNewest);
            bench.take(traces(sent..sent + 50)).unwrap();
            until(async || bench.waiting_for("up:1") == 0).await;
        }
        until(async || up.seen().order.len() > theirs).await;
        bench.assert_sum("test");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_one_that_is_taken_out_goes_to_the_others_by_trace() {
    let [one, two, new] = [(); 3].map(|()| Sink::new([], Reply::Ok));
    let gone = Sink::new([], Reply::Hang);
    let hosts = [("one", &one), ("two", &two), ("gone", &gone), ("new", &new)];
    let bench = Bench::over(in_memory(&hosts), vec![routed(&["one", "gone", "two"])]);
    bench.take(traces(0..200)).unwrap();
    until(async || bench.waiting_for("one:1") == 0 && bench.waiting_for("two:1") == 0).await;
    let before = [whole(&one), whole(&two)];
    assert!(bench.waiting_for("gone:1") > 0);
    bench.exports.reconfigure(vec![routed(&["one", "two"])]).unwrap();
    bench.until_quiet("test").await;
    bench.until_moved().await;
    assert_each_once(&[&one, &two], 200 * SPANS);
    // Its own traces alone were moved, and stayed whole.
    let after = [whole(&one), whole(&two)];
    assert!(before.iter().zip(&after).all(|(before, after)| before.len() < after.len()));
    assert!(!bench.scrape().contains("http://gone:1"));
    assert_eq!(bench.exports.status()[0].endpoints.len(), 2);

    // One that comes takes its share of what comes from now on, and of nothing else.
    bench.exports.reconfigure(vec![routed(&["one", "two", "new"])]).unwrap();
    for span in 0..SPANS {
        bench.take(spans_of(200..500, span..span + 1)).unwrap();
    }
    bench.until_quiet("test").await;
    assert_each_once(&[&one, &two, &new], 500 * SPANS);
    assert!((70..130).contains(&whole(&new).len()));
    assert_eq!(bench.of("sent_spans_total", "test"), 500 * SPANS as i64);
    bench.assert_sum("test");
}

#[tokio::test(start_paused = true)]
async fn one_queue_becomes_several_and_one_again_with_all_that_waits() {
    let [one, two] = [(); 2].map(|()| Sink::new([], Reply::Ok));
    let stuck = Sink::new([], Reply::Hang);
    let bench = Bench::over(
        in_memory(&[("one", &one), ("two", &two), ("stuck", &stuck)]),
        vec![{
            let mut config = routed(&["stuck"]);
            config.endpoints.balance = Balance::Failover;
            config
        }],
    );
    bench.take(traces(0..100)).unwrap();
    stuck.until(|seen| !seen.requests.is_empty()).await;
    bench.exports.reconfigure(vec![routed(&["one", "two"])]).unwrap();
    bench.until_quiet("test").await;
    assert_eq!(whole(&one).len() + whole(&two).len(), 100);

    bench.until_moved().await;
    bench.exports.reconfigure(vec![routed(&["stuck", "two"])]).unwrap();
    bench.take(traces(100..200)).unwrap();
    until(async || bench.waiting_for("two:1") == 0).await;
    assert!(bench.waiting_for("stuck:1") > 0);
    let mut config = routed(&["one"]);
    config.endpoints.balance = Balance::Failover;
    bench.exports.reconfigure(vec![config]).unwrap();
    bench.until_quiet("test").await;
    assert_each_once(&[&one, &two], 200 * SPANS);
    bench.assert_sum("test");
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_back_while_its_queue_is_moved_has_what_is_left() {
    let (one, late) = (Sink::new([], Reply::Ok), Sink::new([Reply::Hang], Reply::Ok));
    let bench = Bench::over(in_memory(&[("one", &one), ("late", &late)]), vec![routed(&["one", "late"])]);
    bench.take(traces(0..100)).unwrap();
    late.until(|seen| !seen.requests.is_empty()).await;
    // Its sender has a batch under way until that takes too long.
    bench
        .exports
        .reconfigure(vec![{
            let mut config = routed(&["one"]);
            config.endpoints = list(&["one"]);
            config
        }])
        .unwrap();
    bench.exports.reconfigure(vec![routed(&["one", "late"])]).unwrap();
    bench.until_quiet("test").await;
    bench.until_moved().await;
    let ((), ()) = (assert_each_once(&[&one, &late], 400), bench.assert_sum("test"));
    assert!(late.seen().requests.len() > 1);
}

/// One name, which leads to as many endpoints as it has addresses.
fn named() -> DestinationConfig {
    let mut config = quick("test", Endpoint::grpc("http://back.example:4317").unwrap());
    config.endpoints.balance = Balance::ByTrace;
    config.endpoints.dns = Dns::All;
    config.endpoints.resolve_every = Duration::from_millis(2);
    config
}

#[tokio::test]
async fn the_addresses_of_a_name_are_followed_and_nothing_is_lost() {
    let [one, two, three] = [(); 3].map(|()| Sink::new([], Reply::Ok));
    let stuck = Sink::new([], BUSY);
    let names = Names::new(Vec::new());
    let bench = Bench::over(names.network(), vec![named()]);
    // Nobody knows yet where to: that is no reason to refuse anything.
    bench.take(spans_of(0..100, 0..2)).unwrap();
    until(async || bench.exports.status()[0].trouble.as_ref().is_some_and(|why| why.contains("back.example"))).await;
    assert_eq!(bench.of("held_spans", "test"), 200);
    let first = [one.listen().await, two.listen().await, stuck.listen().await];
    names.lead_to(vec![first[0], first[1]]).await;
    until(async || bench.exports.status()[0].endpoints.len() == 2).await;
    bench.take(spans_of(0..100, 2..SPANS)).unwrap();
    bench.until_quiet("test").await;
    assert_eq!(whole(&one).len() + whole(&two).len(), 100);
    let endpoints = bench.exports.status()[0].endpoints.clone();
    assert_eq!(endpoints[0].uri, format!("http://{}", first[0]));

    // One comes that takes nothing, and goes again; another stays.
    names.lead_to(first.to_vec()).await;
    until(async || bench.exports.status()[0].endpoints.len() == 3).await;
    bench.take(traces(100..200)).unwrap();
    until(async || bench.of("held_spans", "test") < 300).await;
    let third = three.listen().await;
    names.lead_to(vec![first[1], third]).await;
    until(async || bench.of("held_spans", "test") == 0).await;
    bench.until_moved().await;
    bench.take(traces(200..300)).unwrap();
    bench.until_quiet("test").await;
    assert_each_once(&[&one, &two, &three], 300 * SPANS);
    let from_then_on = |sink: &Sink| sink.seen().taken.keys().filter(|&&span| span >= 200 * SPANS).count();
    assert!(from_then_on(&one) == 0 && from_then_on(&three) > 0);
    assert!(!bench.scrape().contains(&first[0].to_string()), "what is gone has no series");

    // An answer that fails changes nothing.
    names.lead_to(Vec::new()).await;
    assert_eq!(bench.exports.status()[0].endpoints.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_still_waits_for_a_name_at_the_end_is_given_up_and_said() {
    let names = Names::new(Vec::new());
    let bench = Bench::over(names.network(), vec![named()]);
    bench.take(traces(0..10)).unwrap();
    let report = bench.exports.drain(Duration::from_secs(5)).await;
    assert_eq!(report.undelivered, [("test".to_owned(), Signal::Traces, 10 * SPANS)]);
    bench.assert_sum("test");
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_what_is_moved() {
    let (one, gone) = (Sink::new([], Reply::Ok), Sink::new([], Reply::Hang));
    let mut config = routed(&["one", "gone"]);
    config.concurrency = 1;
    let bench = Bench::over(in_memory(&[("one", &one), ("gone", &gone)]), vec![config]);
    bench.take(traces(0..100)).unwrap();
    gone.until(|seen| !seen.requests.is_empty()).await;
    bench.exports.reconfigure(vec![routed(&["one"])]).unwrap();
    let report = bench.exports.drain(Duration::from_secs(30)).await;
    assert_eq!(report, DrainReport::default());
    assert_each_once(&[&one], 400);
    bench.assert_sum("test");
}
