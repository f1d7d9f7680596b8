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

/// A Rust plugin, dropped anew each time.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let sink = Sink::keeping(Keep::Counts).await?;
    let mut subject = Side::Tracemill.start(Work::grpc(Steps::PassThrough), &sink).await?;
    let proxy = subject.proxy().context("tracemill it is")?;
    let mut figures = Figures::default();
    for version in 1..=u32::try_from(arguments.runs.max(5))? {
        let bytes = plugins::stamp(version)?;
        let before = proxy.generation().await?;
        let started = Instant::now();
        proxy.install("50-stamp.wasm", &bytes)?;
        while proxy.generation().await? == before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        figures.push(started.elapsed().as_secs_f64() * 1e3);
    }
    subject.end().await?;
    let mut table = Table::new("From a file dropped to its generation live, ms", &["plugin", "median", "must (aim)"]);
    table.row(["a Rust plugin, compiled anew".to_owned(), format!("{:.0}", figures.median()), "1000 (300)".to_owned()]);
    Ok(table)
}
