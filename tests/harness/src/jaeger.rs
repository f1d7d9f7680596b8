//! A real Jaeger of the test's own, on free ports, its traces in memory or, to outlive a crash, on disk.

use crate::back_end::{BackEnd, Ends, Place};
use crate::fetch;
use crate::stored::Stored;
use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use std::path::PathBuf;
use tokio::process::Command;

/// A running Jaeger; it ends with this handle.
#[derive(Debug)]
pub struct Jaeger {
    ends: Ends,
    binary: PathBuf,
}

/// What it answers when it is ready.
const READY: &str = "/api/services";
const LASTING: &str = "jaeger-lasting.yaml";

impl Jaeger {
    /// Builds it if needed, starts it and waits until it answers. Nothing where Go is missing and may be.
    pub async fn start() -> Result<Option<Self>> {
        let Some(binary) = backends::jaeger()?.or_skip("tests against Jaeger")? else { return Ok(None) };
        Self::launch(binary, "jaeger.yaml").await.map(Some)
    }

    /// One that can be crashed and started again with all that it had; an error where Go is missing.
    pub async fn start_lasting() -> Result<Self> {
        Self::launch(backends::jaeger()?.or_fail("a test against Jaeger")?, LASTING).await
    }

    async fn launch(binary: PathBuf, config: &str) -> Result<Self> {
        let ends = Ends::start(Self::NAME, &binary, READY, prepare(config)).await?;
        Ok(Self { ends, binary })
    }

    /// Ends it at once.
    pub async fn crash(&mut self) -> Result<()> {
        self.ends.crash().await
    }

    /// Starts one that lasts again, where it was before.
    pub async fn again(&mut self) -> Result<()> {
        self.ends.start_again(Self::NAME, &self.binary, READY, prepare(LASTING)).await
    }
}

fn prepare(config: &str) -> impl FnOnce(&mut Command, &Place<'_>) + use<> {
    let config = backends::root().join("tests/backends/jaeger").join(config);
    move |command, place| {
        command
            .arg(format!("--config=file:{}", config.display()))
            .env("JAEGER_FOLDER", place.folder)
            .env("JAEGER_OTLP_GRPC", place.grpc.to_string())
            .env("JAEGER_OTLP_HTTP", place.http.to_string())
            .env("JAEGER_QUERY_HTTP", place.query.to_string())
            .env("JAEGER_QUERY_GRPC", place.own[0].to_string());
    }
}

impl BackEnd for Jaeger {
    const NAME: &'static str = "Jaeger";

    fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Asked for raw: otherwise Jaeger shows spans that it holds twice only once.
    async fn trace(&self, id: &str) -> Result<Vec<Stored>> {
        let url = self.query_url(&format!("/api/v3/traces/{id}?raw_traces=true"));
        let answer = fetch::get(&url).await?;
        if answer.status == http::StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let mut value: serde_json::Value = serde_json::from_str(&answer.text).with_context(|| answer.text.clone())?;
        for resource in value["result"]["resourceSpans"].as_array_mut().into_iter().flatten() {
            // opentelemetry-proto's reader insists on their empty lists, which JSON leaves out.
            if let Some(resource) = resource["resource"].as_object_mut() {
                resource.remove("entityRefs");
            }
        }
        let traces: TracesData = serde_json::from_value(value["result"].take()).with_context(|| answer.text.clone())?;
        Ok(Stored::all(traces.resource_spans))
    }
}
