//! How long requests take while plugins are swapped, beside how long they take in quiet.
//!
//! The proxy, its compilers included, has one core, and generator and sink the other.

use std::convert::Infallible;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use backends::python_guest;
use harness::sink::{Keep, Sink};
use harness::spans::Profile;
use harness::{Proxy, plugins};
use serde_json::json;

use crate::Arguments;
use crate::cores::{self, Cores};
use crate::drive::{self, Ready};
use crate::measure::interleaved;
use crate::peer::{Side, Steps, Work};
use crate::report::{Table, must};

const RATE: usize = 10_000;
const SPANS: usize = 100;
const WARM_UP: Duration = Duration::from_secs(3);
const TIME: Duration = Duration::from_secs(12);
/// From one swap to the next.
const APART: Duration = Duration::from_secs(1);
/// What users bear where the quiet percentile is far below.
const TIMES: f64 = 2.0;

/// What is swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Swapped {
    Nothing,
    /// 0.1 MB.
    DropHealth,
    /// 0.7 MB with a regex engine.
    ScrubPii,
    /// A Python interpreter. No span meets it: what it costs to run is another matter.
    Python,
}

impl Swapped {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "quiet",
            Self::DropHealth => "drop-health, compiled anew each second",
            Self::ScrubPii => "scrub-pii, compiled anew each second",
            Self::Python => "a Python guest, compiled anew as fast as that goes",
        }
    }
}

/// Each of them in turn.
pub fn run(arguments: &Arguments) -> Result<Table> {
    cores::apart(async |cores| pinned(cores, arguments).await)
}

async fn pinned(cores: Cores, arguments: &Arguments) -> Result<Table> {
    let mut all = vec![Swapped::Nothing, Swapped::DropHealth, Swapped::ScrubPii];
    let python = python_guest()?.or_skip_optional("Python guest").map(fs::read).transpose()?;
    if python.is_some() {
        all.push(Swapped::Python);
    }
    let figures = interleaved(&all, arguments.runs, async |swapped| {
        eprintln!("swaps: {swapped:?}");
        let (outcome, swaps) = once(cores, swapped, python.as_deref()).await?;
        let latency = |share| outcome.latency(share).as_secs_f64() * 1e3;
        Ok(vec![latency(0.5), latency(0.99), swaps as f64, outcome.refused as f64])
    })
    .await?;
    let title = format!(
        "Latency of a request while plugins are swapped ({RATE} spans/s, {SPANS} a request, gRPC, four steps), ms"
    );
    let mut table = Table::new(title, &["swapped", "p50", "p99", "of the quiet p99", "must", "swaps", "refused"]);
    let quiet = figures[0][1].median();
    for (swapped, figures) in all.iter().zip(&figures) {
        let [p50, p99, swaps, refused] = [0, 1, 2, 3].map(|column| figures[column].median());
        let is_quiet = *swapped == Swapped::Nothing;
        table.row([
            swapped.name().to_owned(),
            format!("{p50:.2}"),
            format!("{p99:.2}"),
            format!("{:.1}", p99 / quiet),
            if is_quiet { "-".to_owned() } else { must("2.0", p99 / quiet <= TIMES) },
            format!("{swaps:.0}"),
            format!("{refused:.0}"),
        ]);
    }
    table.note(
        "From when a request was due to its answer. The proxy has one core for spans and compilers; generator and sink share the other. The Python \
         guest takes longer to compile than the load lasts: the whole load passes beside its compiler.",
    );
    Ok(table)
}

/// What became of the load, and how many swaps there were meanwhile.
async fn once(cores: Cores, swapped: Swapped, python: Option<&[u8]>) -> Result<(drive::Outcome, usize)> {
    let work = Work::grpc(Steps::Four);
    let sink = Sink::keeping(Keep::Counts).await?;
    let mut subject = cores.start(Side::Tracemill.start(work, &sink)).await?;
    let clients = [subject.client(work), subject.client(work)];
    let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
    drive::at_pace(&clients, &ready, RATE, WARM_UP, 200).await?;
    let proxy = subject.proxy().context("tracemill it is")?;
    let mut swaps = 0;
    let outcome = tokio::select! {
        outcome = drive::at_pace(&clients, &ready, RATE, TIME, 200) => outcome?,
        stopped = swap(proxy, swapped, python, &mut swaps) => match stopped? {},
    };
    subject.end().await?;
    Ok((outcome, swaps))
}

/// Swaps again and again, each time by what nobody has compiled.
async fn swap(proxy: &Proxy, swapped: Swapped, python: Option<&[u8]>, swaps: &mut usize) -> Result<Infallible> {
    let (stage, plugin) = match swapped {
        Swapped::Nothing => return std::future::pending().await,
        Swapped::DropHealth => ("drop-health", fs::read(plugins::official("drop-health")?)?),
        Swapped::ScrubPii => ("scrub-pii", fs::read(plugins::official("scrub-pii")?)?),
        Swapped::Python => ("python", python.context("it was obtained")?.to_vec()),
    };
    let status = proxy.plugin_status().await?;
    let stages = status["stages"].as_array().context("stages")?;
    let file = stages.iter().find(|known| known["stage"] == stage).and_then(|known| known["file"].as_str());
    let file = file.map_or_else(|| format!("05-{stage}.wasm"), str::to_owned);
    if swapped == Swapped::Python {
        let nothing = json!([{ "path": "name", "equals": "no span of the bench" }]);
        let sidecar = json!({ "memory": "256MiB", "deadline": "5s", "when": nothing });
        proxy.install(&format!("05-{stage}.yaml"), sidecar.to_string().as_bytes())?;
    }
    loop {
        let (before, next) = (proxy.generation().await?, tokio::time::Instant::now() + APART);
        proxy.install(&file, &plugins::renewed(&plugin, rand::random()))?;
        proxy.generation_after(before).await?;
        *swaps += 1;
        tokio::time::sleep_until(next).await;
    }
}
