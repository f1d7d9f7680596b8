//! What becomes of spans when the back end does not simply take them.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const BUSY: Reply = Reply::Status(503, 14, None);
const BAD: Reply = Reply::Status(400, 3, None);

#[tokio::test]
async fn passing_failures_are_tried_again_until_they_pass() {
    for protocol in BOTH {
        let script = [BUSY, Reply::HangUp, Reply::Status(429, 4, None), Reply::HangUp, Reply::HangUp];
        let sink = Sink::new(script, Reply::Ok);
        let bench = Bench::new(vec![quick("back", endpoint(protocol, sink.listen().await))]);
        bench.send(parcel(0..10)).unwrap();
        let seen = sink.until(|seen| seen.taken.len() == 10).await;
        bench.until_quiet("back").await;
        assert!(seen.requests.len() >= 6);
        assert_eq!(bench.of("sent_spans_total", "back"), 10);
        assert!(bench.of_traces("retries_total", "back") >= 3);
    }
}

#[tokio::test]
async fn permanent_failures_are_counted_and_never_tried_again() {
    for protocol in BOTH {
        let sink = Sink::new([BAD, Reply::Status(500, 13, None), Reply::Status(413, 8, None)], Reply::Ok);
        let mut config = quick("back", endpoint(protocol, sink.listen().await));
        config.concurrency = 1;
        let bench = Bench::new(vec![config]);
        for n in 0..4 {
            bench.send(parcel(n..n + 1)).unwrap();
            bench.until_quiet("back").await;
        }
        assert_eq!(sink.seen().requests.len(), 4);
        assert_eq!(bench.of("rejected_spans_total", "back"), 3);
        assert_eq!(bench.of("sent_spans_total", "back"), 1);
    }
}

#[tokio::test]
async fn e5_partial_success_is_logged_and_counted_and_never_tried_again() {
    for protocol in BOTH {
        let log = Log::listen();
        let sink = Sink::new([Reply::Partial(3), Reply::Partial(1000), Reply::Partial(0)], Reply::Ok);
        let bench = Bench::new(vec![quick("back", endpoint(protocol, sink.listen().await))]);
        for n in 0..3 {
            bench.send(parcel(n * 10..n * 10 + 10)).unwrap();
            bench.until_quiet("back").await;
        }
        assert_eq!(sink.seen().requests.len(), 3);
        assert_eq!(bench.of("rejected_spans_total", "back"), 3 + 10);
        assert_eq!(bench.of("sent_spans_total", "back"), 7 + 10);
        assert_eq!(bench.of_traces("retries_total", "back"), 0);
        let log = log.text();
        let line = log.lines().find(|line| line.contains("in part")).expect("a line in the log");
        assert!(line.contains("rejected=3") && line.contains("not these"), "{line}");
    }
}

