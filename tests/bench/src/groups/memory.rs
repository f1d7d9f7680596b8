//! Resident memory: at full load, and when ten times more is offered than the back end takes.

use std::time::Duration;

use anyhow::Result;
use harness::sink::{Behaviour, Keep, Sink};
use harness::spans::Profile;

use crate::Arguments;
use crate::drive::{self, Ready};
use crate::measure::interleaved;
use crate::peer::{Side, Steps, Work};
use crate::report::Table;
use crate::usage;

const SPANS: usize = 512;
/// How long overload lasts; memory is read each second.
const OVERLOAD: Duration = Duration::from_secs(15);
/// How long the sink takes for a request then: at four requests of some 1,700 spans at once, it takes 3,400 spans a second. Half of
/// what is offered is sampled away, and the rest is more than ten times that.
const SLOW: Duration = Duration::from_secs(2);
/// What is offered then, in spans a second.
const OFFERED: usize = 100_000;

/// Both loads, both sides.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let sides = [Side::Tracemill, Side::Collector];
    let runs = arguments.runs;
    let full =
        interleaved(&sides, runs, async |side| Ok(vec![full_load(side, arguments.kilospans * 1000).await?])).await?;
    let over = interleaved(&sides, runs, overload).await?;
    let mut table = Table::new(
        "Resident memory, MiB (gRPC, 512 spans a request, four steps, defaults)",
        &["load", "tracemill", "Collector", "must (aim)"],
    );
    let goal = || "200 (120), flat".to_owned();
    table.row(["full load, peak".to_owned(), mib(full[0][0].median()), mib(full[1][0].median()), goal()]);
    table.row([
        "ten times more than the back end takes, peak".to_owned(),
        mib(over[0][0].median()),
        mib(over[1][0].median()),
        goal(),
    ]);
    table.row([
        "the same: growth from the first third to the end".to_owned(),
        mib(over[0][1].median()),
        mib(over[1][1].median()),
        "flat".to_owned(),
    ]);
    table.row([
        "the same: share of requests refused, to be sent again".to_owned(),
        format!("{:.0} %", over[0][2].median()),
        format!("{:.0} %", over[1][2].median()),
        "-".to_owned(),
    ]);
    table.note(
        "The Collector has no memory_limiter here and its default queue of 1,000 batches; what it does not refuse it holds or loses.",
    );
    Ok(table)
}

fn mib(bytes: f64) -> String {
    format!("{:.0}", bytes / f64::from(1 << 20))
}

async fn full_load(side: Side, spans: usize) -> Result<f64> {
    eprintln!("memory at full load: {}", side.name());
    let work = Work::grpc(Steps::Four);
    let sink = Sink::keeping(Keep::Counts).await?;
    let subject = side.start(work, &sink).await?;
    let clients: Vec<_> = (0..8).map(|_| subject.client(work)).collect();
    let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
    drive::flat_out(&clients, &ready, (spans * 2).div_ceil(SPANS), 8).await?;
    let peak = usage::memory(subject.id()?)?.peak;
    subject.end().await?;
    Ok(peak as f64)
}

/// Peak, growth, and the share of requests that were refused.
async fn overload(side: Side) -> Result<Vec<f64>> {
    eprintln!("memory under overload: {}", side.name());
    let work = Work::grpc(Steps::Four);
    let sink = Sink::keeping(Keep::Counts).await?;
    sink.behave(Behaviour::Slow(SLOW));
    let subject = side.start(work, &sink).await?;
    let clients: Vec<_> = (0..8).map(|_| subject.client(work)).collect();
    let ready = Ready::new(&clients[0], Profile::Medium, SPANS)?;
    let process = subject.id()?;
    let watch = tokio::spawn(async move {
        let mut seen = Vec::new();
        for _ in 0..OVERLOAD.as_secs() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            seen.push(usage::memory(process).map(|memory| memory.now as f64)?);
        }
        Ok::<_, anyhow::Error>(seen)
    });
    let outcome = drive::at_pace(&clients, &ready, OFFERED, OVERLOAD, 256).await?;
    let seen = watch.await??;
    let peak = usage::memory(process)?.peak as f64;
    subject.end().await?;
    let growth = seen.last().copied().unwrap_or_default() - seen.get(seen.len() / 3).copied().unwrap_or_default();
    let answered = outcome.latencies.len() as f64 + outcome.refused as f64;
    Ok(vec![peak, growth.max(0.0), outcome.refused as f64 / answered * 100.0])
}
