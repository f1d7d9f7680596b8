//! Samplers in the plugin folder: what an operator may say of one, and what nobody may.

use anyhow::Result;
use harness::{Proxy, Sink, plugins};
use serde_json::{Value, json};
use system::{error_of, stage};

#[tokio::test]
async fn what_cannot_be_said_of_a_sampler_is_refused_with_its_place() -> Result<()> {
    let sink = Sink::start().await?;
    let settings = json!({ "policies": [{ "name": "all", "type": "always_sample" }] });
    let rejects = json!({ "settings": settings, "on_error": "reject", "when": [{ "path": "kind", "equals": 2 }] });
    let keeps = json!({ "settings": settings, "grants": { "drop": false } });
    Proxy::setup()?
        .export_grpc("sink", &sink)
        .run(async |proxy| {
            let before = proxy.generation().await?;
            let refused = async |sidecar: &Value, step: &str| {
                proxy.install("90-tail-sample.yaml", sidecar.to_string().as_bytes())?;
                proxy.install("90-tail-sample.wasm", &std::fs::read(plugins::official("tail-sample")?)?)?;
                let is_it =
                    |status: &Value| stage(status, "tail-sample").is_some_and(|one| one["error"]["step"] == step);
                let status = proxy.plugin_status_that("the refusal", is_it).await?;
                anyhow::Ok(error_of(&status, "tail-sample").unwrap_or_default().clone())
            };
            let error = refused(&rejects, "sidecar").await?;
            for part in [": on_error: a sampler may not say reject: ", ": when: is for processors: "] {
                assert!(error.contains(part), "no {part:?} in\n{error}");
            }
            let error = refused(&keeps, "grants").await?;
            assert!(error.ends_with("its plan asks for what `grants` does not give it: drop"), "{error}");
            assert_eq!(proxy.generation().await?, before);
            Ok(())
        })
        .await
}
