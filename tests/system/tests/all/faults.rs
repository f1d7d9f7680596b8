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
    let (settings, memory) = (json!({ "deed": deed }), "16MiB");
    let mut sidecar = json!({ "settings": settings, "on_error": on_error, "memory": memory });
    if deed == "spin" {
        sidecar["deadline"] = "50ms".into();
    }
    with_sidecar(sidecar, test).await
}

async fn with_sidecar(mut sidecar: Value, test: impl AsyncFnOnce(&mut Proxy, &Sink) -> Result<()>) -> Result<()> {
    // Only what spins is to miss its deadline, however busy the machine is: the search for the guilty span has twice that time.
    sidecar.as_object_mut().expect("an object").entry("deadline").or_insert_with(|| "2s".into());
    let sink = Sink::keeping(Keep::Requests).await?;
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
async fn the_plans_word_counts_until_the_sidecar_has_another() -> Result<()> {
    for (plan, sidecar, counts) in [
        ("pass", None, "pass"),
        ("drop", None, "drop"),
        ("reject", None, "reject"),
        ("reject", Some("pass"), "pass"),
        ("pass", Some("drop"), "drop"),
        ("drop", Some("reject"), "reject"),
    ] {
        let mut settings = json!({ "settings": { "deed": "fail", "plan_says": plan } });
        if let Some(word) = sidecar {
            settings["on_error"] = word.into();
        }
        with_sidecar(settings, async |proxy, sink| {
            let case = format!("the plan says {plan}, the sidecar {sidecar:?}");
            let status = proxy.plugin_status().await?;
            assert_eq!(
                system::stage(&status, "trouble").map(|stage| &stage["on_error"]),
                Some(&json!(counts)),
                "{case}"
            );
            let answer = proxy.grpc().send(&with_trouble(96).request).await?;
            let rejected = i64::from(counts == "reject");
            assert!(matches!(answer, Answer::Accepted { rejected: got, .. } if got == rejected), "{case}: {answer:?}");
            let arrive = if counts == "pass" { 50 } else { 49 };
            sink.wait_for_spans(arrive).await?;
            let door = proxy.settled().await?.door;
            let dropped = u64::from(counts == "drop");
            assert_eq!((door.refused, door.dropped, door.admitted), (rejected as u64, dropped, arrive), "{case}");
            assert_eq!((sink.spans(), marked(sink)), (arrive, 49), "{case}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_open_breaker_with_reject_refuses_whole_requests_retryably() -> Result<()> {
    let sidecar = json!({
        "settings": { "deed": "trap" },
        "on_error": "reject",
        "breaker": { "faults": 1, "pause": "1h" },
    });
    with_sidecar(sidecar, async |proxy, sink| {
        let answer = proxy.grpc().send(&with_trouble(97).request).await?;
        assert!(matches!(answer, Answer::Accepted { rejected: 1, .. }), "the fault that opens it: {answer:?}");
        sink.wait_for_spans(49).await?;
        // Spans that would have done nothing: they are refused because nobody tries them.
        let made = Generator::new(Profile::Small, 94).mix(Mix::PLAIN).request(10);
        let answer = proxy.grpc().send(&made.request).await?;
        let refusal = answer.refusal().expect("an open breaker refuses");
        assert!(refusal.is_retryable(), "{refusal:?}");
        let door = proxy.settled().await?.door;
        assert_eq!((door.refused, door.admitted), (1 + 10, 49), "{door:?}");
        assert_eq!(sink.spans(), 49, "nothing of a refused request is sent");
        let open = proxy.metrics().await?.sum_of_some("tracemill_plugin_breaker_open", &[("plugin", "trouble")]);
        assert_eq!(open, Some(1.0));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn faults_are_shown_in_the_metrics_and_in_the_status() -> Result<()> {
    with("trap", "pass", async |proxy, sink| {
        assert!(proxy.grpc().send(&with_trouble(95).request).await?.is_whole());
        sink.wait_for_spans(50).await?;
        let trap = [("plugin", "trouble"), ("kind", "trap")];
        let faults = proxy.metrics().await?.sum("tracemill_plugin_faults_total", &trap);
        assert!(faults >= 1.0, "no trap of `trouble` in the metrics");
        let status: Value = proxy.plugin_status().await?;
        let stage = system::stage(&status, "trouble").expect("it is a stage");
        assert_eq!((stage["faults"].as_u64(), &stage["state"]), (Some(faults as u64), &json!("live")), "{status:#}");
        Ok(())
    })
    .await
}
