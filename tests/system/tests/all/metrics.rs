//! The page on metrics and what the running proxy exposes are the same: names, types and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result, ensure};
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, fetch, plugins};
use serde_json::json;
use system::reached;

/// Of one metric: its type and the names of its labels.
type Shape = (String, BTreeSet<String>);

/// What the page says: lines like ``| `name` | type | unit | `label`, `label` | meaning |``.
fn documented() -> Result<BTreeMap<String, Shape>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/docs/metrics.md"))?;
    let mut metrics = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        ensure!(cells.len() == 5 && cells.iter().skip(4).all(|cell| !cell.is_empty()), "five columns: {line}");
        let labels = cells[3].split(", ").filter(|label| !label.is_empty()).map(|label| label.trim_matches('`').into());
        let shape = (cells[1].to_owned(), labels.collect());
        ensure!(metrics.insert(cells[0].trim_matches('`').to_owned(), shape).is_none(), "twice: {line}");
    }
    Ok(metrics)
}

/// What a scrape shows, under the names that queries use.
fn exposed(text: &str) -> Result<BTreeMap<String, Shape>> {
    let mut metrics = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (family, kind) = line.split_once(' ').context("a type")?;
        let name = match kind {
            "counter" => format!("{family}_total"),
            "info" => format!("{family}_info"),
            _ => family.to_owned(),
        };
        metrics.insert(name, (kind.to_owned(), BTreeSet::new()));
    }
    for sample in harness::metrics::Metrics::parse(text)?.0 {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|ending| sample.name.strip_suffix(ending));
        let name = histogram.unwrap_or(&sample.name);
        let (_, labels) = metrics.get_mut(name).with_context(|| format!("{name} has no type"))?;
        labels.extend(sample.labels.into_iter().map(|(label, _)| label).filter(|label| label != "le"));
    }
    Ok(metrics)
}

#[tokio::test]
async fn every_metric_is_on_the_page_and_every_one_on_the_page_is_exposed() -> Result<()> {
    let [sink, first, second] = [Sink::start().await?, Sink::start().await?, Sink::start().await?];
    let guest = |name| fs::read(plugins::guest(name)?).map_err(anyhow::Error::from);
    let setup = Proxy::setup()?;
    let queue = json!({ "mode": "durable", "folder": setup.folder().join("queue") });
    let table = setup.folder().join("teams.csv");
    fs::write(&table, "service,team\ncheckout,payments\n")?;
    let lookup = json!({ "table": "teams", "key": "resource.attributes[\"service.name\"]", "set": { "team": "team" } });
    let setup = setup
        .set("tables.teams.file", table.to_string_lossy())
        .export_grpc("sink", &sink)
        .set("export.sink.signals", json!(["traces", "metrics", "logs"]))
        .set("export.sink.queue", queue)
        .set("export.routed.grpc", json!([first.url(), second.url()]))
        .set("export.routed.route_by", "trace")
        .set("tail", json!({ "root_delay": "50ms", "idle": "50ms" }))
        .plugin("90-tail-sample", "tail-sample")?
        .sidecar(
            "90-tail-sample",
            &json!({ "settings": { "policies": [{ "name": "all", "type": "always_sample" }] } }),
        )?
        .plugin("10-drop-health", "drop-health")?
        .plugin("15-enrich", "enrich")?
        .sidecar("15-enrich", &json!({ "settings": { "lookups": [lookup] } }))?
        .file("20-probe.wasm", &guest("probe")?)?
        .sidecar("20-probe", &json!({ "settings": { "do": "counts" } }))?
        .file("30-trouble.wasm", &guest("trouble")?)?
        .sidecar("30-trouble", &json!({ "settings": { "deed": "trap" }, "breaker": { "faults": 1 } }))?;
    setup
        .run(async |proxy| {
            // Something for each family: a drop, a fault that opens a breaker, a count of a plugin's own, a span that is refused, and a
            // trace that is decided.
            let mut generator = Generator::new(Profile::Small, 61).mix(Mix { health: 0.5, ..Mix::PLAIN });
            proxy.grpc().send(&generator.request(64).request).await?;
            let mut made = Generator::new(Profile::Small, 62).mix(Mix::PLAIN).request(64);
            let spans = &mut made.request.resource_spans[0].scope_spans[0].spans;
            "trouble".clone_into(&mut spans[0].name);
            spans[1].trace_id.clear();
            proxy.grpc().send(&made.request).await?;
            reached(proxy, "tracemill_export_sent_spans_total", &[], 1.0).await?;
            let (mut page, mut shown) = (documented()?, exposed(&fetch::get(&proxy.admin("/metrics")).await?.text)?);
            // Of builds with Kafka, which the tests against it look at.
            page.retain(|name, _| !name.starts_with("tracemill_receive_kafka_"));
            shown.retain(|name, _| !name.starts_with("tracemill_receive_kafka_"));
            let missing: Vec<_> = shown.keys().filter(|name| !page.contains_key(*name)).collect();
            assert!(missing.is_empty(), "not on the page: {missing:?}");
            let stale: Vec<_> = page.keys().filter(|name| !shown.contains_key(*name)).collect();
            assert!(stale.is_empty(), "on the page and not exposed: {stale:?}");
            assert_eq!(page, shown);
            Ok(())
        })
        .await
}
