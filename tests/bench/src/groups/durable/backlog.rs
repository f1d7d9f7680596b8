//! A back end that is away while a backlog comes in, and then is there again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::sink::{Keep, Sink};
use harness::spans::Profile;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::full::delivered;
use super::{CONNECTIONS, SPANS, UNDER_WAY, folder, setting, work};
use crate::cores::{Cores, Watch};
use crate::drive::{self, Ready};
use crate::peer::Side;
use crate::usage;

/// Which figure is which.
pub const FILLED: usize = 0;
pub const FILL_LIMITED: usize = 1;
pub const DRAINED: usize = 2;
pub const DRAIN_PROXY: usize = 3;
pub const DRAIN_BENCH: usize = 4;
pub const DRAIN_LIMITED: usize = 5;
pub const PEAK: usize = 6;
pub const ANONYMOUS: usize = 7;
pub const WRITTEN: usize = 8;
pub const FULL: usize = 9;
pub const LEFT: usize = 10;

/// How long the port may be taken still when the sink comes back.
const REBIND: Duration = Duration::from_secs(10);
/// How long both sides have to tidy up: tracemill keeps an empty segment for 5 s, the Collector looks every 5 s.
const TIDY: Duration = Duration::from_secs(12);
const BETWEEN: Duration = Duration::from_millis(250);

/// Fills and drains one of `bytes` bytes of requests.
pub async fn run(cores: Cores, side: Side, bytes: u64) -> Result<Vec<f64>> {
    eprintln!("durable: backlog of {}", side.name());
    let folder = folder()?;
    let setting = setting(&folder, bytes * 4);
    let sink = setting.sink().await?;
    let address = sink.address();
    let subject = cores.start(side.start_with(work(), &setting, &sink)).await?;
    let process = subject.id()?;
    cores.check(process)?;
    drop(sink);
    let anonymous = Highest::watch(process);

    let clients = [(); CONNECTIONS].map(|()| subject.client(work()));
    let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
    let requests = (bytes as f64 / (ready.bytes_per_span() * SPANS as f64)).ceil() as usize;
    let filling = Watch::begin(cores)?;
    let outcome = drive::flat_out(&clients, &ready, requests, UNDER_WAY).await?;
    let (filled, fill_busy) = (outcome.accepted as f64 / filling.seconds(), filling.busy()?);
    let full = usage::on_disk(folder.path())?;

    eprintln!("durable: {} holds {} spans; the back end is there again", side.name(), outcome.accepted);
    let sink = back_again(address).await?;
    delivered(&sink, 1).await.context("nothing comes after the back end has come back")?;
    let (draining, at_first) = (Watch::begin(cores)?, sink.spans());
    delivered(&sink, outcome.accepted).await?;
    let (drained, busy) = ((outcome.accepted - at_first) as f64 / draining.seconds(), draining.busy()?);

    tokio::time::sleep(TIDY).await;
    let figures = vec![
        filled,
        f64::from(fill_busy.is_bench_exhausted()),
        drained,
        busy.proxy,
        busy.bench,
        f64::from(busy.is_bench_exhausted()),
        harness::memory::of(process)?.peak as f64,
        anonymous.bytes() as f64,
        usage::written(process)? as f64 / outcome.accepted as f64,
        full as f64,
        usage::on_disk(folder.path())? as f64,
    ];
    subject.end().await?;
    Ok(figures)
}

/// The sink at its old address: whoever had a connection to it finds it there.
async fn back_again(address: SocketAddr) -> Result<Sink> {
    let by = Instant::now() + REBIND;
    loop {
        match Sink::at(address, Keep::Counts).await {
            Err(_) if Instant::now() < by => tokio::time::sleep(BETWEEN).await,
            other => return other,
        }
    }
}

/// The most memory of its own that a process has had, as far as one sees by looking now and then. Looks until it is dropped.
struct Highest {
    bytes: Arc<AtomicU64>,
    watch: JoinHandle<()>,
}

impl Highest {
    fn watch(process: u32) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&bytes);
        let watch = tokio::spawn(async move {
            while let Ok(memory) = harness::memory::of(process) {
                seen.fetch_max(memory.anonymous, Ordering::Relaxed);
                tokio::time::sleep(BETWEEN).await;
            }
        });
        Self { bytes, watch }
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Highest {
    fn drop(&mut self) {
        self.watch.abort();
    }
}
