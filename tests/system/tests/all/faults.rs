//! A plugin that traps, spins, fails or grows costs only its own work on the span that did it.

use anyhow::Result;
use harness::sink::Keep;
use harness::spans::{Made, Mix};
use harness::{Answer, Generator, Profile, Proxy, Sink};
use serde_json::{Value, json};
use std::fs;

const DEEDS: [&str; 4] = ["trap", "spin", "fail", "grow"];

/// Fifty spans of which the 21st makes trouble.
fn with_trouble(seed: u64) -> Made {
    let mut made = Generator::new(Profile::Small, seed).mix(Mix::PLAIN).request(50);
    "trouble".clone_into(&mut made.request.resource_spans[0].scope_spans[0].spans[20].name);
    made
}

async fn with(deed: &str, on_error: &str, test: impl AsyncFnOnce(&mut Proxy, &Sink) -> Result<()>) -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let sidecar = json!({ "settings": { "deed": deed }, "on_error": on_error, "memory": "16MiB" });
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .file("50-trouble.wasm", &fs::read(harness::plugins::guest("trouble")?)?)?
        .sidecar("50-trouble", &sidecar)?;
    setup.run(async |proxy| test(proxy, &sink).await).await
}

/// How many of the spans that arrived the plugin has marked.
fn marked(sink: &Sink) -> usize {
    let is_marked =
        |span: &&opentelemetry_proto::tonic::trace::v1::Span| span.attributes.iter().any(|at| at.key == "trouble.seen");
    sink.arrivals(|arrivals| arrivals.all_spans().filter(is_marked).count())
}

#[tokio::test]
async fn with_pass_all_spans_go_on_and_only_the_guilty_one_without_the_plugin() -> Result<()> {
    for deed in DEEDS {
        with(deed, "pass", async |proxy, sink| {
            assert!(proxy.grpc().send(&with_trouble(91).request).await?.is_whole(), "{deed}");
            sink.wait_for_spans(50).await?;
            assert!(marked(sink) < 50, "{deed}");
            if deed != "spin" {
                assert_eq!(marked(sink), 49, "{deed}: spans that did nothing were not cleared");
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn with_drop_the_guilty_one_is_dropped_and_counted() -> Result<()> {
    with("trap", "drop", async |proxy, sink| {
        assert!(proxy.grpc().send(&with_trouble(92).request).await?.is_whole());
        sink.wait_for_spans(49).await?;
        let accounts = proxy.settled().await?;
        assert_eq!((accounts.door.dropped, sink.spans(), marked(sink)), (1, 49, 49));
        let dropped = proxy.metrics().await?.sum("tracemill_dropped_spans_total", &[("plugin", "trouble")]);
        assert_eq!(dropped as u64, 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_reject_the_guilty_one_is_rejected_for_good_and_the_rest_is_taken() -> Result<()> {
    with("fail", "reject", async |proxy, sink| {
        let answer = proxy.grpc().send(&with_trouble(93).request).await?;
        assert!(matches!(answer, Answer::Accepted { rejected: 1, .. }), "{answer:?}");
        sink.wait_for_spans(49).await?;
        let accounts = proxy.settled().await?;
        assert_eq!((accounts.door.refused, accounts.door.admitted), (1, 49));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_open_breaker_with_reject_refuses_whole_requests_retryably() -> Result<()> {
    with("trap", "reject", async |proxy, sink| {
        let mut refused = None;
        for seed in 0..200 {
            let answer = proxy.grpc().send(&with_trouble(1_000 + seed).request).await?;
            if let Some(refusal) = answer.refusal() {
                refused = Some(refusal.clone());
                break;
            }
        }
        let refusal = refused.expect("two hundred faults in a row open no breaker");
        assert!(refusal.is_retryable(), "{refusal:?}");
        let before = sink.spans();
        let made = Generator::new(Profile::Small, 94).mix(Mix::PLAIN).request(10);
        let answer = proxy.grpc().send(&made.request).await?;
        assert!(answer.refusal().is_some() || answer.is_whole());
        if answer.refusal().is_some() {
            assert!(sink.arrivals(|arrivals| !made.ids.iter().any(|id| arrivals.ids.contains_key(id))));
        }
        assert!(sink.spans() >= before);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn faults_are_shown_in_the_metrics() -> Result<()> {
    with("trap", "pass", async |proxy, sink| {
        assert!(proxy.grpc().send(&with_trouble(95).request).await?.is_whole());
        sink.wait_for_spans(50).await?;
        let metrics = proxy.metrics().await?;
        let faults: f64 = metrics
            .0
            .iter()
            .filter(|sample| sample.name.contains("fault") && sample.label("plugin") == Some("trouble"))
            .map(|sample| sample.value)
            .sum();
        assert!(faults > 0.0, "no fault of `trouble` in the metrics");
        let status: Value = proxy.plugin_status().await?;
        assert!(system::stage(&status, "trouble").is_some(), "{status:#}");
        Ok(())
    })
    .await
}
