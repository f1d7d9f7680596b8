//! Real OpenTelemetry SDKs as senders: tests/system/clients tells what they send.

use crate::client::Protocol;
use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

/// An SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `@opentelemetry/sdk-node`.
    Node,
    /// `opentelemetry-sdk`.
    Python,
}

/// A span that an SDK says it has sent; ids in hex.
#[derive(Debug, Clone, Deserialize)]
pub struct SentSpan {
    /// Its trace.
    pub trace: String,
    /// Its id.
    pub span: String,
    /// Its parent's id, empty for a root.
    pub parent: String,
    /// Its name.
    pub name: String,
}

/// What an SDK says it has sent.
#[derive(Debug, Clone, Deserialize)]
pub struct Scenario {
    /// The service's name.
    pub service: String,
    /// One trace's spans.
    pub spans: Vec<SentSpan>,
    /// Health checks, each a trace of its own.
    pub health: Vec<SentSpan>,
    /// Carries the trace on to the next sender.
    pub traceparent: String,
}

impl Sdk {
    /// Sends the scenario to `address` and waits until it was delivered. Nothing where the language is missing and may be.
    pub async fn send(
        self,
        protocol: Protocol,
        address: &str,
        service: &str,
        parent: Option<&str>,
    ) -> Result<Option<Scenario>> {
        let Some(mut command) = self.command()? else { return Ok(None) };
        let name = match protocol {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::HttpJson if self == Self::Node => "http/json",
            Protocol::HttpJson => bail!("the SDK for Python sends no JSON"),
        };
        command
            .env("OTEL_SERVICE_NAME", service)
            .env("OTEL_TRACES_EXPORTER", "otlp")
            .env("OTEL_METRICS_EXPORTER", "none")
            .env("OTEL_LOGS_EXPORTER", "none")
            .env("OTEL_NODE_RESOURCE_DETECTORS", "env")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", name)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"))
            .env("TRACEPARENT", parent.unwrap_or_default())
            .kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("starting {self:?}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{self:?} over {name} failed: {said}{complained}");
        serde_json::from_str(&said).map(Some).with_context(|| format!("{self:?} said {said:?} {complained}"))
    }

    fn command(self) -> Result<Option<Command>> {
        let clients = backends::root().join("tests/system/clients");
        let who = format!("tests with the SDK for {self:?}");
        Ok(match self {
            Self::Node => backends::node_modules()?.or_skip_optional(&who).map(|modules| {
                let mut command = Command::new("node");
                command.arg(clients.join("node/send.js")).env("NODE_PATH", modules);
                command
            }),
            Self::Python => backends::python()?.or_skip_optional(&who).map(|python| {
                let mut command = Command::new(python);
                command.arg(clients.join("python/send.py")).env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }),
        })
    }
}
