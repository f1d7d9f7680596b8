//! A plugin's own memory goes on in the version that replaces it, where both export the contract's `handover`.

use anyhow::{Context as _, Result, ensure};
use harness::sink::Keep;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, plugins};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::json;
use std::fs;

/// One more request, and how many calls the plugin remembers that there were before.
async fn remembered(proxy: &Proxy, sink: &Sink, seed: u64) -> Result<i64> {
    let before = sink.spans();
    let made = Generator::new(Profile::Small, seed).mix(Mix::PLAIN).request(5);
    ensure!(proxy.grpc().send(&made.request).await?.is_whole());
    sink.wait_for_spans(before + 5).await?;
    let requests = sink.take_requests();
    let mut spans =
        requests.into_iter().flat_map(|r| r.resource_spans).flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
    let span = spans.next().context("a span")?;
    let note =
        span.attributes.into_iter().find(|attribute| attribute.key == "remembers").and_then(|note| note.value?.value);
    match note {
        Some(Value::IntValue(calls)) => Ok(calls),
        other => anyhow::bail!("no number: {other:?}"),
    }
}

#[tokio::test]
async fn memory_is_handed_from_version_to_version_and_one_that_refuses_it_starts_fresh_with_a_note() -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let wasm = fs::read(plugins::guest("remembers")?)?;
    let settings = |words: &str| json!({ "settings": { "like": words } });
    let setup = Proxy::setup()?.export_grpc("sink", &sink).file("10-remembers.wasm", &wasm)?;
    setup
        .sidecar("10-remembers", &settings("one"))?
        .run(async |proxy| {
            for call in 0..3 {
                assert_eq!(remembered(proxy, &sink, call).await?, i64::try_from(call)?);
            }
            let mut generation = proxy.generation().await?;
            proxy.install("10-remembers.yaml", settings("one, second").to_string().as_bytes())?;
            generation = proxy.generation_after(generation).await?;
            assert_eq!(remembered(proxy, &sink, 3).await?, 3, "{}", proxy.log());
            assert!(proxy.log().contains("an instance's memory was handed over"), "{}", proxy.log());
            // Another file as well.
            proxy.install("10-remembers.wasm", &plugins::renewed(&wasm, 2))?;
            generation = proxy.generation_after(generation).await?;
            assert_eq!(remembered(proxy, &sink, 4).await?, 4, "{}", proxy.log());
            proxy.install("10-remembers.yaml", settings("one, refuses").to_string().as_bytes())?;
            proxy.generation_after(generation).await?;
            assert_eq!(remembered(proxy, &sink, 5).await?, 0, "it starts fresh");
            let log = proxy.log();
            assert!(log.contains("nothing was handed over") && log.contains("it cannot read that"), "{log}");
            Ok(())
        })
        .await
}
