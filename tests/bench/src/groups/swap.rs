//! From a file dropped into the folder to its generation live.

use std::time::Duration;

use anyhow::{Context as _, Result};
use harness::plugins;
use harness::sink::{Keep, Sink};
use tokio::time::Instant;

use crate::Arguments;
use crate::measure::Figures;
use crate::peer::{Side, Steps, Work};
use crate::report::Table;

/// Rust plugins, dropped anew each time: a small one, and the largest of the official ones.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let mut table = Table::new("From a file dropped to its generation live, ms", &["plugin", "median", "must (aim)"]);
    let large = std::fs::read(plugins::official("scrub-pii")?)?;
    let small = std::fs::read(plugins::official("drop-health")?)?;
    for (name, file, plugin) in [
        ("drop-health, 0.1 MB, compiled anew", "10-drop-health.wasm", small),
        ("scrub-pii with a regex engine, 0.7 MB, compiled anew", "20-scrub-pii.wasm", large),
    ] {
        let figures = once(arguments, file, &plugin).await?;
        table.row([name.to_owned(), format!("{:.0}", figures.median()), "1000 (300)".to_owned()]);
    }
    table.note(
        "The proxy is idle meanwhile; compiling runs at low priority, so it takes longer where spans need the cores.",
    );
    Ok(table)
}

async fn once(arguments: &Arguments, file: &str, plugin: &[u8]) -> Result<Figures> {
    let sink = Sink::keeping(Keep::Counts).await?;
    let mut subject = Side::Tracemill.start(Work::grpc(Steps::PassThrough), &sink).await?;
    let proxy = subject.proxy().context("tracemill it is")?;
    let mut figures = Figures::default();
    for version in 1..=u32::try_from(arguments.runs.max(5))? {
        let before = proxy.generation().await?;
        let started = Instant::now();
        proxy.install(file, &plugins::renewed(plugin, version))?;
        while proxy.generation().await? == before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        figures.push(started.elapsed().as_secs_f64() * 1e3);
    }
    subject.end().await?;
    Ok(figures)
}
