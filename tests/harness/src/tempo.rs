//! A real Tempo of the test's own, on free ports, its data in a temporary folder.

use crate::back_end::{BackEnd, Ends, url};
use crate::fetch;
use crate::process::{Process, free_ports};
use crate::stored::Stored;
use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use std::path::Path;
use tokio::process::Command;

/// A running Tempo; it ends with this handle, at once, because its own way to end takes half a minute.
#[derive(Debug)]
pub struct Tempo(Ends);

impl Tempo {
    /// Builds it if needed, starts it and waits until it is ready. Nothing where Go is missing and may be.
    pub async fn start() -> Result<Option<Self>> {
        let Some(binary) = backends::tempo()?.or_skip("tests against Tempo")? else { return Ok(None) };
        Self::launch(&binary).await.map(Some)
    }

    async fn launch(binary: &Path) -> Result<Self> {
        let [grpc, http, query, own_grpc, members] = free_ports()?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(binary);
        command
            .arg(backends::root().join("tests/backends/tempo/tempo.yaml"))
            .current_dir(folder.path())
            .env("TEMPO_DATA", folder.path())
            .env("TEMPO_OTLP_GRPC", grpc.to_string())
            .env("TEMPO_OTLP_HTTP", http.to_string())
            .env("TEMPO_HTTP", query.to_string())
            .env("TEMPO_GRPC", own_grpc.to_string())
            .env("TEMPO_MEMBERS", members.to_string());
        let mut process = Process::start("tempo", command, &folder.path().join("log"))?;
        let ready = url(query) + "/ready";
        process.until_it_answers("Tempo to be ready", &ready).await?;
        Ok(Self(Ends { process, folder, grpc, http, query }))
    }
}

impl BackEnd for Tempo {
    const NAME: &'static str = "Tempo";

    fn ends(&self) -> &Ends {
        &self.0
    }

    /// Asked for as protobuf: Tempo's `Trace` has the field numbers of `TracesData`, while its JSON is of an older schema.
    async fn trace(&self, id: &str) -> Result<Vec<Stored>> {
        let url = self.query_url(&format!("/api/traces/{id}"));
        let answer = fetch::protobuf(&url).await?;
        if answer.0 == http::StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        ensure!(answer.0.is_success(), "{url}: {} {:?}", answer.0, answer.1);
        Ok(Stored::all(TracesData::decode(answer.1)?.resource_spans))
    }
}
