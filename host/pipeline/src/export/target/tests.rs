//! How long a target is left alone, and who finds out whether it answers again.

use prometheus_client::registry::Registry;

use super::*;
use crate::export::config::{DestinationConfig, Endpoint};
use crate::export::dial::Network;
use crate::export::metrics::Metrics;
use crate::export::secrets::Secrets;

const TRIAL: Duration = Duration::from_secs(10);

fn target() -> Arc<Target> {
    let endpoint = Endpoint::grpc("http://test:1").unwrap();
    let config = DestinationConfig::new("test", endpoint.clone());
    let retry = RetryConfig { initial: Duration::from_secs(1), max: Duration::from_secs(4), max_elapsed: None };
    let site = Site {
        name: endpoint.shown(),
        template: Template::new(&config, &endpoint, Secrets::read("test", Vec::new()).unwrap()),
        dialer: Arc::new(Dialer::new(&endpoint, None, Network::default())),
        counters: Metrics::register(&mut Registry::default()).of_endpoint("test", "test"),
        trouble: Trouble::default(),
    };
    Target::new(&Arc::new(site), None, 1, &retry)
}

fn may_be_tried(target: &Target) -> bool {
    target.may_be_tried(false, false, TRIAL).is_ok()
}

#[tokio::test(start_paused = true)]
async fn of_many_failures_at_once_the_first_counts_and_after_the_rest_one_request_looks() {
    let target = target();
    let begun = Instant::now();
    assert!(may_be_tried(&target) && may_be_tried(&target) && may_be_tried(&target));
    for _ in 0..3 {
        tokio::time::advance(Duration::from_millis(1)).await;
        target.failed(begun);
    }
    assert!(target.is_resting() && !may_be_tried(&target));
    // One second, half more at most: not the four that three failures would make.
    tokio::time::advance(Duration::from_millis(1500)).await;
    assert!(may_be_tried(&target));
    assert!(!may_be_tried(&target), "one looks");
    assert!(target.answered(), "that is news");
    assert!(may_be_tried(&target) && may_be_tried(&target) && !target.answered());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_looks_and_never_says_what_it_saw_is_followed_by_another() {
    let target = target();
    target.failed(Instant::now());
    tokio::time::advance(Duration::from_millis(1500)).await;
    assert!(may_be_tried(&target) && !may_be_tried(&target));
    tokio::time::advance(TRIAL).await;
    assert!(may_be_tried(&target));
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_for_holds_whatever_happens() {
    let target = target();
    target.rests(Duration::from_mins(1));
    target.rests(Duration::from_secs(5));
    target.failed(Instant::now());
    assert!(!target.answered(), "another request was under way");
    tokio::time::advance(Duration::from_secs(59)).await;
    for is_draining in [false, true] {
        let resting = target.may_be_tried(true, is_draining, TRIAL).unwrap_err();
        assert_eq!((resting.asked, resting.until - Instant::now()), (true, Duration::from_secs(1)));
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    // The only one there is is everybody's again.
    assert!(target.may_be_tried(true, false, TRIAL).is_ok() && target.may_be_tried(true, false, TRIAL).is_ok());
}

#[tokio::test(start_paused = true)]
async fn while_draining_a_failing_one_is_tried_often() {
    let target = target();
    for _ in 0..5 {
        target.failed(Instant::now());
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    target.failed(Instant::now());
    tokio::time::advance(DRAINING_DELAY).await;
    assert!(!may_be_tried(&target));
    assert!(target.may_be_tried(false, true, TRIAL).is_ok());
}
