//! Whole traces decided: beside the Collector's `tail_sampling` with the same policies, and what the trace buffer costs by itself.
//!
//! The proxy has one core, and generator and sink the other.

mod climb;
mod run;
mod traffic;

use std::time::Duration;

use anyhow::Result;

use crate::Arguments;
use crate::cores::{self, Cores};
use crate::measure::{Figures, interleaved};
use crate::peer::{Sampling, Side, Steps, Waits};
use crate::report::{Table, must};
use run::{Load, Outcome};
pub use traffic::{PARTS, REQUEST};

/// Spans a second.
const RATE: usize = 40_000;
/// Spans of a trace.
const SIZES: [usize; 2] = [1, 20];
/// Until the Collector decides as many traces as come, and its heap has found its size.
const WARM_UP: Duration = Duration::from_secs(12);
const TIME: Duration = Duration::from_secs(12);
const MIB: f64 = (1 << 20) as f64;
/// What tracemill must not exceed, as a part of the Collector's: CPU, memory; and how far apart the kept shares may be.
const CPU: f64 = 6.0;
const MEMORY: f64 = 3.0;
const SHARES: f64 = 0.01;
/// How often the Collector's highest rate must be held.
const TIMES: f64 = 5.0;

/// The tables whose titles hold what is asked for.
pub fn run(arguments: &Arguments) -> Result<Vec<Table>> {
    let titles = [
        format!(
            "Tail sampling at {RATE} spans/s (gRPC, errors, slow traces and 5 % of the rest; the proxy on one core)"
        ),
        "The highest rate at which whole traces are decided without a loss (the proxy on one core)".to_owned(),
        "What the trace buffer costs by itself (one-span traces, all dropped; the proxy on one core)".to_owned(),
    ];
    let mut tables = Vec::new();
    for (number, title) in titles.into_iter().enumerate().filter(|(_, title)| arguments.wants(title)) {
        tables.push(cores::apart(async |cores| match number {
            0 => side_by_side(cores, title, arguments).await,
            1 => highest(cores, title, arguments).await,
            _ => alone(cores, title, arguments).await,
        })?);
    }
    Ok(tables)
}

fn usual(side: Side, waits: Waits, size: usize) -> Load {
    Load {
        side,
        steps: Steps::PassThrough,
        sampling: Some(Sampling::Policies),
        waits,
        size,
        rate: RATE,
        memory: None,
        warm_up: WARM_UP,
        time: TIME,
    }
}

fn figures(outcome: Outcome) -> Vec<f64> {
    vec![outcome.nanoseconds_per_span, outcome.peak, outcome.kept, outcome.not_taken, outcome.lost + outcome.early]
}

async fn side_by_side(cores: Cores, title: String, arguments: &Arguments) -> Result<Table> {
    let head = [
        "traces",
        "tracemill ns/span",
        "Collector ns/span",
        "tracemill is",
        "must (aim)",
        "peak memory, MiB: tracemill / Collector",
        "tracemill is",
        "must (aim)",
        "kept: tracemill / Collector",
        "spans not taken: tracemill / Collector",
        "lost, or decided early",
    ];
    let mut table = Table::new(title, &head);
    let mut sides =
        vec![(Side::Tracemill, Waits::Alike), (Side::Tracemill, Waits::Own), (Side::Collector, Waits::Alike)];
    if arguments.alone {
        sides.pop();
    }
    for size in SIZES {
        let all = interleaved(&sides, arguments.runs, async |(side, waits)| {
            Ok(figures(run::once(cores, usual(side, waits, size)).await?))
        })
        .await?;
        let peer = all.get(2);
        table.row(compared(&format!("of {}, both wait 5 s", spans(size)), &all[0], peer));
        table.row(compared(&format!("of {}, tracemill waits by its defaults", spans(size)), &all[1], peer));
    }
    table.note(format!(
        "{}, in {} requests one after the other where a trace has 20 spans; 1 % of the traces have an error, 1 % are slow, so that {:.1} % are to be kept. \
         Each run: {} s until as many traces are decided as come, {} s measured. Not taken: refused, or not sent because {} requests were under way.",
        run::request(),
        PARTS,
        run::expected() * 100.0,
        WARM_UP.as_secs(),
        TIME.as_secs(),
        run::UNDER_WAY,
    ));
    table.note(settings());
    Ok(table)
}

/// How both sides are set up.
fn settings() -> String {
    "The Collector: `tail_sampling` with `decision_wait: 5s`, `num_traces` twice the traces that come in that time (as its README asks: none dropped too early), \
     `expected_new_traces_per_sec` as they come, no decision caches (its default), then `batch` with its defaults; its metrics are on, as tracemill's are. \
     tracemill: `plugins/tail-sample` with the same `policies`, `tail.root_delay`, `idle` and `longest` of 5 s; by its defaults it waits 2 s once the root is there. \
     It remembers decisions as by default."
        .to_owned()
}

fn spans(size: usize) -> String {
    if size == 1 { "one span".to_owned() } else { format!("{size} spans") }
}

