//! The configuration file is reloaded in place; a bad one changes nothing.

use anyhow::Result;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, wait};
use serde_json::json;

#[tokio::test]
async fn a_destination_is_added_and_removed_while_traffic_goes_on() -> Result<()> {
    let (first, second) = (Sink::start().await?, Sink::start().await?);
    let setup = Proxy::setup()?.export_grpc("first", &first);
    setup
        .run(async |proxy| {
            let mut generator = Generator::new(Profile::Small, 111).mix(Mix::PLAIN);
            assert!(proxy.grpc().send(&generator.request(10).request).await?.is_whole());
            proxy.configure("export.second", json!({ "http": second.url() }))?;
            let client = proxy.grpc();
            let mut sent = 10;
            let arrives = async || {
                client.send(&generator.request(10).request).await.ok()?.is_whole().then(|| sent += 10)?;
                (second.spans() > 0).then_some(())
            };
            wait::until("spans at the new destination", arrives).await?;
            first.wait_for_spans(sent).await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_configuration_with_errors_changes_nothing_and_names_them_all() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let before = proxy.generation().await?;
            proxy.configure("export.sink.tiemout", json!("5s"))?;
            proxy.configure("export.sink.queue", json!({ "size": "64" }))?;
            let named = async || (proxy.log().contains("tiemout") && proxy.log().contains("timeout")).then_some(());
            wait::until("the log to name the unknown key and the nearest one", named).await?;
            let made = Generator::new(Profile::Small, 112).mix(Mix::PLAIN).request(10);
            assert!(proxy.grpc().send(&made.request).await?.is_whole());
            sink.wait_for_spans(10).await?;
            assert_eq!(proxy.generation().await?, before);
            Ok(())
        })
        .await
}
