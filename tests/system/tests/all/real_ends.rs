//! From real SDKs through the official plugins into real Jaeger and Tempo, read back by their own query APIs.

use anyhow::Result;
use harness::sdk::{self, Scenario, Sdk};
use harness::stored::Stored;
use harness::{BackEnd as _, Jaeger, Protocol, Proxy, Tempo};
use serde_json::json;

#[tokio::test]
async fn one_trace_of_three_senders_is_whole_clean_and_enriched_in_both_back_ends() -> Result<()> {
    let sdks = sdk::at_hand("real ends")?;
    if sdks.is_empty() {
        return Ok(());
    }
    let (Some(jaeger), Some(tempo)) = (Jaeger::start().await?, Tempo::start().await?) else { return Ok(()) };
    let region = json!({ "settings": { "attributes": { "cloud.region": "eu-north-1" } } });
    let setup = Proxy::setup()?
        .set("export.jaeger.grpc", jaeger.grpc_url())
        .set("export.tempo.http", tempo.http_url())
        .plugin("10-drop-health", "drop-health")?
        .plugin("20-scrub-pii", "scrub-pii")?
        .plugin("30-enrich", "enrich")?
        .sidecar("30-enrich", &region)?;
    setup
        .run(async |proxy| {
            let sent = send_all(&sdks, proxy).await?;
            let trace = &sent[0].spans[0].trace;
            let spans = sent.iter().map(|scenario| scenario.spans.len()).sum();
            expect(&sent, &jaeger.trace_of(trace, spans).await?);
            expect(&sent, &tempo.trace_of(trace, spans).await?);
            // All that was sent before has arrived; so what is not there now was dropped.
            proxy.settled().await?;
            for health in sent.iter().flat_map(|scenario| &scenario.health) {
                assert!(jaeger.trace(&health.trace).await?.is_empty(), "a health check in Jaeger: {health:?}");
                assert!(tempo.trace(&health.trace).await?.is_empty(), "a health check in Tempo: {health:?}");
            }
            let dropped = proxy.metrics().await?.sum("tracemill_dropped_spans_total", &[("plugin", "drop-health")]);
            assert_eq!(dropped as usize, sent.len());
            Ok(())
        })
        .await
}

/// One trace that goes on from sender to sender: every SDK over every protocol that it knows.
async fn send_all(sdks: &[Sdk], proxy: &Proxy) -> Result<Vec<Scenario>> {
    let ports = proxy.ports();
    let mut sent: Vec<Scenario> = Vec::new();
    for &sdk in sdks {
        for &protocol in sdk.protocols() {
            let address = if protocol == Protocol::Grpc { &ports.grpc } else { &ports.http };
            let parent = sent.last().map(|before| before.traceparent.clone());
            let service = format!("orders-{}", sent.len());
            let scenario = sdk.send(protocol, address, &service, parent.as_deref()).await?;
            proxy.accepted_from_others(scenario.spans.len() + scenario.health.len());
            sent.push(scenario);
        }
    }
    Ok(sent)
}

fn expect(sent: &[Scenario], found: &[Stored]) {
    let all = sent.iter().flat_map(|scenario| scenario.spans.iter().map(move |span| (scenario, span)));
    for (scenario, span) in all.clone() {
        let stored = found.iter().find(|stored| stored.id() == span.span);
        let stored = stored.unwrap_or_else(|| panic!("{span:?} is not there"));
        assert_eq!((stored.trace(), stored.parent()), (span.trace.clone(), span.parent.clone()));
        assert_eq!(stored.resource_attribute("service.name"), Some(scenario.service.as_str()));
        assert_eq!(stored.attribute("cloud.region"), Some("eu-north-1"), "{}", stored.text);
        for personal in ["mail.example", "4111 1111 1111 1111"] {
            assert!(!stored.text.contains(personal), "{personal} in {}", stored.text);
        }
    }
    assert_eq!(found.len(), all.count());
    assert!(found.iter().any(|stored| !stored.span.events.is_empty()), "recorded exceptions are gone");
}
