//! A real Jaeger of the test's own, on free ports, its traces in memory.

use crate::process::{Process, free_ports};
use crate::stored::Stored;
use crate::{fetch, wait};
use anyhow::{Context as _, Result};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

/// A running Jaeger; it ends with this handle.
#[derive(Debug)]
pub struct Jaeger {
    _process: Process,
    _folder: TempDir,
    grpc: u16,
    http: u16,
    query: u16,
}

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
        let services = format!("http://127.0.0.1:{query}/api/services");
        process.until_it_answers("Jaeger to answer", &services).await?;
        Ok(Self { _process: process, _folder: folder, grpc, http, query })
    }

    /// Its OTLP/gRPC end.
    pub fn grpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// Its OTLP/HTTP end.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// A trace by its id in hex; empty where there is none.
    pub async fn trace(&self, id: &str) -> Result<Vec<Stored>> {
        let url = format!("http://127.0.0.1:{}/api/v3/traces/{id}", self.query);
        let answer = fetch::get(&url).await?;
        if answer.status == http::StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let mut value: serde_json::Value = serde_json::from_str(&answer.text).with_context(|| answer.text.clone())?;
        let traces: TracesData = serde_json::from_value(value["result"].take()).with_context(|| answer.text.clone())?;
        Ok(Stored::all(traces.resource_spans))
    }

    /// Waits until a trace has so many spans.
    pub async fn trace_of(&self, id: &str, spans: usize) -> Result<Vec<Stored>> {
        let whole = async || self.trace(id).await.ok().filter(|found| found.len() >= spans);
        wait::until(&format!("{spans} spans of trace {id} in Jaeger"), whole).await
    }
}
