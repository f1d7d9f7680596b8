//! Full load for minutes while plugins are added, broken, replaced, tried, promoted, rolled back, moved and removed at random: every span is
//! accounted for once and went through one generation, and when it is quiet again nothing is left over.
//!
//! A test program of its own: the load has to keep its pace, which other tests would disturb. `SOAK_SEED`, `SOAK_SECONDS` and `SOAK_RATE` (spans a
//! second) set what is printed at the start.

mod remains;
mod script;

use anyhow::{Context as _, Result, bail, ensure};
use harness::load::{self, Load, Sent};
use harness::spans::Mix;
use harness::{Client, Generator, Profile, Proxy, Sink, wait};
use remains::{Remains, resident};
use script::{Script, enrich};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const RATE: usize = 6_000;
const PER_REQUEST: usize = 100;
const SENDERS: usize = 6;
/// Far beyond what users would bear: a bound for what hangs, where a few seconds are too few for a percentile.
const STUCK: Duration = Duration::from_secs(5);
/// How many times the quiet one the 99th percentile under swaps may be, in minutes; and below what nobody asks.
const TIMES: u32 = 2;
const UNNOTICED: Duration = Duration::from_millis(50);
/// How much memory may come and go with what happens to run.
const BREATHING: u64 = 64 << 20;

#[ignore = "long: cargo xtask test --full"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn some_seconds_of_swaps_under_load_lose_double_and_leave_nothing() -> Result<()> {
    soak(Duration::from_secs(4), |_| STUCK).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask test --full"]
async fn minutes_of_swaps_under_load_lose_double_and_leave_nothing() -> Result<()> {
    soak(Duration::from_secs(set("SOAK_SECONDS")?.unwrap_or(180)), |quiet| (quiet * TIMES).max(UNNOTICED)).await
}

fn set(variable: &str) -> Result<Option<u64>> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    text.parse().map(Some).with_context(|| format!("{variable}={text}"))
}

/// `bound`: what the 99th percentile may be, from the quiet one.
async fn soak(time: Duration, bound: impl Fn(Duration) -> Duration) -> Result<()> {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    let seed = set("SOAK_SEED")?.unwrap_or(now);
    let rate = set("SOAK_RATE")?.map_or(RATE, |rate| rate as usize);
    eprintln!("soak: SOAK_SEED={seed}, {time:?} at SOAK_RATE={rate}");
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .set("plugins.note_generation", true)
        .export_grpc("sink", &sink)
        .plugin("10-drop-health", "drop-health")?
        .file("20-stamp.wasm", &harness::plugins::stamp(0)?)?
        .plugin("30-enrich", "enrich")?
        .sidecar("30-enrich", &enrich("first"))?;
    setup
        .run(async |proxy| {
            let process = proxy.id().context("it runs")?;
            let mut script = Script::new(proxy, &sink, seed);
            let mut traffic = Traffic { rate, seed, chunks: 0, all: Sent::default() };

            // What is made once, for the first plugin that is tried say, is there before anything is counted.
            traffic.during(proxy, script.all_once()).await?;
            script.settle().await?;
            let quiet = traffic.during(proxy, quietly(&sink, rate, time / 6)).await?;
            proxy.settled().await?;
            let before = Remains::of(process)?;

            let generation = proxy.generation().await?;
            let mut early = 0;
            let stormy = traffic.during(proxy, async {
                script.run(time / 3).await?;
                early = resident(process)?;
                script.run(time * 2 / 3).await
            });
            let stormy = stormy.await?;
            let late = resident(process)?;
            let generations = proxy.generation().await? - generation;
            script.settle().await?;
            traffic.during(proxy, quietly(&sink, rate, time / 6)).await?;

            eprintln!("{}, {generations} generations", script.summary());
            let [p99, quiet] = [&stormy, &quiet].map(|sent| sent.latency(0.99));
            let pace = stormy.rate();
            let times = p99.as_secs_f64() / quiet.as_secs_f64();
            eprintln!(
                "p99 quiet {quiet:?}, under swaps {p99:?} ({times:.1} times), {pace:.0} spans/s, {} retries",
                stormy.retries
            );
            eprintln!("resident {} MiB after a third of the time, {} MiB at its end", early >> 20, late >> 20);
            let sums = proxy.settled().await?;
            let acknowledged = traffic.all.acknowledged.len() as u64;
            eprintln!("{acknowledged} spans, {} dropped, {} delivered", sums.door.dropped, sink.spans());
            ensure!(sums.door.dropped + sink.spans() == acknowledged, "{sums:?}");
            compare(&traffic.all, &sink, &chains_of(&proxy.log()))?;
            ensure!(
                generations as f64 >= time.as_secs_f64() / 2.0 && script.commands_took_effect(),
                "{generations} generations"
            );
            ensure!(p99 <= bound(quiet), "p99 {p99:?}, and {quiet:?} where it is quiet");
            ensure!(late < early + BREATHING, "memory has grown from {early} to {late} bytes");
            nothing_is_left(process, &before).await
        })
        .await
}

