//! tracemill, with the plugins that the work asks for.

use anyhow::Result;
use harness::Proxy;
use harness::client::Protocol;
use harness::proxy::Setup;
use harness::sink::Sink;
use serde_json::{Value, json};

use super::{Running, Setting, Steps, Subject, Work};

pub async fn start(work: Work, setting: &Setting, sink: &Sink) -> Result<Subject> {
    // Each start compiles anew: so do the rows that measure that.
    let setup = Proxy::setup()?.set("plugins.cache.folder", "none");
    let setup =
        if work.protocol == Protocol::Grpc { setup.export_grpc("sink", sink) } else { setup.export_http("sink", sink) };
    let setup = setup.set("export.sink.compression", work.compression.name().replace("identity", "none"));
    let proxy = plugins(setting.of_tracemill(setup)?, work.steps)?.start().await?;
    let (grpc, http) = (proxy.ports().grpc.clone(), proxy.ports().http.clone());
    let metrics = Some(proxy.admin("/metrics"));
    Ok(Subject { process: Running::Tracemill(Box::new(proxy)), grpc, http, metrics })
}

fn plugins(setup: Setup, steps: Steps) -> Result<Setup> {
    let setting = |settings: Value| json!({ "settings": settings });
    Ok(match steps {
        Steps::PassThrough => setup,
        Steps::SpanMetrics => setup.set("span_metrics", json!({})),
        Steps::ServiceGraph => setup.set("span_metrics", json!({})).set("service_graph", json!({})),
        Steps::DropAll => setup
            .plugin("90-sample", "sample")?
            .sidecar("90-sample", &setting(json!({ "rate": 0, "keep": { "errors": false } })))?,
        Steps::DropHealth => setup.plugin("10-drop-health", "drop-health")?,
        Steps::DropRoutes => setup
            .plugin("10-drop-health", "drop-health")?
            .sidecar("10-drop-health", &setting(json!({ "defaults": false, "routes": super::ROUTES })))?,
        Steps::ScrubDefaults => setup.plugin("20-scrub-pii", "scrub-pii")?,
        Steps::Four => setup
            .plugin("10-drop-health", "drop-health")?
            .plugin("20-scrub-pii", "scrub-pii")?
            .sidecar("20-scrub-pii", &setting(only_email()))?
            .plugin("30-enrich", "enrich")?
            .sidecar("30-enrich", &setting(json!({ "attributes": { "cloud.region": "eu-central-1" } })))?
            .plugin("90-sample", "sample")?
            .sidecar("90-sample", &setting(json!({ "rate": 0.5, "keep": { "errors": false } })))?,
        Steps::Renames => {
            let renames: Vec<Value> = super::renames().map(|(from, to)| json!({ "from": from, "to": to })).collect();
            setup.plugin("30-enrich", "enrich")?.sidecar("30-enrich", &setting(json!({ "rename": renames })))?
        }
        // One span in 25 takes longer.
        Steps::MarkSlow => setup
            .file("50-mark-slow.wasm", &std::fs::read(harness::plugins::example("mark-slow")?)?)?
            .sidecar("50-mark-slow", &setting(json!({ "over": "240ms" })))?,
        Steps::FiveReaders => {
            let setup = setup
                .plugin("10-sample", "sample")?
                .sidecar("10-sample", &setting(json!({ "rate": 0.7, "keep": { "errors": false } })))?;
            let plugin = std::fs::read(harness::plugins::example("mark-slow")?)?;
            (0..5).try_fold(setup, |setup, i| {
                let name = format!("2{i}-mark-slow-{i}");
                setup.file(&format!("{name}.wasm"), &plugin)?.sidecar(&name, &setting(json!({ "over": "240ms" })))
            })?
        }
    })
}

/// `scrub-pii` as one e-mail expression: all other detectors off, no list of keys.
fn only_email() -> Value {
    let others = ["card", "iban", "phone", "ipv4", "ipv6", "jwt", "token", "url_password", "sql", "query"];
    let off: serde_json::Map<_, _> = others.iter().map(|name| ((*name).to_owned(), false.into())).collect();
    json!({ "detectors": off, "keys": [] })
}
