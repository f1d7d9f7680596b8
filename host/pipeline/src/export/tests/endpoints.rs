//! Several endpoints of one destination: who gets what, and what happens while one of them fails.

use super::*;
use crate::export::config::{Balance, Endpoints};

const BUSY: Reply = Reply::Status(503, 14, None);

/// A destination with endpoints on these hosts, in paused time.
fn spread(protocol: Protocol, hosts: &[&str], balance: Balance) -> DestinationConfig {
    let one = |host: &&str| match protocol {
        Protocol::Grpc => Endpoint::grpc(&format!("http://{host}:1")).unwrap(),
        Protocol::Http | Protocol::Kafka => Endpoint::http(&format!("http://{host}:1")).unwrap(),
    };
    let mut config = paused(protocol);
    config.endpoints = Endpoints::new(hosts.iter().map(one).collect()).unwrap();
    config.endpoints.balance = balance;
    config.batch.timeout = Duration::ZERO;
    config.batch.max_items = 1;
    config.retry.initial = Duration::from_secs(1);
    config.retry.max = Duration::from_secs(8);
    config
}

fn up(bench: &Bench, endpoint: &str) -> i64 {
    bench.value(&format!("endpoint_up{{destination=\"test\",endpoint=\"http://{endpoint}:1\"}}"))
}

fn requests(bench: &Bench, endpoint: &str, outcome: &str) -> i64 {
    let labels = format!("destination=\"test\",endpoint=\"http://{endpoint}:1\",outcome=\"{outcome}\"");
    bench.value(&format!("endpoint_requests_total{{{labels}}}"))
}

