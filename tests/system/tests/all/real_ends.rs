//! From real SDKs through the official plugins into real Jaeger and Tempo, read back by their own query APIs.

use anyhow::Result;
use harness::sdk::{Scenario, Sdk};
use harness::stored::Stored;
use harness::{BackEnd as _, Jaeger, Protocol, Proxy, Tempo};
use serde_json::json;

#[tokio::test]
async fn one_trace_of_three_senders_is_whole_clean_and_enriched_in_both_back_ends() -> Result<()> {
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
            let sent = send_all(proxy).await?;
            let Some(first) = sent.first() else { return Ok(()) };
            let trace = &first.spans[0].trace;
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

/// One trace that goes on from sender to sender.
async fn send_all(proxy: &Proxy) -> Result<Vec<Scenario>> {
    let ports = proxy.ports();
    let senders = [
        (Sdk::Node, Protocol::Grpc, &ports.grpc),
        (Sdk::Python, Protocol::HttpProtobuf, &ports.http),
        (Sdk::Node, Protocol::HttpJson, &ports.http),
        (Sdk::Python, Protocol::Grpc, &ports.grpc),
        (Sdk::Node, Protocol::HttpProtobuf, &ports.http),
    ];
    let mut sent: Vec<Scenario> = Vec::new();
    for (number, (sdk, protocol, address)) in senders.into_iter().enumerate() {
        let parent = sent.last().map(|before| before.traceparent.clone());
        let service = format!("orders-{number}");
        sent.extend(sdk.send(protocol, address, &service, parent.as_deref()).await?);
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
