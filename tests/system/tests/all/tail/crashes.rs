//! kill -9, in a loop, with the buffer on the disk: what was acknowledged is decided and arrives, and what was decided stays so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{FILE, SAMPLER, errors, holds, settings};
use anyhow::{Result, ensure};
use harness::sink::Keep;
use harness::traces::{arrived, request};
use harness::{Client, Proxy, Sink, Trace, wait};
use opentelemetry_proto::tonic::trace::v1::Span;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

const CRASHES: usize = 4;
const SENDERS: u64 = 4;
/// How long a trace waits at least: the root is sent last.
const ROOT_DELAY: Duration = Duration::from_secs(2);
/// The number of a span that comes after a restart.
const LATE: u16 = 9;

/// What was acknowledged of a trace, and whether an error of it was sent at all.
#[derive(Debug, Default, Clone)]
struct Known {
    acknowledged: BTreeSet<u16>,
    has_error: bool,
    tried_error: bool,
    /// Its spans came one after the other: it was not decided between them.
    is_in_time: bool,
}

async fn start(sink: &Sink, folder: &Path) -> Result<Proxy> {
    let queue = json!({ "mode": "durable", "folder": folder.join("queue") });
    let delay = format!("{}s", ROOT_DELAY.as_secs());
    let tail = json!({ "mode": "durable", "folder": folder.join("tail"), "root_delay": delay, "idle": "4s" });
    Proxy::setup()?
        .export_grpc("sink", sink)
        .set("export.sink.queue", queue)
        .set("export.sink.batch.timeout", "5ms")
        .set("tail", tail)
        .plugin(FILE, SAMPLER)?
        .sidecar(FILE, &settings(&errors()))?
        .start()
        .await
}

/// Sends a span; `None` once nothing is answered any more, otherwise whether it was acknowledged.
async fn send(client: &Client, span: Span) -> Option<bool> {
    client.send(&request("shop", vec![span])).await.ok().map(|answer| answer.is_whole())
}

/// Sends traces until nothing is answered any more: every second one has an error, and some have their root.
async fn send_all(client: Client, first: u64, count: Arc<AtomicUsize>) -> BTreeMap<u64, Known> {
    let mut all = BTreeMap::new();
    for number in first.. {
        let trace = Trace(number);
        let known: &mut Known = all.entry(number).or_default();
        let mut spans = vec![(1, trace.span(1)), (2, trace.span(2))];
        if number.is_multiple_of(2) {
            spans.push((3, trace.error(3)));
        }
        if number.is_multiple_of(3) {
            spans.push((0, trace.span(0)));
        }
        let begun = Instant::now();
        for (at, span) in spans {
            known.tried_error |= at == 3;
            let Some(is_taken) = send(&client, span).await else { return all };
            if is_taken {
                known.acknowledged.insert(at);
                known.has_error |= at == 3;
                count.fetch_add(1, Ordering::Relaxed);
            }
            known.is_in_time = begun.elapsed() < ROOT_DELAY;
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_decided_however_often_the_process_is_killed() -> Result<()> {
    let seed = std::env::var("TRACEMILL_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("TRACEMILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir()?;
    let sink = Sink::keeping(Keep::Requests).await?;
    let mut all: BTreeMap<u64, Known> = BTreeMap::new();
    for crash in 0..CRASHES as u64 {
        let mut proxy = start(&sink, folder.path()).await?;
        let client = proxy.grpc();
        // What comes after a restart follows what was, or will be, decided.
        for (number, known) in all.iter_mut().rev().take(20) {
            if send(&client, Trace(*number).span(LATE)).await == Some(true) && !known.acknowledged.is_empty() {
                known.acknowledged.insert(LATE);
            }
        }
        let count = Arc::new(AtomicUsize::new(0));
        let mut senders = tokio::task::JoinSet::new();
        for sender in 0..SENDERS {
            let first = (crash * SENDERS + sender) * 1_000_000;
            senders.spawn(send_all(client.clone(), first, Arc::clone(&count)));
        }
        let until = random.random_range(100..600);
        wait::until("spans to be acknowledged", async || (count.load(Ordering::Relaxed) >= until).then_some(()))
            .await?;
        proxy.kill().await?;
        while let Some(known) = senders.join_next().await {
            all.extend(known?);
        }
    }
    let mut proxy = start(&sink, folder.path()).await?;
    holds(&proxy, 0).await?;
    proxy.settled().await?;
    let traces = sink.arrivals(arrived);
    let (mut kept, mut dropped) = (0, 0);
    for (number, known) in all.iter().filter(|(_, known)| known.is_in_time) {
        let spans = traces.get(&Trace(*number).id());
        if known.has_error {
            let spans: BTreeSet<u16> =
                spans.into_iter().flatten().filter_map(|span| span.name.rsplit(' ').next()?.parse().ok()).collect();
            let missing: Vec<_> = known.acknowledged.difference(&spans).collect();
            ensure!(
                missing.is_empty(),
                "seed {seed}: of trace {number} {missing:?} never arrived: {known:?}, {spans:?}"
            );
            kept += 1;
        } else if !known.tried_error && !known.acknowledged.is_empty() {
            ensure!(spans.is_none(), "seed {seed}: trace {number} was to be dropped: {known:?}");
            dropped += 1;
        }
    }
    ensure!(kept > 20 && dropped > 20, "{kept} kept, {dropped} dropped");
    ensure!(proxy.stop().await?.success());
    Ok(())
}
