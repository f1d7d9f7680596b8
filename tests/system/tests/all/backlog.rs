//! A long outage: millions of spans wait on disk over a restart, and come back roughly in their order, at the rate that is set, in
//! little memory.

use anyhow::{Context as _, Result, ensure};
use harness::proxy::Setup;
use harness::sink::{Keep, id};
use harness::spans::Mix;
use harness::{Behaviour, Generator, Profile, Proxy, Sink, memory, wait};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

const SPANS_OF_A_REQUEST: usize = 1000;
const REQUESTS: usize = 2000;
const SENDERS: usize = 4;
/// Bytes a second, uncompressed.
const DRAIN_RATE: usize = 50 << 20;
/// What a proxy may take while it drains: the spans are three times as many bytes.
const MEMORY: u64 = 200 << 20;

async fn start(sink: &Sink, folder: &Path) -> Result<Proxy> {
    setup(sink, folder)?.start().await
}

fn setup(sink: &Sink, folder: &Path) -> Result<Setup> {
    let drain_rate = format!("{}MiB", DRAIN_RATE >> 20);
    let queue =
        json!({ "mode": "durable", "folder": folder, "memory": "16MiB", "size": "4GiB", "drain_rate": drain_rate });
    Ok(Proxy::setup()?.export_grpc("sink", sink).set("export.sink.queue", queue))
}

/// The most memory that a process has had resident.
fn peak(proxy: &Proxy) -> Result<u64> {
    Ok(memory::of(proxy.id().context("it runs")?)?.peak)
}

#[tokio::test]
async fn what_waits_on_disk_comes_back_roughly_in_the_order_in_which_it_was_sent() -> Result<()> {
    const SENT: usize = 1000;
    /// What is put in one request to the sink, and how many of these are under way: so far may a span come from its place.
    const BATCH: usize = 10;
    const UNDER_WAY: usize = 4;
    let folder = tempfile::tempdir()?;
    let sink = Sink::keeping(Keep::Requests).await?;
    sink.behave(Behaviour::Unavailable(None));
    let start = async || {
        let batch = json!({ "spans": BATCH, "timeout": "5ms" });
        let setup = setup(&sink, folder.path())?.set("export.sink.concurrency", UNDER_WAY);
        setup.set("export.sink.batch", batch).start().await
    };
    let mut proxy = start().await?;
    let client = proxy.grpc();
    let mut generator = Generator::new(Profile::Small, 92).mix(Mix::PLAIN);
    let mut places = HashMap::new();
    for place in 0..SENT {
        let made = generator.request(1);
        ensure!(client.send(&made.request).await?.is_whole());
        places.insert(made.ids[0], place);
    }
    proxy.kill().await?;

    sink.behave(Behaviour::Accept);
    let mut proxy = start().await?;
    sink.wait_for_spans(SENT as u64).await?;
    let order: Vec<usize> = sink.arrivals(|arrivals| arrivals.all_spans().map(|span| places[&id(span)]).collect());
    let mut distances: Vec<usize> = order.iter().enumerate().map(|(came, sent)| came.abs_diff(*sent)).collect();
    distances.sort_unstable();
    println!("{SENT} spans, at most {:?} places from where they were sent", distances.last());
    // All but those of a request or two that a busy machine has held up.
    let most = distances[SENT / 20 * 19];
    ensure!(most <= 2 * BATCH * UNDER_WAY, "spans came {most} places and more from where they were sent");
    let accounts = proxy.settled().await?;
    ensure!(accounts.destination("sink").is_some_and(|sink| sink.sent == SENT as u64), "{accounts:?}");
    ensure!(proxy.stop().await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask test --full"]
async fn millions_that_wait_on_disk_survive_a_restart_and_drain_at_the_set_rate_in_little_memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sink = Sink::keeping(Keep::Counts).await?;
    sink.behave(Behaviour::Unavailable(None));
    let mut proxy = start(&sink, folder.path()).await?;
    let client = proxy.grpc();
    let mut generator = Generator::new(Profile::Small, 91).mix(Mix::PLAIN);
    let bodies = (0..20).map(|_| client.encode(&generator.request(SPANS_OF_A_REQUEST).request));
    let bodies = bodies.collect::<Result<Vec<_>>>()?;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let (client, bodies) = (client.clone(), bodies.clone());
        senders.spawn(async move {
            for number in 0..REQUESTS / SENDERS {
                let answer = client.send_bytes(bodies[number % bodies.len()].clone()).await?;
                ensure!(answer.is_whole(), "{answer:?}");
            }
            Ok(())
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    ensure!(peak(&proxy)? < MEMORY, "memory while it fills");
    proxy.kill().await?;

    sink.behave(Behaviour::Accept);
    let mut proxy = start(&sink, folder.path()).await?;
    let started = Instant::now();
    let all = (REQUESTS * SPANS_OF_A_REQUEST) as u64;
    let metrics = proxy.metrics().await?;
    ensure!(metrics.sum("tracemill_export_replayed_spans_total", &[]) as u64 == all, "all of them are found");
    wait::until_within(Duration::from_mins(3), "the backlog to be delivered", async || {
        (sink.spans() >= all).then_some(())
    })
    .await?;
    let took = started.elapsed();
    let bytes = bodies.iter().map(bytes::Bytes::len).sum::<usize>() / bodies.len() * REQUESTS;
    let peak = peak(&proxy)?;
    println!("{all} spans, {} MiB, delivered in {took:?} with {} MiB resident", bytes >> 20, peak >> 20);
    // A bound from below alone: what is read faster than it may be is a fault on any machine.
    ensure!(took.as_secs_f64() > bytes as f64 / DRAIN_RATE as f64 * 0.8, "faster than the drain rate");
    ensure!(peak < MEMORY, "{} MiB resident", peak >> 20);
    let accounts = proxy.settled().await?;
    ensure!(accounts.destination("sink").is_some_and(|sink| sink.sent == all), "{accounts:?}");
    ensure!(proxy.stop().await?.success());
    Ok(())
}