/// Traffic at a steady pace, in pieces of a second.
struct Traffic {
    rate: usize,
    seed: u64,
    chunks: u64,
    all: Sent,
}

impl Traffic {
    /// Sends as long as something else goes on, and answers what was sent meanwhile.
    async fn during(&mut self, proxy: &Proxy, other: impl Future<Output = Result<()>>) -> Result<Sent> {
        let over = Arc::new(AtomicBool::new(false));
        let sending = tokio::spawn(send_until(
            Arc::clone(&over),
            proxy.grpc(),
            self.rate,
            self.seed.wrapping_add(self.chunks << 20),
        ));
        let outcome = other.await;
        over.store(true, Ordering::Relaxed);
        let sent = sending.await??;
        outcome?;
        self.chunks += 1;
        self.all.acknowledged.extend(&sent.acknowledged);
        self.all.health.extend(&sent.health);
        Ok(sent)
    }
}

async fn send_until(over: Arc<AtomicBool>, client: Client, rate: usize, seed: u64) -> Result<Sent> {
    let (mut all, started, mut chunk) = (Sent::default(), Instant::now(), 0);
    while !over.load(Ordering::Relaxed) {
        let generator = Generator::new(Profile::Medium, seed + chunk).mix(Mix { health: 0.05, ..Mix::PLAIN });
        let sent =
            load::run(&client, generator, Load { spans: rate, per_request: PER_REQUEST, rate, senders: SENDERS })
                .await?;
        all.acknowledged.extend(sent.acknowledged);
        all.health.extend(sent.health);
        all.latencies.extend(sent.latencies);
        all.retries += sent.retries;
        chunk += 1;
    }
    all.took = started.elapsed();
    Ok(all)
}

/// Until so much was delivered as is sent in this time.
async fn quietly(sink: &Sink, rate: usize, time: Duration) -> Result<()> {
    let due = sink.spans() + (rate as f64 * time.as_secs_f64() * 0.9) as u64;
    let delivered = async || (sink.spans() >= due).then_some(());
    wait::until_within(time * 4 + wait::PATIENCE, "quiet load to be delivered", delivered).await
}

/// Every span that was acknowledged has arrived once, from one generation; health checks may have been dropped, whatever version of which plugin ran.
/// What is noted as one generation was stamped by one version of the plugin, or, where it has a canary, by one of two.
fn compare(sent: &Sent, sink: &Sink, chains: &BTreeMap<u64, bool>) -> Result<()> {
    let acknowledged: HashSet<u64> = sent.acknowledged.iter().copied().collect();
    let health: HashSet<u64> = sent.health.iter().copied().collect();
    ensure!(acknowledged.len() == sent.acknowledged.len(), "ids that are not unique prove nothing");
    sink.arrivals(|arrivals| {
        let mut stamps: BTreeMap<u64, HashSet<&str>> = BTreeMap::new();
        let lost = acknowledged.iter().filter(|id| !health.contains(id) && !arrivals.ids.contains_key(id)).count();
        ensure!(lost == 0, "{lost} acknowledged spans did not arrive");
        for (id, span) in &arrivals.ids {
            ensure!(acknowledged.contains(id), "a span that nobody was told is taken");
            ensure!(span.times == 1, "a span came {} times", span.times);
            let [generation] = span.generations[..] else { bail!("generations {:?} on one span", span.generations) };
            let stamp = span.stamp.as_deref().context("a span that met no version of the plugin that stamps")?;
            stamps.entry(generation.cast_unsigned()).or_default().insert(stamp);
        }
        for (generation, stamps) in stamps {
            let has_canary =
                *chains.get(&generation).with_context(|| format!("no chain is generation {generation}"))?;
            ensure!(stamps.len() <= 1 + usize::from(has_canary), "generation {generation} has stamped {stamps:?}");
        }
        Ok(())
    })
}

/// Of each generation whether some traces met a version that was tried, as the proxy has logged it: they come and go while something else is done.
fn chains_of(log: &str) -> BTreeMap<u64, bool> {
    let lines = log.lines().filter_map(|line| line.split_once("chain is live generation=").map(|(_, rest)| rest));
    let chains = lines.filter_map(|rest| rest.split_once(' '));
    chains.filter_map(|(number, chain)| Some((number.parse().ok()?, chain.contains("% of the traces")))).collect()
}

/// What the swaps have opened, started and mapped goes in time: connections and threads that rest end by themselves.
async fn nothing_is_left(process: u32, before: &Remains) -> Result<()> {
    let mut left = Vec::new();
    let gone = async || {
        let now = Remains::of(process).ok()?;
        left = now.beyond(before);
        left.is_empty().then_some(now)
    };
    let waited = wait::until_within(Duration::from_mins(1), "what the swaps have left to go", gone).await;
    let now = waited.with_context(|| left.join("\n"))?;
    eprintln!("before: {before}; after: {now}");
    Ok(())
}
