//! The load generator delivers what it says it has delivered.

use anyhow::Result;
use std::time::Duration;
use tracemill_harness::load::{self, Load};
use tracemill_harness::{Behaviour, Client, Generator, Profile, Protocol, Sink, wait};

#[tokio::test]
async fn every_acknowledged_span_arrived_once_though_some_requests_were_refused() -> Result<()> {
    let sink = Sink::start().await?;
    sink.behave(Behaviour::Unavailable(Some(Duration::from_millis(20))));
    let client = Client::new(Protocol::Grpc, &sink.address().to_string());
    let generator = Generator::new(Profile::Small, 21);
    let running = tokio::spawn(async move {
        load::run(&client, generator, Load { spans: 10_000, per_request: 64, rate: 0, senders: 4 }).await
    });
    let refused = async || sink.arrivals(|arrivals| arrivals.refused_calls > 3).then_some(());
    wait::until("refusals", refused).await?;
    sink.behave(Behaviour::Accept);
    let sent = running.await??;
    assert!(sent.retries > 3);
    assert_eq!(sent.acknowledged.len(), 10_000);
    assert_eq!(sink.spans(), 10_000);
    assert!(sent.acknowledged.iter().all(|id| sink.arrivals(|arrivals| arrivals.ids[id].times == 1)));
    Ok(())
}

#[tokio::test]
async fn the_rate_is_kept() -> Result<()> {
    let sink = Sink::start().await?;
    let client = Client::new(Protocol::HttpProtobuf, &sink.address().to_string());
    let generator = Generator::new(Profile::Small, 22);
    let sent = load::run(&client, generator, Load { spans: 2_000, per_request: 20, rate: 4_000, senders: 2 }).await?;
    // The last request is due 20 spans before the end; a busy machine may be late, never early.
    assert!(sent.took >= Duration::from_millis(494), "{:?}", sent.took);
    assert_eq!(sent.latencies.len(), 100);
    Ok(())
}
