//! Names whose addresses change while connections last.

use std::io;
use std::net::SocketAddr;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::*;
use crate::export::config::Dns;
use crate::export::resolve::Resolve;

/// Answers what it was told, and counts how often it was asked.
pub(super) struct Names {
    addresses: Mutex<Vec<SocketAddr>>,
    asked: watch::Sender<usize>,
}

impl Names {
    pub fn new(addresses: Vec<SocketAddr>) -> Arc<Self> {
        Arc::new(Self { addresses: Mutex::new(addresses), asked: watch::channel(0).0 })
    }

    pub fn network(self: &Arc<Self>) -> Network {
        Network { resolver: Arc::clone(self) as _, ..Network::default() }
    }

    /// From now on the name leads there; returns when that has been heard of, and acted upon.
    pub async fn lead_to(&self, addresses: Vec<SocketAddr>) {
        *self.addresses.lock() = addresses;
        let asked = *self.asked.borrow();
        // One answer may have been on its way, and another was begun only after the next was dealt with.
        self.asked.subscribe().wait_for(|now| *now >= asked + 3).await.unwrap();
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, host: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        assert_eq!(host, "back.example");
        let addresses = self.addresses.lock().clone();
        self.asked.send_modify(|asked| *asked += 1);
        async move { if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) } }.boxed()
    }
}

fn named(protocol: Protocol, dns: Dns) -> DestinationConfig {
    let endpoint = match protocol {
        Protocol::Grpc => Endpoint::grpc("http://back.example:4317").unwrap(),
        Protocol::Http | Protocol::Kafka => Endpoint::http("http://back.example:4318").unwrap(),
    };
    let mut config = quick("back", endpoint);
    config.endpoints.dns = dns;
    config.endpoints.resolve_every = Duration::from_millis(2);
    config.concurrency = 2;
    config.connections = 1;
    config.batch.max_items = 1;
    config
}

/// An address where nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn connections_follow_the_name_and_calls_under_way_end_as_usual() {
    for protocol in BOTH {
        let (old, new) = (Sink::new([Reply::Held], Reply::Ok), Sink::new([], Reply::Ok));
        let names = Names::new(vec![old.listen().await]);
        let bench = Bench::over(names.network(), vec![named(protocol, Dns::One)]);
        bench.send(parcel(0..1)).unwrap();
        old.until(|seen| seen.taken.len() == 1).await;
        names.lead_to(vec![new.listen().await]).await;
        for n in 1..20 {
            bench.send(parcel(n..n + 1)).unwrap();
        }
        until(async || bench.of("sent_spans_total", "back") >= 19).await;
        assert_eq!(new.seen().taken.len(), 19);
        assert_eq!(bench.of("held_spans", "back"), 1, "{protocol:?}");
        old.go_on();
        bench.until_quiet("back").await;
        assert_eq!((bench.of("sent_spans_total", "back"), bench.of_traces("retries_total", "back")), (20, 0));
        assert_eq!(old.seen().requests.len(), 1);
        if protocol == Protocol::Grpc {
            old.until(|seen| seen.connections == (1, 1)).await;
        }
    }
}

#[tokio::test]
async fn an_idle_connection_to_an_address_that_is_gone_is_closed() {
    let (old, new) = (Sink::new([], Reply::Ok), Sink::new([], Reply::Ok));
    let names = Names::new(vec![old.listen().await]);
    let bench = Bench::over(names.network(), vec![named(Protocol::Grpc, Dns::One)]);
    bench.send(parcel(0..1)).unwrap();
    bench.until_quiet("back").await;
    names.lead_to(vec![new.listen().await]).await;
    old.until(|seen| seen.connections == (1, 1)).await;
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_for_a_while_changes_nothing() {
    for dns in [Dns::One, Dns::All] {
        let sink = Sink::new([], Reply::Ok);
        let address = sink.listen().await;
        let names = Names::new(vec![address]);
        let bench = Bench::over(names.network(), vec![named(Protocol::Grpc, dns)]);
        names.lead_to(vec![address]).await;
        bench.send(parcel(0..1)).unwrap();
        bench.until_quiet("back").await;
        names.lead_to(Vec::new()).await;
        let connections = sink.seen().connections;
        bench.send(parcel(1..2)).unwrap();
        bench.until_quiet("back").await;
        assert_eq!(sink.seen().connections, connections);
        assert_eq!(bench.of_traces("retries_total", "back"), 0);
    }
}

#[tokio::test]
async fn an_address_that_refuses_gives_way_to_the_next() {
    for protocol in BOTH {
        let sink = Sink::new([], Reply::Ok);
        let names = Names::new(vec![nobody().await, sink.listen().await]);
        let bench = Bench::over(names.network(), vec![named(protocol, Dns::One)]);
        bench.send(parcel(0..1)).unwrap();
        bench.until_quiet("back").await;
        assert_eq!((bench.of("sent_spans_total", "back"), bench.of_traces("retries_total", "back")), (1, 0));
    }
}

#[tokio::test]
async fn with_all_addresses_each_gets_its_share_and_the_list_is_followed() {
    for protocol in BOTH {
        let sinks = [(); 4].map(|()| Sink::new([], Reply::Ok));
        let [one, two, three, four] = &sinks;
        let first = vec![one.listen().await, two.listen().await, three.listen().await];
        let names = Names::new(first.clone());
        let bench = Bench::over(names.network(), vec![named(protocol, Dns::All)]);
        names.lead_to(first.clone()).await;
        for n in 0..60 {
            bench.send(parcel(n..n + 1)).unwrap();
        }
        bench.until_quiet("back").await;
        let shares = [one, two, three].map(|sink| sink.seen().taken.len());
        assert!(shares.iter().sum::<usize>() == 60 && shares.iter().all(|&share| share > 10), "{shares:?}");
        let status = bench.exports.status();
        let addresses: Vec<_> = status[0].endpoints[0].addresses.iter().map(|known| known.address).collect();
        assert_eq!(addresses, first);

        // The first goes, another comes, and one is there that nobody listens on.
        names.lead_to(vec![first[1], first[2], four.listen().await, nobody().await]).await;
        let before = one.seen().taken.len();
        for n in 60..120 {
            bench.send(parcel(n..n + 1)).unwrap();
        }
        bench.until_quiet("back").await;
        assert_eq!(one.seen().taken.len(), before, "{protocol:?}");
        assert!(four.seen().taken.len() > 10);
        assert_eq!(bench.of("sent_spans_total", "back"), 120);
        if protocol == Protocol::Grpc {
            one.until(|seen| seen.connections.0 == seen.connections.1).await;
        }
    }
}
