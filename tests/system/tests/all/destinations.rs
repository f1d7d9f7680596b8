//! Which destination gets what, and what happens while one of several endpoints is away.

use anyhow::Result;
use harness::sink::{Attempt, Keep};
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

/// A header of the requests that arrived, where they have it.
fn passed_on(sink: &Sink, name: &str) -> Vec<String> {
    let value = |attempt: &Attempt| Some(attempt.headers.get(name)?.to_str().ok()?.to_owned());
    sink.arrivals(|arrivals| arrivals.attempts.iter().filter_map(value).collect())
}

#[tokio::test]
async fn headers_decide_where_spans_go_and_travel_on_with_them() -> Result<()> {
    for mode in ["memory", "durable"] {
        let folder = tempfile::tempdir()?;
        let (eu, rest) = (Sink::keeping(Keep::Requests).await?, Sink::keeping(Keep::Requests).await?);
        let queue = |name: &str| match mode {
            "memory" => json!({}),
            _ => json!({ "mode": mode, "folder": folder.path().join(name) }),
        };
        let forward = json!(["x-scope-orgid", "authorization"]);
        let in_eu = json!([{ "path": "request.header[\"x-region\"]", "equals": "eu" }]);
        let setup = Proxy::setup()?
            .set("export.eu", json!({ "grpc": eu.url(), "queue": queue("eu"), "forward": forward, "when": in_eu }))
            .set("export.rest", json!({ "http": rest.url(), "queue": queue("rest"), "when": "otherwise" }));
        setup
            .run(async |proxy| {
                let mut generator = Generator::new(Profile::Small, 133).mix(Mix::PLAIN);
                for (region, tenant) in [("eu", "blue"), ("us", "red"), ("eu", "green")] {
                    let client = proxy.grpc().header("x-region", region)?.header("x-scope-orgid", tenant)?;
                    let client = client.header("authorization", &format!("Bearer of {tenant}"))?;
                    assert!(client.send(&generator.request(100).request).await?.is_whole());
                }
                eu.wait_for_spans(200).await?;
                rest.wait_for_spans(100).await?;
                proxy.settled().await?;
                let mut tenants = passed_on(&eu, "x-scope-orgid");
                tenants.sort();
                assert_eq!(tenants, ["blue", "green"], "{mode}: spans of two tenants are not joined");
                assert!(passed_on(&eu, "authorization").contains(&"Bearer of blue".to_owned()), "{mode}");
                assert!(passed_on(&eu, "x-region").is_empty(), "{mode}: it is not among those to pass on");
                assert!(passed_on(&rest, "x-scope-orgid").is_empty(), "{mode}");
                Ok(())
            })
            .await?;
    }
    Ok(())
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
