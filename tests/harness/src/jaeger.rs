//! A real Jaeger of the test's own, on free ports, its traces in memory.

use crate::back_end::{BackEnd, Ends, url};
use crate::fetch;
use crate::process::{Process, free_ports};
use crate::stored::Stored;
use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use std::path::Path;
use tokio::process::Command;

/// A running Jaeger; it ends with this handle.
#[derive(Debug)]
pub struct Jaeger(Ends);

impl Jaeger {
    /// Builds it if needed, starts it and waits until it answers. Nothing where Go is missing and may be.
    pub async fn start() -> Result<Option<Self>> {
        let Some(binary) = backends::jaeger()?.or_skip("tests against Jaeger")? else { return Ok(None) };
        Self::launch(&binary).await.map(Some)
    }

    async fn launch(binary: &Path) -> Result<Self> {
        let [grpc, http, query, query_grpc] = free_ports()?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(binary);
        command
            .arg(format!("--config=file:{}", backends::root().join("tests/backends/jaeger/jaeger.yaml").display()))
            .env("JAEGER_OTLP_GRPC", grpc.to_string())
            .env("JAEGER_OTLP_HTTP", http.to_string())
            .env("JAEGER_QUERY_HTTP", query.to_string())
            .env("JAEGER_QUERY_GRPC", query_grpc.to_string());
        let mut process = Process::start("jaeger", command, &folder.path().join("log"))?;
        let services = url(query) + "/api/services";
        process.until_it_answers("Jaeger to answer", &services).await?;
        Ok(Self(Ends { _process: process, _folder: folder, grpc, http, query }))
    }
}

impl BackEnd for Jaeger {
    const NAME: &'static str = "Jaeger";

    fn ends(&self) -> &Ends {
        &self.0
    }

    /// Asked for raw: otherwise Jaeger shows spans that it holds twice only once.
    async fn trace(&self, id: &str) -> Result<Vec<Stored>> {
        let url = self.query_url(&format!("/api/v3/traces/{id}?raw_traces=true"));
        let answer = fetch::get(&url).await?;
        if answer.status == http::StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let mut value: serde_json::Value = serde_json::from_str(&answer.text).with_context(|| answer.text.clone())?;
        let traces: TracesData = serde_json::from_value(value["result"].take()).with_context(|| answer.text.clone())?;
        Ok(Stored::all(traces.resource_spans))
    }
}