fn compared(name: &str, ours: &[Figures], theirs: Option<&Vec<Figures>>) -> Vec<String> {
    let ours: Vec<f64> = ours.iter().map(Figures::median).collect();
    let theirs: Option<Vec<f64>> = theirs.map(|theirs| theirs.iter().map(Figures::median).collect());
    let ratio = |at: usize| theirs.as_ref().map(|theirs| theirs[at] / ours[at]);
    let part = |at: usize| ratio(at).map_or_else(|| "-".to_owned(), |ratio| format!("1/{ratio:.1}"));
    let goal = |at: usize, least: f64| {
        let name = format!("1/{least:.0} (1/{:.0})", least * 2.0);
        ratio(at).map_or_else(|| "-".to_owned(), |ratio| must(name, ratio >= least))
    };
    let both = |at: usize, show: &dyn Fn(f64) -> String| {
        let theirs = theirs.as_ref().map_or_else(|| "-".to_owned(), |theirs| show(theirs[at]));
        format!("{} / {theirs}", show(ours[at]))
    };
    let kept = both(2, &|share| format!("{:.2} %", share * 100.0));
    let [not_taken, lost] = [3, 4].map(|at| both(at, &|spans| format!("{spans:.0}")));
    let are_alike = theirs.as_ref().is_none_or(|theirs| (ours[2] - theirs[2]).abs() < SHARES);
    vec![
        name.to_owned(),
        format!("{:.0}", ours[0]),
        theirs.as_ref().map_or_else(|| "-".to_owned(), |theirs| format!("{:.0}", theirs[0])),
        part(0),
        goal(0, CPU),
        both(1, &|bytes| format!("{:.0}", bytes / MIB)),
        part(1),
        goal(1, MEMORY),
        must(kept, are_alike),
        must(not_taken, ours[3] == 0.0),
        must(lost, ours[4] == 0.0),
    ]
}

async fn highest(cores: Cores, title: String, arguments: &Arguments) -> Result<Table> {
    let head = [
        "traces",
        "tracemill, spans/s",
        "Collector, spans/s",
        "tracemill is",
        "must",
        "peak memory, MiB: tracemill / Collector",
        "the proxy's core busy, the other one: tracemill",
        "Collector",
    ];
    let mut table = Table::new(title, &head);
    let sides: &[Side] = if arguments.alone { &[Side::Tracemill] } else { &[Side::Tracemill, Side::Collector] };
    for size in SIZES {
        let all = interleaved(sides, arguments.runs, async |side| climb::up(cores, side, size).await).await?;
        let of = |side: usize, at: usize| all.get(side).map(|figures| figures[at].median());
        let is_limited = |side: usize| of(side, climb::LIMITED).is_some_and(|limited| limited > 0.5);
        let rate = |side: usize| {
            let sign = if is_limited(side) { "≥ " } else { "" };
            of(side, climb::HELD).map_or_else(|| "-".to_owned(), |rate| format!("{sign}{rate:.0}"))
        };
        let times = of(0, climb::HELD).zip(of(1, climb::HELD)).map(|(ours, theirs)| ours / theirs);
        let sign = match (is_limited(0), is_limited(1)) {
            (_, true) => "≈ ",
            (true, false) => "≥ ",
            (false, false) => "",
        };
        let mib = |side| of(side, climb::PEAK).map_or_else(|| "-".to_owned(), |bytes| format!("{:.0}", bytes / MIB));
        let busy = |side| match (of(side, climb::PROXY), of(side, climb::BENCH)) {
            (Some(proxy), Some(bench)) => format!("{:.0} %, {:.0} %", proxy * 100.0, bench * 100.0),
            _ => "-".to_owned(),
        };
        table.row([
            format!("of {}", spans(size)),
            rate(0),
            rate(1),
            times.map_or_else(|| "-".to_owned(), |times| format!("{sign}{times:.1} times")),
            times.map_or_else(|| "-".to_owned(), |times| must(format!("{TIMES:.0} times"), times >= TIMES)),
            format!("{} / {}", mib(0), mib(1)),
            busy(0),
            busy(1),
        ]);
    }
    table.note(
        "Up by half until a run is not held, then twice closer. Held: nothing refused, no request left out because 200 were under way, no trace dropped or decided before its \
         time, the kept share within a per cent, and at least four fifths of it there while the load lasts. Both wait 5 s; `num_traces` grows with the rate; tracemill has \
         `tail.memory: 6GiB`, so that memory limits neither. ≥: generator and sink, which share a core, had nothing left to give.",
    );
    Ok(table)
}

async fn alone(cores: Cores, title: String, arguments: &Arguments) -> Result<Table> {
    let mut table =
        Table::new(title, &["work", "CPU ns/span", "peak memory, MiB", "not taken, lost, or decided early"]);
    let cases = [
        ("pass-through: all are sent", Steps::PassThrough, None),
        ("`sample` at 0 %: all are dropped as they come, without the buffer", Steps::DropAll, None),
        (
            "the buffer, and a sampler without columns (`show: no-spans`) that drops all",
            Steps::PassThrough,
            Some(Sampling::DropAll),
        ),
    ];
    let all = interleaved(&cases, arguments.runs, async |(_, steps, sampling)| {
        let load =
            Load { steps, sampling, warm_up: WARM_UP / 3, time: TIME / 2, ..usual(Side::Tracemill, Waits::Own, 1) };
        Ok(figures(run::once(cores, load).await?))
    })
    .await?;
    for ((name, ..), figures) in cases.iter().zip(&all) {
        let [cpu, peak, _, not_taken, lost] = [0, 1, 2, 3, 4].map(|at| figures[at].median());
        let missing = not_taken + lost;
        table.row([(*name).to_owned(), format!("{cpu:.0}"), format!("{:.0}", peak / MIB), format!("{missing:.0}")]);
    }
    table.note(format!("{RATE} spans/s, {}, tracemill's own clocks: each trace waits 2 s.", run::request()));
    Ok(table)
}