#[tokio::test]
async fn e7_an_answer_over_the_limit_is_a_permanent_failure() {
    for protocol in BOTH {
        let sink = Sink::new([Reply::Huge((4 << 20) + 1)], Reply::Ok);
        let bench = Bench::new(vec![quick("back", endpoint(protocol, sink.listen().await))]);
        bench.send(parcel(0..10)).unwrap();
        bench.until_quiet("back").await;
        assert_eq!(bench.of("rejected_spans_total", "back"), 10);
        bench.send(parcel(10..20)).unwrap();
        sink.until(|seen| seen.taken.len() == 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn e2_e3_what_the_back_end_asks_for_is_waited_out_by_all_senders() {
    for protocol in BOTH {
        let sink = Sink::new([Reply::Status(429, 8, Some(Duration::from_secs(7)))], Reply::Ok);
        let mut config = paused(protocol);
        config.concurrency = 3;
        config.batch.timeout = Duration::ZERO;
        let bench = Bench::in_memory(config, &sink);
        bench.send(parcel(0..1)).unwrap();
        sink.until(|seen| seen.requests.len() == 1).await;
        let retried = "requests_total{destination=\"test\",signal=\"traces\",outcome=\"retry\"}";
        until(async || bench.value(retried) > 0).await;
        bench.send(parcel(1..2)).unwrap();
        let seen = sink.until(|seen| seen.taken.len() == 2).await;
        for later in &seen.times[1..] {
            let waited = *later - seen.times[0];
            assert!(waited >= Duration::from_secs(7) && waited < Duration::from_secs(9), "{protocol:?}: {waited:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e4_backoff_grows_and_is_bounded() {
    let sink = Sink::new([BUSY, BUSY, BUSY, BUSY, BUSY, BUSY], Reply::Ok);
    let mut config = paused(Protocol::Http);
    config.retry.initial = Duration::from_secs(1);
    config.retry.max = Duration::from_secs(4);
    let bench = Bench::in_memory(config, &sink);
    bench.send(parcel(0..1)).unwrap();
    let seen = sink.until(|seen| seen.taken.len() == 1).await;
    let delays: Vec<_> = seen.times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f32()).collect();
    for (delay, expected) in delays.iter().zip([1.0f32, 2.0, 4.0, 4.0, 4.0, 4.0]) {
        assert!((expected * 0.49..=(expected * 1.51).min(4.01)).contains(delay), "{delays:?}");
    }
    assert_eq!(bench.of_traces("retries_total", "test"), 6);
}

#[tokio::test(start_paused = true)]
async fn a_back_end_that_never_answers_is_given_up_after_the_timeout_and_tried_over_a_new_connection() {
    for protocol in BOTH {
        let sink = Sink::new([Reply::Hang], Reply::Ok);
        let bench = Bench::in_memory(paused(protocol), &sink);
        bench.send(parcel(0..1)).unwrap();
        let seen = sink.until(|seen| seen.taken.len() == 1).await;
        let waited = seen.times[1] - seen.times[0];
        assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(12), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_end_when_max_elapsed_says_so() {
    let sink = Sink::new([], BUSY);
    let mut config = paused(Protocol::Grpc);
    config.retry.max_elapsed = Some(Duration::from_mins(1));
    let bench = Bench::in_memory(config, &sink);
    bench.send(parcel(0..8)).unwrap();
    bench.until_quiet("test").await;
    assert_eq!(bench.dropped("test", "retries_exhausted"), 8);
}

/// Whatever the back end does, each span is accounted for, and none that was acknowledged is lost.
#[tokio::test]
async fn the_sum_holds_whatever_the_back_end_does() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    for protocol in BOTH {
        let script = (0..200).map(|_| match chance.random_range(0..8) {
            0 => BUSY,
            1 => Reply::HangUp,
            2 => BAD,
            3 => Reply::Partial(chance.random_range(0..20)),
            4 => Reply::Status(502, 1, None),
            _ => Reply::Ok,
        });
        let sink = Sink::new(script.collect::<Vec<_>>(), Reply::Ok);
        let mut config = quick("back", endpoint(protocol, sink.listen().await));
        config.queue.max_bytes = 20_000;
        let bench = Bench::new(vec![config]);
        let mut acknowledged = 0u64;
        for _ in 0..600 {
            let spans = chance.random_range(1..30);
            match bench.send(parcel(acknowledged..acknowledged + spans)) {
                Ok(()) => acknowledged += spans,
                Err(refusal) => {
                    assert!(refusal.is_retryable());
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            assert!(bench.of_traces("queue_bytes", "back") <= 20_000);
        }
        bench.until_quiet("back").await;
        assert_eq!(bench.of("admitted_spans_total", "back"), acknowledged as i64);
        assert_eq!(bench.all_dropped("back"), 0);
        let sent = bench.of("sent_spans_total", "back") + bench.of("rejected_spans_total", "back");
        assert_eq!(sent, acknowledged as i64);
        // What the back end refused for good apart, every span is there.
        assert!(sink.seen().taken.len() as i64 >= bench.of("sent_spans_total", "back"));
    }
}
