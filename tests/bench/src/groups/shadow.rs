//! What it costs to try a version in the shadow: the proxy's CPU time with and without it.

use std::fs;

use anyhow::{Context as _, Result};
use harness::plugins;
use harness::sink::{Keep, Sink};
use harness::spans::Profile;

use crate::Arguments;
use crate::drive::{self, Ready};
use crate::measure::interleaved;
use crate::peer::{Side, Steps, Work};
use crate::report::Table;
use crate::usage;

/// `scrub-pii` alone, and with a second version of itself in the shadow, at full load.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let head = ["work", "CPU ns/span", "of the batches, in the shadow"];
    let mut table = Table::new("A version in the shadow (gRPC, 600 B spans, 512 a request)", &head);
    let figures = interleaved(&[false, true], arguments.runs, async |shadow| {
        let (cost, share) = once(shadow, arguments.kilospans * 1000).await?;
        Ok(vec![cost, share])
    })
    .await?;
    for (name, of) in
        [("scrub-pii with its defaults", &figures[0]), ("the same, and a new version in the shadow", &figures[1])]
    {
        table.row([name.to_owned(), format!("{:.0}", of[0].median()), format!("{:.0} %", 100.0 * of[1].median())]);
    }
    table.note(
        "CPU of the whole process: the copies on the data path, and the version in the shadow with its comparison, which runs at low priority and \
         skips the batches that it has no time for.",
    );
    Ok(table)
}

/// Nanoseconds a span, and which share of the batches the shadow had time for.
async fn once(shadow: bool, spans: usize) -> Result<(f64, f64)> {
    let work = Work::grpc(Steps::ScrubDefaults);
    let sink = Sink::keeping(Keep::Counts).await?;
    let mut subject = Side::Tracemill.start(work, &sink).await?;
    let clients = [subject.client(work), subject.client(work)];
    let ready = Ready::new(&clients[0], Profile::Medium, 512)?;
    if shadow {
        let proxy = subject.proxy().context("tracemill it is")?;
        let before = proxy.generation().await?;
        let plugin = fs::read(plugins::official("scrub-pii")?)?;
        proxy.install("20-scrub-pii.yaml", b"mode: shadow")?;
        proxy.generation_after(before).await?;
        proxy.install("20-scrub-pii.wasm", &plugins::renewed(&plugin, 1))?;
        let tried = |status: &serde_json::Value| status["stages"][0]["trial"].is_object();
        proxy.plugin_status_that("a trial", tried).await?;
    }
    drive::flat_out(&clients, &ready, spans / 10 / 512, 4).await?;
    let id = subject.id()?;
    let before = usage::cpu(id)?;
    let outcome = drive::flat_out(&clients, &ready, spans / 512, 4).await?;
    let cost = usage::cpu(id)?.saturating_sub(before).as_secs_f64() * 1e9 / outcome.accepted as f64;
    let proxy = subject.proxy().context("tracemill it is")?;
    let trial = proxy.plugin_status().await?["stages"][0]["trial"].clone();
    let count = |key: &str| trial[key].as_f64().unwrap_or_default();
    let all = count("batches") + count("skipped");
    let share = if all > 0.0 { count("batches") / all } else { 0.0 };
    subject.end().await?;
    Ok((cost, share))
}
