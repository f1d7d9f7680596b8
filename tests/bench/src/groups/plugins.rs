//! What single plugins cost, as the proxy's own metrics count it: time in the stage, columns and edits included.

use anyhow::{Context as _, Result, ensure};
use harness::sink::{Keep, Sink};
use harness::spans::Profile;

use crate::Arguments;
use crate::drive::{self, Ready};
use crate::measure::interleaved;
use crate::peer::{Side, Steps, Work};
use crate::report::Table;

/// Each plugin by itself.
pub async fn run(arguments: &Arguments) -> Result<Table> {
    let mut table = Table::new(
        "Cost of single plugins, ns a span (600 B spans, 512 a request)",
        &["plugin", "ns a span", "must (aim)"],
    );
    let cases = [
        (Steps::MarkSlow, "mark-slow", "a selective plugin: sees one column of every span, marks 4 %", "60 (15)"),
        (Steps::DropRoutes, "drop-health", "drop-health by routes: one condition in the host", "-"),
        (Steps::DropHealth, "drop-health", "drop-health with its defaults, six attributes and the name", "-"),
        (Steps::ScrubDefaults, "scrub-pii", "scrub-pii with its defaults", "1000 (-)"),
        (Steps::Renames, "enrich", "enrich with 40 renames", "-"),
        (Steps::Four, "enrich", "enrich, one constant attribute", "-"),
        (Steps::Four, "sample", "sample, one rate", "-"),
    ];
    for (steps, plugin, name, goal) in cases {
        let figures = interleaved(&[()], arguments.runs, async |()| {
            Ok(vec![once(steps, plugin, arguments.kilospans * 1000).await?])
        })
        .await?;
        table.row([name.to_owned(), format!("{:.1}", figures[0][0].median()), goal.to_owned()]);
    }
    table.note("`tracemill_plugin_seconds_total` over `tracemill_plugin_rows_total`: wall time on the batch's thread, so a busy machine adds to it.");
    Ok(table)
}

async fn once(steps: Steps, plugin: &str, spans: usize) -> Result<f64> {
    eprintln!("plugin {plugin}: {steps:?}");
    let work = Work::grpc(steps);
    let sink = Sink::keeping(Keep::Counts).await?;
    let mut subject = Side::Tracemill.start(work, &sink).await?;
    let clients = [subject.client(work)];
    let ready = Ready::new(&clients[0], Profile::Medium, 512)?;
    // One request at a time: what is measured is the plugin, not who shares the core with it.
    drive::flat_out(&clients, &ready, spans / 10 / 512, 1).await?;
    let proxy = subject.proxy().context("tracemill it is")?;
    let read = async |proxy: &harness::Proxy| {
        let metrics = proxy.metrics().await?;
        let label = [("plugin", plugin)];
        Ok::<_, anyhow::Error>((
            metrics.sum("tracemill_plugin_seconds_total", &label),
            metrics.sum("tracemill_plugin_rows_total", &label),
        ))
    };
    let before = read(proxy).await?;
    drive::flat_out(&clients, &ready, spans / 512, 1).await?;
    let proxy = subject.proxy().context("tracemill it is")?;
    let after = read(proxy).await?;
    ensure!(after.1 > before.1, "{plugin} saw no spans: does it run?");
    subject.end().await?;
    // Rows that the host's own filter kept from the plugin count as well: they are spans that it was asked about.
    let rows = (after.1 - before.1).max((spans / 512 * 512) as f64);
    Ok((after.0 - before.0) * 1e9 / rows)
}
