//! Real SDKs send, real back ends store, and what they stored can be read back.

use anyhow::Result;
use tracemill_harness::sdk;
use tracemill_harness::stored::Stored;
use tracemill_harness::{BackEnd as _, Client, Generator, Jaeger, Profile, Protocol, Tempo};

#[tokio::test]
async fn jaeger_gives_back_what_sdks_sent() -> Result<()> {
    let sdks = sdk::at_hand("Jaeger alone")?;
    let Some(jaeger) = Jaeger::start().await? else { return Ok(()) };
    for (sdk, protocol) in sdks.iter().flat_map(|sdk| sdk.protocols().iter().map(|protocol| (*sdk, *protocol))) {
        let url = if protocol == Protocol::Grpc { jaeger.grpc_url() } else { jaeger.http_url() };
        let sent = sdk.send(protocol, url.trim_start_matches("http://"), "orders", None).await?;
        let found = jaeger.trace_of(&sent.spans[0].trace, sent.spans.len()).await?;
        assert_eq!(found.len(), 3);
        for span in &sent.spans {
            let stored = found.iter().find(|stored| stored.id() == span.span).expect("the span is there");
            assert_eq!((stored.parent(), stored.span.name.as_str()), (span.parent.clone(), span.name.as_str()));
            assert_eq!(stored.resource_attribute("service.name"), Some("orders"));
            assert!(stored.text.contains("mail.example"), "{}", stored.text);
        }
        assert_eq!(jaeger.trace_of(&sent.health[0].trace, 1).await?[0].attribute("http.route"), Some("/healthz"));
    }
    assert!(jaeger.trace(&"ab".repeat(16)).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn tempo_gives_back_what_was_sent() -> Result<()> {
    let Some(tempo) = Tempo::start().await? else { return Ok(()) };
    let mut generator = Generator::new(Profile::Medium, 23);
    for (protocol, url) in [(Protocol::Grpc, tempo.grpc_url()), (Protocol::HttpProtobuf, tempo.http_url())] {
        let made = generator.request(12);
        assert!(Client::new(protocol, url.trim_start_matches("http://")).send(&made.request).await?.is_whole());
        let sent = Stored::all(made.request.resource_spans);
        let id = sent[0].trace();
        let same: Vec<_> = sent.iter().filter(|stored| stored.trace() == id).collect();
        let found = tempo.trace_of(&id, same.len()).await?;
        assert_eq!(found.len(), same.len());
        for span in same {
            let stored = found.iter().find(|stored| stored.id() == span.id()).expect("the span is there");
            assert_eq!((&stored.span.name, stored.parent()), (&span.span.name, span.parent()));
            assert_eq!(stored.resource_attribute("service.name"), span.resource_attribute("service.name"));
        }
    }
    assert!(tempo.trace(&"ab".repeat(16)).await?.is_empty());
    Ok(())
}
