//! Queues on disk, both with a sync before each answer: how much is taken, how long that takes, and how fast a backlog goes.
//!
//! The proxy has one core, and generator and sink the other. Where these have nothing left to give, the figure is theirs: `≥`.

mod backlog;
mod full;

use anyhow::{Context as _, Result, ensure};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use tempfile::TempDir;

use crate::Arguments;
use crate::cores::{self, Cores};
use crate::measure::{Figures, interleaved};
use crate::peer::{CONSUMERS, Durable, Setting, Side, Steps, Work};
use crate::report::{Table, must};

const SIDES: [Side; 2] = [Side::Tracemill, Side::Collector];
/// Spans of a request, except where latency is measured.
const SPANS: usize = 512;
/// Connections, and requests under way on each: a disk that syncs for all that wait wants some to wait.
const CONNECTIONS: usize = 4;
const UNDER_WAY: usize = 16;
const MIB: f64 = (1 << 20) as f64;

fn work() -> Work {
    Work::grpc(Steps::PassThrough)
}

/// All rows.
pub fn run(arguments: &Arguments) -> Result<Table> {
    cores::apart(async |cores| pinned(cores, arguments).await)
}

async fn pinned(cores: Cores, arguments: &Arguments) -> Result<Table> {
    let runs = arguments.runs;
    let ceiling = interleaved(&[()], runs, async |()| full::ceiling(cores).await).await?;
    let full = interleaved(&SIDES, runs, async |side| full::flat_out(cores, side).await).await?;
    let pace = interleaved(&SIDES, runs, async |side| full::at_pace(cores, side).await).await?;
    let backlog = interleaved(&SIDES, runs, async |side| backlog::run(cores, side, arguments.backlog).await).await?;

    let head = ["what", "tracemill", "Collector", "tracemill is", "must"];
    let title = "Queues on disk, a sync before each answer (gRPC, pass-through, the proxy on one core)";
    let mut table = Table::new(title, &head);
    table.row(rate("taken at full load, spans/s", &full, full::TAKEN, full::LIMITED, Some(5.0)));
    table.row(rate("the same, until the back end has them", &full, full::DELIVERED, full::LIMITED, Some(5.0)));
    table.row(busy(&full, full::PROXY, full::BENCH));
    let name = format!("a request at {} spans/s ({} a request), p50 / p99, ms", full::RATE, full::PACED);
    table.row(row(&name, &pace, |run| format!("{:.1} / {:.1}", run[0].median(), run[1].median())));
    table.row(rate(
        "taken while the back end is away, spans/s",
        &backlog,
        backlog::FILLED,
        backlog::FILL_LIMITED,
        None,
    ));
    table.row(rate("drained, spans/s", &backlog, backlog::DRAINED, backlog::DRAIN_LIMITED, Some(10.0)));
    table.row(busy(&backlog, backlog::DRAIN_PROXY, backlog::DRAIN_BENCH));
    table.row(row("peak memory from fill to drain, MiB (without mapped files)", &backlog, |run| {
        format!("{:.0} ({:.0})", run[backlog::PEAK].median() / MIB, run[backlog::ANONYMOUS].median() / MIB)
    }));
    table.row(row("bytes written to the disk for each span", &backlog, |run| {
        format!("{:.0}", run[backlog::WRITTEN].median())
    }));
    table.row(row("on the disk when full / when drained, MiB", &backlog, |run| {
        format!("{:.0} / {:.1}", run[backlog::FULL].median() / MIB, run[backlog::LEFT].median() / MIB)
    }));
    notes(&mut table, arguments, &ceiling[0]);
    Ok(table)
}

fn notes(table: &mut Table, arguments: &Arguments, ceiling: &[Figures]) {
    table.note(format!(
        "{SPANS} spans of 600 B a request, {CONNECTIONS} connections with {UNDER_WAY} requests under way each. The backlog is {:.2} GiB of \
         requests, uncompressed: the same spans on both sides. tracemill keeps it compressed (zstd 1), which synthetic spans \
         favour; the Collector keeps it as it is.",
        arguments.backlog as f64 / f64::from(1 << 30),
    ));
    table.note(format!(
        "tracemill: `queue: {{ mode: durable }}`. The Collector: no processors, `sending_queue` with `storage: file_storage` \
         (`fsync: true`, `compaction: on_rebound`), `sizer: bytes`, `num_consumers: {CONSUMERS}`, `batch: {{ min_size: 8192 items }}`. \
         Compression on the wire: none. Drained counts from the first span that arrives to the last."
    ));
    table.note(format!(
        "≥: generator and sink, which share a core, had nothing left to give. Without a proxy between them they reach {:.0} spans/s, with {:.0} % of it.",
        ceiling[0].median(),
        ceiling[1].median() * 100.0,
    ));
}

/// Both rates and how often one is the other. A rate at which the bench's core was exhausted could be higher.
fn rate(name: &str, figures: &[Vec<Figures>], at: usize, limited: usize, least: Option<f64>) -> [String; 5] {
    let rates: Vec<f64> = figures.iter().map(|run| run[at].median()).collect();
    let limited: Vec<bool> = figures.iter().map(|run| run[limited].median() > 0.5).collect();
    let sign = |is_limited: bool| if is_limited { "≥ " } else { "" };
    let times = rates[0] / rates[1];
    // What limits the Collector too says nothing about how far it is behind.
    let ratio = if limited[1] { "≈ " } else { sign(limited[0]) };
    [
        name.to_owned(),
        format!("{}{:.0}", sign(limited[0]), rates[0]),
        format!("{}{:.0}", sign(limited[1]), rates[1]),
        format!("{ratio}{times:.1} times"),
        least.map_or_else(|| "-".to_owned(), |least| must(format!("{least:.0} times"), times >= least)),
    ]
}

/// How much of their time the two cores had to do.
fn busy(figures: &[Vec<Figures>], proxy: usize, bench: usize) -> [String; 5] {
    row("the same: the proxy's core busy, the other one", figures, |run| {
        format!("{:.0} %, {:.0} %", run[proxy].median() * 100.0, run[bench].median() * 100.0)
    })
}

fn row(name: &str, figures: &[Vec<Figures>], show: impl Fn(&[Figures]) -> String) -> [String; 5] {
    [name.to_owned(), show(&figures[0]), show(&figures[1]), "-".to_owned(), "-".to_owned()]
}

/// A folder for a queue, on a disk: beside the build's products, because the system's folder for temporary files may be in memory.
fn folder() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("queue-").tempdir_in(backends::root().join("target"))?;
    let kind = statfs(folder.path()).context("asking for the file system of the queues")?.filesystem_type();
    ensure!(kind != TMPFS_MAGIC, "the checkout is in memory: syncs cost nothing there");
    Ok(folder)
}

fn setting(folder: &TempDir, size: u64) -> Setting {
    Setting { durable: Some(Durable { folder: folder.path().to_owned(), size }), ..Setting::default() }
}
