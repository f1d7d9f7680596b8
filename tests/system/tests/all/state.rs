//! What a plugin keeps in `state` stays when another build or other settings take its place, and goes with its file.

use anyhow::{Context as _, Result, ensure};
use harness::sink::{Keep, id};
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, plugins};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::{Value as Json, json};
use std::fs;
use system::{error_of, stage};

const SPANS: usize = 8;

/// The sidecar that has the count written to this attribute. Only faults are to be faults, however busy the machine is.
fn counts_in(attribute: &str) -> Json {
    json!({ "settings": { "attribute": attribute }, "deadline": "5s" })
}

/// Sends a few spans and tells which count they came out with, if any.
async fn count(proxy: &Proxy, sink: &Sink, generator: &mut Generator, attribute: &str) -> Result<Option<i64>> {
    let before = sink.spans();
    let made = generator.request(SPANS);
    ensure!(proxy.grpc().send(&made.request).await?.is_whole());
    sink.wait_for_spans(before + SPANS as u64).await?;
    sink.arrivals(|arrivals| {
        let mut counts = Vec::new();
        for span in arrivals.all_spans().filter(|span| made.ids.contains(&id(span))) {
            let found = span.attributes.iter().find(|found| found.key == attribute);
            counts.push(match found.and_then(|found| found.value.as_ref()?.value.as_ref()) {
                Some(Value::IntValue(count)) => Some(*count),
                None => None,
                other => anyhow::bail!("{attribute} is {other:?}"),
            });
        }
        ensure!(counts.len() == SPANS && counts.iter().all(|count| *count == counts[0]), "{counts:?}");
        counts.first().copied().context("a span")
    })
}

#[tokio::test]
async fn state_outlives_the_build_and_the_settings_that_wrote_it_but_not_the_file() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let build = fs::read(plugins::guest("tally")?)?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("20-tally.wasm", &build)?
        .sidecar("20-tally", &counts_in("count"))?;
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 141).mix(Mix::PLAIN);
            let first = proxy.generation().await?;
            assert_eq!(count(proxy, &sink, &mut generator, "count").await?, Some(8));
            assert_eq!(count(proxy, &sink, &mut generator, "count").await?, Some(16));

            proxy.install("20-tally.wasm", &plugins::renewed(&build, 2))?;
            let second = proxy.generation_after(first).await?;
            assert_eq!(count(proxy, &sink, &mut generator, "count").await?, Some(24), "another build");

            proxy.install("20-tally.yaml", counts_in("count.so_far").to_string().as_bytes())?;
            proxy.generation_after(second).await?;
            assert_eq!(count(proxy, &sink, &mut generator, "count.so_far").await?, Some(32), "other settings");

            // It is known by its name without the number.
            for ending in ["yaml", "wasm"] {
                let of = |number: u32| proxy.plugins().join(format!("{number}-tally.{ending}"));
                fs::rename(of(20), of(30))?;
            }
            let is_there = |status: &Json| {
                let is_moved = stage(status, "tally").is_some_and(|stage| stage["file"] == "30-tally.wasm");
                is_moved && error_of(status, "tally").is_none()
            };
            proxy.plugin_status_that("it to be at its new place", is_there).await?;
            assert_eq!(count(proxy, &sink, &mut generator, "count.so_far").await?, Some(40), "another number");

            let moved = proxy.generation().await?;
            fs::remove_file(proxy.plugins().join("30-tally.wasm"))?;
            let removed = proxy.generation_after(moved).await?;
            assert_eq!(count(proxy, &sink, &mut generator, "count.so_far").await?, None);
            proxy.install("30-tally.wasm", &build)?;
            proxy.generation_after(removed).await?;
            assert_eq!(count(proxy, &sink, &mut generator, "count.so_far").await?, Some(8), "it begins anew");
            Ok(())
        })
        .await
}
