//! What the operator does not grant, a plugin does not get: its plan is refused with the list of what is missing, and the last good version stays.

use anyhow::Result;
use harness::{Proxy, Sink};
use serde_json::json;
use system::{error_of, stage};

#[tokio::test]
async fn a_plan_that_asks_for_more_than_is_granted_is_refused_with_what_is_missing() -> Result<()> {
    let sink = Sink::start().await?;
    let enrich = |grants| json!({ "settings": { "attributes": { "region": "north" } }, "grants": grants });
    let setup = Proxy::setup()?.export_grpc("sink", &sink).plugin("10-enrich", "enrich")?.sidecar(
        "10-enrich",
        &enrich(json!({ "read": [], "write": ["attributes"], "drop": false, "state": "4KiB" })),
    )?;
    setup
        .run(async |proxy| {
            let before = proxy.generation().await?;
            let narrow = enrich(json!({ "write": ["resource.attributes"] }));
            proxy.install("10-enrich.yaml", narrow.to_string().as_bytes())?;
            let said = "grants";
            let status = proxy
                .plugin_status_that("the refusal", |status| {
                    error_of(status, "enrich").is_some_and(|error| error.contains(said))
                })
                .await?;
            let error = error_of(&status, "enrich").unwrap_or_default();
            assert!(error.contains("write attributes[\"region\"]"), "{error}");
            assert_eq!(stage(&status, "enrich").map(|stage| &stage["state"]), Some(&json!("live")));
            assert_eq!(proxy.generation().await?, before);
            Ok(())
        })
        .await
}