async fn until_sent(bench: &Bench, spans: i64) {
    until(async || bench.of("sent_spans_total", "test") >= spans).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_first_does_not_take_goes_to_the_second_at_once_until_the_first_answers_again() {
    for protocol in BOTH {
        let (one, two) = (Sink::new([BUSY, BUSY, BUSY], Reply::Ok), Sink::new([], Reply::Ok));
        let config = spread(protocol, &["one", "two"], Balance::Failover);
        let bench = Bench::over(in_memory(&[("one", &one), ("two", &two)]), vec![config]);
        for n in 0..20 {
            let begun = Instant::now();
            bench.send(parcel(n..n + 1)).unwrap();
            until_sent(&bench, n as i64 + 1).await;
            assert!(begun.elapsed() < Duration::from_millis(100), "{protocol:?}: {:?}", begun.elapsed());
            assert_eq!(up(&bench, "one"), i64::from(!one.seen().taken.is_empty()));
            assert_eq!(up(&bench, "two"), 1);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let (one, two) = (one.seen(), two.seen());
        // It was left alone ever longer, and from then on got everything.
        let rests: Vec<_> = one.times.windows(2).take(3).map(|pair| (pair[1] - pair[0]).as_secs_f32()).collect();
        for (rest, least) in rests.iter().zip([0.5, 1.0, 2.0]) {
            assert!((least..least * 3.0 + 1.1).contains(rest), "{protocol:?}: {rests:?}");
        }
        assert_eq!(one.requests.len(), 3 + one.taken.len());
        assert_eq!(one.taken.len() + two.taken.len(), 20);
        assert!(two.taken.keys().max() < one.taken.keys().min());
        assert_eq!((requests(&bench, "one", "retry"), bench.of_traces("retries_total", "test")), (3, 3));
        assert_eq!(requests(&bench, "two", "ok"), two.taken.len() as i64);
    }
}

#[tokio::test(start_paused = true)]
async fn round_robin_gives_each_its_share_and_that_of_a_failing_one_to_the_others() {
    let sinks = [Sink::new([], Reply::Ok), Sink::new([], Reply::Ok), Sink::new([], Reply::Ok)];
    let [one, two, three] = &sinks;
    let config = spread(Protocol::Grpc, &["one", "two", "gone", "three"], Balance::RoundRobin);
    let gone = Sink::new([], Reply::HangUp);
    let hosts = [("one", one), ("two", two), ("gone", &gone), ("three", three)];
    let bench = Bench::over(in_memory(&hosts), vec![config]);
    for n in 0..40 {
        bench.send(parcel(n..n + 1)).unwrap();
        until_sent(&bench, n as i64 + 1).await;
    }
    let shares = sinks.each_ref().map(|sink| sink.seen().taken.len());
    assert_eq!(shares.iter().sum::<usize>(), 40);
    assert!(shares.iter().all(|&share| share >= 10), "{shares:?}");
    assert_eq!((up(&bench, "gone"), up(&bench, "three")), (0, 1));
    let [destination] = &bench.exports.status()[..] else { panic!("one destination") };
    assert_eq!(destination.trouble, None, "the spans are taken");
    assert!(destination.endpoints[2].resting && destination.endpoints[2].trouble.is_some());
    assert!(!destination.endpoints[3].resting && destination.endpoints[3].trouble.is_none());
}

#[tokio::test(start_paused = true)]
async fn while_none_takes_anything_a_batch_waits_for_the_first_that_may_be_tried() {
    let (one, two) = (Sink::new([BUSY], Reply::Ok), Sink::new([BUSY], Reply::Ok));
    let config = spread(Protocol::Http, &["one", "two"], Balance::Failover);
    let bench = Bench::over(in_memory(&[("one", &one), ("two", &two)]), vec![config]);
    let begun = Instant::now();
    bench.send(parcel(0..1)).unwrap();
    until_sent(&bench, 1).await;
    assert!((0.5..1.6).contains(&begun.elapsed().as_secs_f32()), "{:?}", begun.elapsed());
    assert_eq!(one.seen().requests.len() + two.seen().requests.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_none_takes_in_time_is_dropped() {
    let (one, two) = (Sink::new([], BUSY), Sink::new([], Reply::HangUp));
    let mut config = spread(Protocol::Grpc, &["one", "two"], Balance::RoundRobin);
    config.retry.max_elapsed = Some(Duration::from_secs(20));
    let bench = Bench::over(in_memory(&[("one", &one), ("two", &two)]), vec![config]);
    bench.send(parcel(0..3)).unwrap();
    bench.until_quiet("test").await;
    assert_eq!(bench.dropped("test", "retries_exhausted"), 3);
    assert!(one.seen().requests.len() > 2 && two.seen().requests.len() > 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_asks_for_a_pause_has_it_and_the_other_has_its_spans() {
    for protocol in BOTH {
        let pause = Reply::Status(429, 8, Some(Duration::from_secs(30)));
        let (one, two) = (Sink::new([pause], Reply::Ok), Sink::new([], Reply::Ok));
        let config = spread(protocol, &["one", "two"], Balance::Failover);
        let bench = Bench::over(in_memory(&[("one", &one), ("two", &two)]), vec![config]);
        for n in 0..50 {
            bench.send(parcel(n..n + 1)).unwrap();
            until_sent(&bench, n as i64 + 1).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let seen = one.seen();
        assert!(seen.times[1] - seen.times[0] >= Duration::from_secs(30));
        assert_eq!(seen.taken.len() + two.seen().taken.len(), 50);
        assert!(seen.taken.len() > 10);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_silent_is_tried_by_one_request_at_a_time() {
    let (one, two) = (Sink::new([], Reply::Hang), Sink::new([], Reply::Ok));
    let mut config = spread(Protocol::Grpc, &["one", "two"], Balance::Failover);
    config.concurrency = 4;
    let bench = Bench::over(in_memory(&[("one", &one), ("two", &two)]), vec![config]);
    for round in 0..5 {
        for n in round * 4..round * 4 + 4 {
            bench.send(parcel(n..n + 1)).unwrap();
        }
        until_sent(&bench, round as i64 * 4 + 4).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    // All four senders met it once; in each later round one of them looked.
    assert_eq!(one.seen().requests.len(), 4 + 4);
    assert_eq!(two.seen().taken.len(), 20);
    assert_eq!(bench.all_dropped("test"), 0);
}

#[tokio::test]
async fn a_reload_that_takes_an_endpoint_away_takes_its_state_from_the_metrics() {
    let sink = Sink::new([], Reply::Ok);
    let address = sink.listen().await;
    let url = |host: &str| format!("http://{host}:{}", address.port());
    let ends = |hosts: &[&str]| Endpoints::new(hosts.iter().map(|h| Endpoint::grpc(&url(h)).unwrap()).collect());
    let mut config = quick("back", endpoint(Protocol::Grpc, address));
    config.endpoints = ends(&["127.0.0.1", "127.0.0.2"]).unwrap();
    let bench = Bench::new(vec![config.clone()]);
    let shown = |host: &str| format!("endpoint_up{{destination=\"back\",endpoint=\"{}\"}}", url(host));
    assert!(bench.scrape().contains(&shown("127.0.0.1")) && bench.scrape().contains(&shown("127.0.0.2")));
    config.endpoints = ends(&["127.0.0.1"]).unwrap();
    bench.exports.reconfigure(vec![config]).unwrap();
    assert!(bench.scrape().contains(&shown("127.0.0.1")) && !bench.scrape().contains(&shown("127.0.0.2")));
}
