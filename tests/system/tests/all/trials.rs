//! Versions that are tried before they count, as operators do it: a shadow's differences are told and nothing of it leaves, commands
//! promote and roll back, a canary that fails is withdrawn, and a restart keeps to what was decided.

use anyhow::{Context as _, Result, ensure};
use harness::proxy::Setup;
use harness::sink::Keep;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use system::{reached, stage, typed};

/// Sets an attribute.
fn enrich(region: &str, mode: &Value) -> Value {
    let mut sidecar = json!({ "settings": { "attributes": { "region": region } } });
    sidecar
        .as_object_mut()
        .into_iter()
        .for_each(|sidecar| sidecar.extend(mode.as_object().cloned().unwrap_or_default()));
    sidecar
}

fn setup(folder: &Path, sink: &Sink) -> Result<Setup> {
    let cache = folder.join("cache").display().to_string();
    Ok(Proxy::setup_in(folder)?.set("plugins.cache.folder", cache).export_grpc("sink", sink))
}

/// How many spans arrived with each region since the last time.
fn regions(sink: &Sink) -> BTreeMap<String, usize> {
    let mut regions = BTreeMap::new();
    for request in sink.take_requests() {
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let value = span.attributes.into_iter().find(|attribute| attribute.key == "region");
            let region = match value.and_then(|attribute| attribute.value?.value) {
                Some(Any::StringValue(region)) => region,
                _ => String::new(),
            };
            *regions.entry(region).or_default() += 1;
        }
    }
    regions
}

/// Sends fifty spans, and answers with which regions they arrive.
async fn sent(proxy: &Proxy, sink: &Sink, seed: u64) -> Result<BTreeMap<String, usize>> {
    let before = sink.spans();
    let made = Generator::new(Profile::Small, seed).mix(Mix::PLAIN).request(50);
    ensure!(proxy.grpc().send(&made.request).await?.is_whole());
    sink.wait_for_spans(before + 50).await?;
    Ok(regions(sink))
}

fn all(region: &str) -> BTreeMap<String, usize> {
    BTreeMap::from([(region.to_owned(), 50)])
}

async fn trial_that(proxy: &Proxy, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
    let of = |status: &Value| stage(status, "enrich").map(|stage| stage["trial"].clone());
    let status = proxy.plugin_status_that(what, |status| of(status).is_some_and(|trial| wanted(&trial))).await?;
    of(&status).context("it was there")
}

