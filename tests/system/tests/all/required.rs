//! `plugins.required`: no traffic passes while a plugin that must be there is not.

use anyhow::Result;
use harness::sink::Arrivals;
use harness::spans::Mix;
use harness::{Generator, Profile, Protocol, Proxy, Sink, fetch, plugins, wait};
use serde_json::json;
use std::fs;
use std::time::Duration;

#[tokio::test]
async fn receivers_stay_closed_until_a_required_plugin_is_live() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("plugins.required", json!(["stamp"]))
        .file("20-stamp.wasm", b"this is no WebAssembly")?;
    setup
        .run_unready(async |proxy| {
            let says_why = async || {
                let answer = fetch::get(&proxy.admin("/readyz")).await.ok()?;
                assert!(!answer.status.is_success(), "{answer:?}");
                answer.text.contains("stamp").then_some(())
            };
            wait::until("/readyz to name the plugin", says_why).await?;
            let made = Generator::new(Profile::Small, 101).mix(Mix::PLAIN).request(10);
            // Refused, or not even answered: both keep the sender waiting, and nothing passes.
            let client = proxy.http(Protocol::HttpProtobuf);
            let early = tokio::time::timeout(Duration::from_millis(300), client.send(&made.request)).await;
            let taken = early.is_ok_and(|answer| answer.is_ok_and(|answer| answer.refusal().is_none()));
            assert!(!taken && sink.spans() == 0, "spans passed without a required plugin");
            proxy.install("20-stamp.wasm", &plugins::stamp(1)?)?;
            proxy.ready().await?;
            assert!(proxy.grpc().send(&made.request).await?.is_whole());
            sink.wait_for_spans(10).await?;
            let all_stamped = |arrivals: &Arrivals| arrivals.ids.values().all(|span| span.stamp.is_some());
            assert!(sink.arrivals(all_stamped), "spans passed without the required plugin");
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_required_plugin_that_is_deleted_stops_traffic_retryably() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("plugins.required", json!(["stamp"]))
        .file("20-stamp.wasm", &plugins::stamp(1)?)?;
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 102).mix(Mix::PLAIN);
            let first = generator.request(10);
            assert!(proxy.grpc().send(&first.request).await?.is_whole());
            fs::remove_file(proxy.plugins().join("20-stamp.wasm"))?;
            let client = proxy.grpc();
            let refused = async || client.send(&generator.request(10).request).await.ok()?.refusal().cloned();
            let refusal = wait::until("traffic to be refused", refused).await?;
            assert!(refusal.is_retryable(), "{refusal:?}");
            proxy.install("20-stamp.wasm", &plugins::stamp(2)?)?;
            let taken = async || {
                let made = generator.request(10);
                client.send(&made.request).await.ok()?.is_whole().then_some(())
            };
            // The file is back, so traffic may pass: through the last good version until the new one is made.
            wait::until("traffic to be taken again", taken).await?;
            proxy.settled().await?;
            let unstamped = sink.arrivals(|arrivals| arrivals.ids.values().filter(|span| span.stamp.is_none()).count());
            assert_eq!(unstamped, 0, "spans passed while the required plugin was away");
            Ok(())
        })
        .await
}
