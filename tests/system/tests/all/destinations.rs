//! Which destination gets what, and what happens while one of several endpoints is away.

use anyhow::Result;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, fetch};
use serde_json::json;

#[tokio::test]
async fn tenants_go_to_their_destinations_and_the_others_to_the_rest() -> Result<()> {
    let (blue, rest) = (Sink::start().await?, Sink::start().await?);
    let setup = Proxy::setup()?
        .set("receive.tenant_header", "x-scope-orgid")
        .set("export.blue", json!({ "grpc": blue.url(), "when": [{ "path": "request.tenant", "equals": "blue" }] }))
        .set("export.rest", json!({ "http": rest.url(), "when": "otherwise" }));
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 131).mix(Mix::PLAIN);
            for tenant in ["blue", "red", "blue"] {
                let client = proxy.grpc().header("x-scope-orgid", tenant)?;
                assert!(client.send(&generator.request(100).request).await?.is_whole());
            }
            blue.wait_for_spans(200).await?;
            rest.wait_for_spans(100).await?;
            let accounts = proxy.settled().await?;
            let admitted = |name| accounts.destination(name).map(|destination| destination.admitted);
            assert_eq!((admitted("blue"), admitted("rest"), accounts.door.admitted), (Some(200), Some(100), 300));
            Ok(())
        })
        .await
}

#[tokio::test]
async fn what_the_first_endpoint_does_not_take_arrives_at_the_second() -> Result<()> {
    let sink = Sink::start().await?;
    // Nobody listens on the first.
    let setup = Proxy::setup()?.set("export.pair", json!({ "grpc": ["http://127.0.0.1:1", sink.url()] }));
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 132).mix(Mix::PLAIN);
            for _ in 0..5 {
                assert!(proxy.grpc().send(&generator.request(100).request).await?.is_whole());
            }
            sink.wait_for_spans(500).await?;
            proxy.settled().await?;
            let status = fetch::json(&proxy.admin("/status")).await?;
            let endpoints = &status["destinations"][0]["endpoints"];
            assert!(endpoints[0]["last_error"].as_str().is_some_and(|error| error.contains("127.0.0.1:1")), "{status}");
            assert!(
                endpoints[1]["last_error"].is_null() && status["destinations"][0]["last_error"].is_null(),
                "{status}"
            );
            Ok(())
        })
        .await
}
