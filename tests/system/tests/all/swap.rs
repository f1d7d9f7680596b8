//! A plugin is replaced again and again under load: no span is lost, doubled or seen by two generations.

use anyhow::{Context as _, Result};
use harness::load::{self, Load, Sent};
use harness::sink::Arrived;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, plugins, wait};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

const SWAPS: u32 = 10;
const LOAD: Load = Load { spans: 210_000, per_request: 100, rate: 6_000, senders: 6 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_swaps_under_load_lose_double_and_mix_nothing() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("plugins.note_generation", true)
        .plugin("10-drop-health", "drop-health")?
        .file("20-stamp.wasm", &plugins::stamp(0)?)?;
    setup
        .run(async |proxy| {
            let client = proxy.grpc();
            let generator = Generator::new(Profile::Medium, 41).mix(Mix { health: 0.05, ..Mix::PLAIN });
            let sending = tokio::spawn(async move { load::run(&client, generator, LOAD).await });
            swap_while(proxy, &sink).await?;
            let sent = sending.await??;
            let expected = sent.acknowledged.len() - sent.health.len();
            sink.wait_for_spans(expected as u64).await?;
            proxy.settled().await?;
            eprintln!(
                "{} spans at {:.0} spans/s, p99 {:?}, {} retries",
                sent.acknowledged.len(),
                sent.rate(),
                sent.latency(0.99),
                sent.retries
            );
            assert!(sent.rate() >= 5_000.0, "{} spans/s", sent.rate());
            sink.arrivals(|arrivals| compare(&sent, &arrivals.ids))
        })
        .await
}

/// Replaces the plugin at even distances, each time after spans of the version before have arrived.
async fn swap_while(proxy: &Proxy, sink: &Sink) -> Result<()> {
    let mut generation = proxy.generation().await?;
    for version in 1..=SWAPS {
        let due = LOAD.spans as u64 * u64::from(version) / u64::from(SWAPS + 2);
        let arrived = async || (sink.spans() >= due).then_some(());
        wait::until_within(Duration::from_mins(2), "the load to go on", arrived).await?;
        proxy.install("20-stamp.wasm", &plugins::stamp(version)?)?;
        generation = proxy.generation_after(generation).await.with_context(|| format!("version {version}"))?;
    }
    Ok(())
}

fn compare(sent: &Sent, arrived: &HashMap<u64, Arrived>) -> Result<()> {
    let acknowledged: HashSet<u64> = sent.acknowledged.iter().copied().collect();
    let health: HashSet<u64> = sent.health.iter().copied().collect();
    let lost = acknowledged.iter().filter(|id| !health.contains(id) && !arrived.contains_key(id)).count();
    assert_eq!(lost, 0, "acknowledged spans that did not arrive");
    let mut versions: BTreeMap<i64, HashSet<&str>> = BTreeMap::new();
    for (id, span) in arrived {
        assert!(acknowledged.contains(id) && !health.contains(id), "an unexpected span");
        assert_eq!(span.times, 1, "a span that came twice");
        let [generation] = span.generations[..] else {
            anyhow::bail!("generations {:?} on one span", span.generations)
        };
        versions.entry(generation).or_default().insert(span.stamp.as_deref().context("a span without a stamp")?);
    }
    eprintln!("versions by generation: {versions:?}");
    assert_eq!(versions.len(), SWAPS as usize + 1, "generations with spans");
    let mut seen = HashSet::new();
    for (generation, stamps) in versions {
        assert_eq!(stamps.len(), 1, "generation {generation} had the versions {stamps:?}");
        assert!(seen.insert(stamps.into_iter().next()), "one version in two generations");
    }
    Ok(())
}
