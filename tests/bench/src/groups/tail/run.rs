//! One run: so many spans a second for a while, and what became of them.

use std::time::Duration;

use anyhow::{Result, ensure};
use harness::metrics::Metrics;
use harness::sink::Sink;
use tokio::time::Instant;

use super::traffic::{ONE_IN, REQUEST, Traffic};
use crate::cores::{Busy, Cores, Watch};
use crate::drive::{self, Source as _};
use crate::peer::{Sampling, Setting, Side, Steps, Subject, Tail, Waits, Work};
use crate::usage;

/// After so long without a span all that was to arrive has: the wait for a decision, the Collector's tick and its batches.
const STILL: Duration = Duration::from_secs(8);
/// Requests under way at most; what is due then is not sent, and counts as refused.
pub const UNDER_WAY: usize = 200;
/// What the policies keep of traces that are neither slow nor have errors.
const OF_THE_REST: f64 = 0.05;

/// What is run.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Who.
    pub side: Side,
    /// What it does beside, or instead of, sampling tails.
    pub steps: Steps,
    /// Who decides, if traces are decided at all.
    pub sampling: Option<Sampling>,
    /// How long tracemill waits.
    pub waits: Waits,
    /// Spans of a trace.
    pub size: usize,
    /// Spans a second.
    pub rate: usize,
    /// What tracemill's buffer may take, if not its default.
    pub memory: Option<u64>,
    /// Until as many traces are decided as come.
    pub warm_up: Duration,
    /// What is measured.
    pub time: Duration,
}

/// What became of it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// CPU time of a span that was accepted, decisions and sending included.
    pub nanoseconds_per_span: f64,
    /// Resident memory at its highest, in bytes.
    pub peak: f64,
    /// Spans that arrived of those that were accepted, in the end.
    pub kept: f64,
    /// The same while it was measured: what is decided late is missing there.
    pub kept_in_time: f64,
    /// Spans that were refused, or were not even sent because no answers came.
    pub not_taken: f64,
    /// Spans that were lost after they were accepted.
    pub lost: f64,
    /// Spans of traces that were decided before their time, because memory was short.
    pub early: f64,
    /// How busy the cores were.
    pub busy: Busy,
}

impl Outcome {
    /// Whether the load was held: nothing lost, nothing decided early or late.
    pub fn is_held(&self) -> bool {
        let is_whole = self.not_taken + self.lost + self.early == 0.0;
        is_whole && (self.kept - expected()).abs() < 0.01 && self.kept_in_time > 0.8 * expected()
    }
}

/// The share of traces that the policies keep.
pub fn expected() -> f64 {
    let certain = 2.0 / ONE_IN as f64;
    certain + (1.0 - certain) * OF_THE_REST
}

/// Runs it.
pub async fn once(cores: Cores, load: Load) -> Result<Outcome> {
    let Load { side, sampling, waits, size, rate, memory, .. } = load;
    eprintln!("tail: {}, traces of {size}, {rate} spans/s", side.name());
    let work = Work::grpc(load.steps);
    let tail = sampling.map(|sampling| Tail { sampling, waits, traces: rate as f64 / size as f64, memory });
    let setting = Setting { tail, ..Setting::default() };
    let sink = setting.sink().await?;
    let subject = cores.start(side.start_with(work, &setting, &sink)).await?;
    let id = subject.id()?;
    cores.check(id)?;
    let clients = [subject.client(work), subject.client(work)];
    let traffic = Traffic::new(&clients[0], size)?;
    let warm = drive::at_pace(&clients, &traffic, rate, load.warm_up, UNDER_WAY).await?;
    let (watch, cpu, arrived) = (Watch::begin(cores)?, usage::cpu(id)?, sink.spans());
    let outcome = drive::at_pace(&clients, &traffic, rate, load.time, UNDER_WAY).await?;
    let cpu = usage::cpu(id)?.saturating_sub(cpu);
    let (busy, in_time) = (watch.busy()?, sink.spans() - arrived);
    if sampling == Some(Sampling::Policies) {
        still(&sink).await;
    }
    let accepted = warm.accepted + outcome.accepted;
    ensure!(outcome.accepted > 0, "{} took nothing", side.name());
    let unsent = warm.refused + warm.left_out + outcome.refused + outcome.left_out;
    let (lost, early) = if sampling.is_some() { lost(&subject, side, size).await? } else { (0.0, 0.0) };
    let peak = harness::memory::of(id)?.peak as f64;
    subject.end().await?;
    Ok(Outcome {
        nanoseconds_per_span: cpu.as_nanos() as f64 / outcome.accepted as f64,
        peak,
        kept: sink.spans() as f64 / accepted as f64,
        kept_in_time: in_time as f64 / outcome.accepted as f64,
        not_taken: (unsent as usize * traffic.spans()) as f64,
        lost,
        early,
        busy,
    })
}

/// Waits until nothing arrives any more.
async fn still(sink: &Sink) {
    let mut last = (sink.spans(), Instant::now());
    while last.1.elapsed() < STILL {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if sink.spans() != last.0 {
            last = (sink.spans(), Instant::now());
        }
    }
}

/// Spans that were accepted and are lost, and spans that were decided before their time, as each side counts them.
async fn lost(subject: &Subject, side: Side, size: usize) -> Result<(f64, f64)> {
    let metrics = subject.metrics().await?;
    let traces_to_spans = size as f64;
    Ok(match side {
        Side::Tracemill => {
            let unreadable = metrics.sum("tracemill_dropped_spans_total", &[("reason", "spill_unreadable")]);
            let given_up = metrics.sum("tracemill_export_dropped_spans_total", &[]);
            let early = metrics.sum("tracemill_tail_decisions_total", &[("due", "over_budget")]);
            (unreadable + given_up, early * traces_to_spans)
        }
        Side::Collector => {
            let starting = |name: &str| all_starting(&metrics, name);
            ensure!(
                starting("otelcol_processor_tail_sampling_new_trace_id_received") > 0.0,
                "the Collector does not say how many traces it has had"
            );
            let failed =
                starting("otelcol_exporter_send_failed_spans") + starting("otelcol_exporter_enqueue_failed_spans");
            let early = starting("otelcol_processor_tail_sampling_sampling_trace_dropped_too_early");
            (failed + early * traces_to_spans, 0.0)
        }
    })
}

/// The sum of all metrics of which the name begins so: how it ends depends on how they are read.
fn all_starting(metrics: &Metrics, name: &str) -> f64 {
    metrics.0.iter().filter(|sample| sample.name.starts_with(name)).map(|sample| sample.value).sum()
}

/// For notes.
pub fn request() -> String {
    format!("{REQUEST} spans of 600 B a request")
}
