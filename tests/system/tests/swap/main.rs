//! A plugin is replaced again and again under load: no span is lost, doubled or seen by two generations.
//!
//! A test program of its own, and one test at a time: the load goes on at its pace while versions come and go, which the other system tests would
//! disturb. What pace the proxy can keep is the bench's matter.

use anyhow::{Context as _, Result, ensure};
use backends::hex;
use harness::load::{self, Load, Sent};
use harness::proxy::Setup;
use harness::sink::{Arrived, id, spans};
use harness::spans::Mix;
use harness::stored::Stored;
use harness::{BackEnd as _, Client, Generator, Jaeger, Profile, Protocol, Proxy, Sink, plugins, wait};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

const SWAPS: u32 = 10;
const LOAD: Load = Load { spans: 210_000, per_request: 100, rate: 6_000, senders: 6 };
/// Spans that are delivered of each version before the next one comes.
const SHARE: f64 = 15_000.0;
/// The fewest spans of a version that prove anything.
const LEAST: usize = 1_000;
/// Few large traces are read back quickly.
const SPANS_PER_TRACE: usize = 1_000;

static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_swaps_under_load_lose_double_and_mix_nothing() -> Result<()> {
    let _alone = ALONE.lock().await;
    let sink = Sink::start().await?;
    let generator = Generator::new(Profile::Medium, 41).mix(Mix { health: 0.05, ..Mix::PLAIN });
    setup()?
        .export_grpc("back", &sink)
        .run(async |proxy| {
            let sent = swap_under_load(proxy, generator).await?;
            sink.arrivals(|arrivals| compare(&sent, &arrivals.ids))
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_swaps_under_load_lose_double_and_mix_nothing_in_jaeger() -> Result<()> {
    let _alone = ALONE.lock().await;
    let Some(jaeger) = Jaeger::start().await? else { return Ok(()) };
    let mix = Mix { health: 0.05, ..Mix::PLAIN };
    let generator = Generator::new(Profile::Medium, 42).mix(mix).traces_of(SPANS_PER_TRACE);
    setup()?
        .set("export.back.grpc", jaeger.grpc_url())
        .run(async |proxy| {
            let sent = swap_under_load(proxy, generator.clone()).await?;
            let traces = traces_of(generator, sent.acknowledged.len());
            ensure!(traces.len() < sent.acknowledged.len() / SPANS_PER_TRACE + 10, "{} traces", traces.len());
            let mut arrived = HashMap::new();
            for (trace, spans) in &traces {
                note(&mut arrived, &jaeger.trace_of(trace, *spans).await?);
            }
            compare(&sent, &arrived)
        })
        .await
}

/// What the comparison stands on: Jaeger hides doubles from people, but not from these tests.
#[tokio::test]
async fn a_span_that_jaeger_was_sent_twice_is_seen_twice() -> Result<()> {
    let _alone = ALONE.lock().await;
    let Some(jaeger) = Jaeger::start().await? else { return Ok(()) };
    let made = Generator::new(Profile::Medium, 43).traces_of(SPANS_PER_TRACE).request(10);
    let client = Client::new(Protocol::Grpc, jaeger.grpc_url().trim_start_matches("http://"));
    for _ in 0..2 {
        ensure!(client.send(&made.request).await?.is_whole(), "Jaeger refused");
    }
    let trace = Stored::all(made.request.resource_spans)[0].trace();
    let mut arrived = HashMap::new();
    note(&mut arrived, &jaeger.trace_of(&trace, 20).await?);
    assert!(made.ids.iter().all(|id| arrived[id].times == 2), "{arrived:?}");
    Ok(())
}

fn setup() -> Result<Setup> {
    Proxy::setup()?
        .set("plugins.note_generation", true)
        .plugin("10-drop-health", "drop-health")?
        .file("20-stamp.wasm", &plugins::stamp(0)?)
}

/// The swaps while the load lasts; ends when everything was delivered.
async fn swap_under_load(proxy: &Proxy, generator: Generator) -> Result<Sent> {
    let (client, over) = (proxy.grpc(), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&over);
    let sending = tokio::spawn(async move { load::run_until(&client, generator, LOAD, &told).await });
    let swapped = swap_while(proxy).await;
    over.store(true, Ordering::Relaxed);
    let sent = sending.await??;
    swapped?;
    let accounts = proxy.settled().await?;
    let expected = (sent.acknowledged.len() - sent.health.len()) as u64;
    assert_eq!(accounts.destination("back").map(|back| back.sent), Some(expected));
    let (count, p99) = (sent.acknowledged.len(), sent.latency(0.99));
    eprintln!("{count} spans at {:.0} spans/s, p99 {p99:?}, {} retries", sent.rate(), sent.retries);
    ensure!(count >= 200_000, "{count} spans");
    Ok(sent)
}

/// Replaces the plugin, each time after spans of the version before have been delivered; ends when some of the last have been.
async fn swap_while(proxy: &Proxy) -> Result<()> {
    let mut generation = proxy.generation().await?;
    share_delivered(proxy).await?;
    for version in 1..=SWAPS {
        proxy.install("20-stamp.wasm", &plugins::stamp(version)?)?;
        generation = proxy.generation_after(generation).await.with_context(|| format!("version {version}"))?;
        share_delivered(proxy).await?;
    }
    let shown = proxy.metrics().await?.sum("tracemill_chain_generation", &[]);
    assert_eq!(shown as u64, generation);
    Ok(())
}

async fn share_delivered(proxy: &Proxy) -> Result<()> {
    let sent = async || Some(proxy.metrics().await.ok()?.sum("tracemill_export_sent_spans_total", &[]));
    let before = wait::until("the metrics", sent).await?;
    let delivered = async || sent().await.filter(|now| *now >= before + SHARE);
    wait::until_within(Duration::from_mins(2), "the load to go on", delivered).await.map(drop)
}

/// The traces of so many spans that a generator makes, without health checks: the same seed gives the same spans.
fn traces_of(mut generator: Generator, spans_in_all: usize) -> BTreeMap<String, usize> {
    let mut traces = BTreeMap::new();
    for _ in 0..spans_in_all / LOAD.per_request {
        let made = generator.request(LOAD.per_request);
        for span in spans(&made.request).filter(|span| !made.health.contains(&id(span))) {
            *traces.entry(hex(&span.trace_id)).or_default() += 1;
        }
    }
    traces
}

fn note(arrived: &mut HashMap<u64, Arrived>, found: &[Stored]) {
    for stored in found {
        arrived.entry(id(&stored.span)).or_default().note(&stored.span);
    }
}

fn compare(sent: &Sent, arrived: &HashMap<u64, Arrived>) -> Result<()> {
    let acknowledged: HashSet<u64> = sent.acknowledged.iter().copied().collect();
    let health: HashSet<u64> = sent.health.iter().copied().collect();
    assert_eq!(acknowledged.len(), sent.acknowledged.len(), "ids that are not unique prove nothing");
    let lost = acknowledged.iter().filter(|id| !health.contains(id) && !arrived.contains_key(id)).count();
    assert_eq!(lost, 0, "acknowledged spans that did not arrive");
    let mut versions: BTreeMap<i64, (HashSet<&str>, usize)> = BTreeMap::new();
    for (id, span) in arrived {
        assert!(acknowledged.contains(id) && !health.contains(id), "an unexpected span");
        assert_eq!(span.times, 1, "a span that came twice");
        let [generation] = span.generations[..] else {
            anyhow::bail!("generations {:?} on one span", span.generations)
        };
        let (stamps, spans) = versions.entry(generation).or_default();
        stamps.insert(span.stamp.as_deref().context("a span without a stamp")?);
        *spans += 1;
    }
    eprintln!("versions by generation: {versions:?}");
    assert_eq!(versions.len(), SWAPS as usize + 1, "generations with spans");
    let mut seen = HashSet::new();
    for (generation, (stamps, spans)) in versions {
        assert!(spans >= LEAST, "generation {generation} had {spans} spans only");
        assert_eq!(stamps.len(), 1, "generation {generation} had the versions {stamps:?}");
        assert!(seen.insert(stamps.into_iter().next()), "one version in two generations");
    }
    Ok(())
}