#[tokio::test]
async fn a_shadow_is_compared_promoted_rolled_back_and_a_restart_keeps_to_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sink = Sink::keeping(Keep::Requests).await?;
    let first = enrich("north", &json!({ "mode": "live" }));
    let mut proxy =
        setup(folder.path(), &sink)?.plugin("10-enrich", "enrich")?.sidecar("10-enrich", &first)?.start().await?;
    assert_eq!(sent(&proxy, &sink, 1).await?, all("north"));

    let second = enrich("south", &json!({ "mode": "shadow" }));
    proxy.install("10-enrich.yaml", second.to_string().as_bytes())?;
    trial_that(&proxy, "a trial", Value::is_object).await?;
    assert_eq!(sent(&proxy, &sink, 2).await?, all("north"), "nothing of the shadow leaves");
    let trial = trial_that(&proxy, "it to be compared", |trial| trial["differences"]["spans"] == json!(50)).await?;
    let differences = &trial["differences"];
    assert_eq!((&differences["edited_otherwise"], &differences["dropped_more"]), (&json!(50), &json!(0)), "{trial:#}");
    assert_eq!(differences["paths"][0]["path"], json!("attributes[\"region\"]"), "{trial:#}");
    assert_eq!(differences["paths"][0]["trace_id"].as_str().map(str::len), Some(32), "{trial:#}");

    let (done, said) = typed(&proxy, "promote", "10-enrich").await?;
    assert!(done && said.contains("counts instead of"), "{said}");
    assert_eq!(sent(&proxy, &sink, 3).await?, all("south"));
    let (done, said) = typed(&proxy, "rollback", "enrich").await?;
    assert!(done && said.contains("counts instead of"), "{said}");
    assert_eq!(sent(&proxy, &sink, 4).await?, all("north"));
    let (done, said) = typed(&proxy, "rollback", "scrub").await?;
    assert!(!done && said.contains("there is no plugin scrub; there are: enrich"), "{said}");

    ensure!(proxy.stop().await?.success());
    let mut proxy = setup(folder.path(), &sink)?.start().await?;
    assert_eq!(sent(&proxy, &sink, 5).await?, all("north"), "the folder holds the other");
    let (done, said) = typed(&proxy, "promote", "enrich").await?;
    assert!(done, "{said}");
    trial_that(&proxy, "what was held to be tried again", Value::is_object).await?;
    let (done, said) = typed(&proxy, "promote", "enrich").await?;
    assert!(done, "{said}");
    assert_eq!(sent(&proxy, &sink, 6).await?, all("south"));
    ensure!(proxy.stop().await?.success());
    let mut proxy = setup(folder.path(), &sink)?.start().await?;
    assert_eq!(sent(&proxy, &sink, 7).await?, all("south"), "it was promoted");
    ensure!(proxy.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_canary_has_a_share_of_the_traces_and_is_promoted_by_its_rule() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let first = enrich("north", &json!({}));
    let setup =
        Proxy::setup()?.export_grpc("sink", &sink).plugin("10-enrich", "enrich")?.sidecar("10-enrich", &first)?;
    setup
        .run(async |proxy| {
            let rule = json!({ "mode": "canary", "share": "50%", "promote": { "batches": 20, "cost": "1s" } });
            proxy.install("10-enrich.yaml", enrich("south", &rule).to_string().as_bytes())?;
            trial_that(proxy, "a canary", |trial| trial["share"] == json!(0.5)).await?;
            let mut shares = BTreeMap::new();
            for seed in 0..10 {
                for (region, spans) in sent(proxy, &sink, seed).await? {
                    *shares.entry(region).or_insert(0) += spans;
                }
            }
            let (north, south) = (shares["north"], shares["south"]);
            assert!(north + south == 500 && north >= 100 && south >= 100, "{shares:?}");
            for seed in 10..20 {
                sent(proxy, &sink, seed).await?;
            }
            let promoted = |status: &Value| stage(status, "enrich").is_some_and(|stage| stage.get("trial").is_none());
            proxy.plugin_status_that("its promotion", promoted).await?;
            assert_eq!(sent(proxy, &sink, 20).await?, all("south"));
            assert!(proxy.log().contains("by its rule"), "{}", proxy.log());
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_canary_that_keeps_failing_is_withdrawn_and_costs_no_span() -> Result<()> {
    let sink = Sink::start().await?;
    let trouble = fs::read(harness::plugins::guest("trouble")?)?;
    let sidecar = json!({
        "settings": { "deed": "trap" }, "on_error": "pass", "mode": "canary", "share": "100%", "memory": "16MiB", "deadline": "2s",
        "breaker": { "faults": 2, "within": "1m", "pause": "1h" },
    });
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("50-trouble.wasm", &trouble)?
        .sidecar("50-trouble", &sidecar)?;
    setup
        .run(async |proxy| {
            for seed in 0..3 {
                let mut made = Generator::new(Profile::Small, seed).mix(Mix::PLAIN).request(10);
                "trouble".clone_into(&mut made.request.resource_spans[0].scope_spans[0].spans[5].name);
                ensure!(proxy.grpc().send(&made.request).await?.is_whole());
            }
            let withdrawn = |status: &Value| {
                let error = system::error_of(status, "trouble").unwrap_or_default();
                error.contains("trial") && error.contains("withdrawn")
            };
            let status = proxy.plugin_status_that("it to be withdrawn", withdrawn).await?;
            assert!(stage(&status, "trouble").is_some_and(|stage| stage.get("trial").is_none()), "{status:#}");
            reached(proxy, "tracemill_export_sent_spans_total", &[], 30.0).await
        })
        .await
}

#[tokio::test]
async fn a_page_of_another_origin_promotes_nothing() -> Result<()> {
    let setup = Proxy::setup()?
        .plugin("10-enrich", "enrich")?
        .sidecar("10-enrich", &enrich("north", &json!({ "mode": "shadow" })))?;
    setup
        .run(async |proxy| {
            let answer = harness::fetch::post(&proxy.admin("/plugins/enrich/promote"), "").await?;
            assert_eq!(answer.status, 403, "{}", answer.text);
            let answer = harness::fetch::get(&proxy.admin("/plugins/enrich/promote")).await?;
            assert_eq!(answer.status, 405, "{}", answer.text);
            let status = proxy.plugin_status().await?;
            assert!(stage(&status, "enrich").is_some_and(|stage| stage["trial"].is_object()), "{status:#}");
            Ok(())
        })
        .await
}
