//! The span on which a plugin fails is set aside, as the plugin was shown it, and can be sent through it again.

use anyhow::{Context as _, Result};
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, fetch, plugins};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::json;
use std::fs;

#[tokio::test]
async fn the_guilty_span_is_set_aside_as_it_was_shown_and_fails_again_when_it_is_sent_again() -> Result<()> {
    let sink = Sink::start().await?;
    let region = json!({ "settings": { "resource": { "deployment.region": "north" } } });
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .plugin("10-enrich", "enrich")?
        .sidecar("10-enrich", &region)?
        .file("50-trouble.wasm", &fs::read(plugins::guest("trouble")?)?)?
        .sidecar("50-trouble", &json!({ "settings": { "deed": "trap" }, "on_error": "drop", "deadline": "2s" }))?;
    setup
        .run(async |proxy| {
            let listed = async |proxy: &Proxy| fetch::json(&proxy.admin("/quarantine")).await;
            assert_eq!(listed(proxy).await?, json!([]));
            let mut made = Generator::new(Profile::Small, 101).mix(Mix::PLAIN).request(50);
            "trouble".clone_into(&mut made.request.resource_spans[0].scope_spans[0].spans[20].name);
            let guilty = made.request.resource_spans[0].scope_spans[0].spans[20].clone();
            assert!(proxy.grpc().send(&made.request).await?.is_whole());
            let list = listed(proxy).await?;
            let [one] = &list.as_array().context("a list")?[..] else { panic!("one span: {list:#}") };
            assert_eq!((&one["plugin"], &one["kind"]), (&json!("trouble"), &json!("trap")));
            let running = proxy.plugin_status().await?;
            assert_eq!(system::stage(&running, "trouble").context("it runs")?["version"], one["version"]);

            let url = proxy.admin(&format!("/quarantine/{}", one["number"]));
            let (status, body) = fetch::protobuf(&url).await?;
            assert!(status.is_success());
            assert_eq!(one["bytes"], body.len());
            let request = ExportTraceServiceRequest::decode(body)?;
            let [resource] = &request.resource_spans[..] else { panic!("one resource: {request:?}") };
            assert_eq!(resource.scope_spans[0].spans, [guilty], "the span and no other");
            let attributes = &resource.resource.as_ref().context("a resource")?.attributes;
            // What the plugin before it has written is there.
            assert!(attributes.iter().any(|attribute| attribute.key == "deployment.region"));

            assert!(proxy.grpc().send(&request).await?.is_whole());
            assert_eq!(listed(proxy).await?.as_array().map(Vec::len), Some(2), "it fails again");
            assert_eq!(fetch::get(&proxy.admin("/quarantine/77")).await?.status, 404);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn nothing_is_set_aside_where_the_configuration_says_so() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("plugins.quarantine.spans", 0)
        .file("50-trouble.wasm", &fs::read(plugins::guest("trouble")?)?)?
        .sidecar("50-trouble", &json!({ "settings": { "deed": "trap" }, "on_error": "pass" }))?;
    setup
        .run(async |proxy| {
            let mut made = Generator::new(Profile::Small, 102).mix(Mix::PLAIN).request(5);
            "trouble".clone_into(&mut made.request.resource_spans[0].scope_spans[0].spans[0].name);
            assert!(proxy.grpc().send(&made.request).await?.is_whole());
            assert_eq!(fetch::json(&proxy.admin("/quarantine")).await?, json!([]));
            Ok(())
        })
        .await
}
