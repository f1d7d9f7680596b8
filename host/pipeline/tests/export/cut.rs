//! Connections that are cut in the middle of requests or of answers: what the exporter counts as sent has arrived, and all
//! of it is sent in the end. What was under way may arrive twice.

use rustls::ALL_VERSIONS;
use tracemill_pipeline::export::config::Protocol;

use super::backend::Backend;
use super::bench::{Bench, alpn, destination};
use super::certificates::Authority;
use super::relay::{Cut, Relay};
use super::server::server;

const SPANS: u64 = 1000;

/// Cuts at the start, in the middle of one request and of many; then in the middle of answers.
const CUTS: [Cut; 9] = [
    Cut::Requests(10),
    Cut::Requests(2500),
    Cut::Requests(30_000),
    Cut::Answers(600),
    Cut::Requests(150_000),
    Cut::Answers(40),
    Cut::Answers(1500),
    Cut::Requests(90_000),
    Cut::Answers(2000),
];

async fn nothing_is_lost(protocol: Protocol, scheme: &str) {
    let (bench, ours) = (Bench::new(), Authority::new("ours"));
    let tls = (scheme == "https").then(|| server(&ours.issue(&["127.0.0.1"]), None, alpn(protocol), ALL_VERSIONS));
    let backend = Backend::start(protocol, tls).await;
    let relay = Relay::start(backend.address, CUTS).await;
    let mut config = destination(protocol, scheme, relay.address);
    config.tls.ca_file = (scheme == "https").then(|| bench.file("ca.pem", &ours.pem));
    // Many requests under way over one connection.
    config.concurrency = 8;
    config.connections = 1;
    config.batch.max_items = 10;
    bench.exports.reconfigure(vec![config]).unwrap();
    for first in (0..SPANS).step_by(10) {
        bench.send(first..first + 10, 1000);
    }
    let seen = backend.until(|seen| seen.taken.len() as u64 == SPANS).await;
    bench.until_all_sent().await;
    assert_eq!(bench.of("sent_spans_total"), SPANS as i64);
    assert_eq!(relay.cuts_to_come(), 0, "every cut was made");
    let twice = seen.taken.values().filter(|&&times| times > 1).count();
    eprintln!("{protocol:?} over {scheme}: {twice} of {SPANS} arrived more than once");
    assert!(twice > 0, "answers were cut off, so some must have been sent again");
    assert!(bench.of("retries_total") > 0);
}

#[tokio::test]
async fn a_cut_of_a_shared_connection_loses_nothing() {
    nothing_is_lost(Protocol::Grpc, "http").await;
}

#[tokio::test]
async fn a_cut_of_a_shared_connection_over_tls_loses_nothing() {
    nothing_is_lost(Protocol::Grpc, "https").await;
}

#[tokio::test]
async fn a_cut_of_single_connections_loses_nothing() {
    nothing_is_lost(Protocol::Http, "http").await;
    nothing_is_lost(Protocol::Http, "https").await;
}
