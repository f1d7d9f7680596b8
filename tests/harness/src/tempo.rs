//! A real Tempo of the test's own, on free ports, its data in a temporary folder.

use crate::back_end::{BackEnd, Ends, Place};
use crate::fetch;
use crate::stored::Stored;
use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use tokio::process::Command;

/// A running Tempo; it ends with this handle, at once, because its own way to end takes half a minute.
#[derive(Debug)]
pub struct Tempo(Ends);

impl Tempo {
    /// Builds it if needed, starts it and waits until it is ready. Nothing where Go is missing and may be.
    pub async fn start() -> Result<Option<Self>> {
        let prepare = |command: &mut Command, place: &Place<'_>| {
            command
                .arg(backends::root().join("tests/backends/tempo/tempo.yaml"))
                .env("TEMPO_DATA", place.folder)
                .env("TEMPO_OTLP_GRPC", place.grpc.to_string())
                .env("TEMPO_OTLP_HTTP", place.http.to_string())
                .env("TEMPO_HTTP", place.query.to_string())
                .env("TEMPO_GRPC", place.own[0].to_string())
                .env("TEMPO_MEMBERS", place.own[1].to_string());
        };
        let ends = Ends::launch(Self::NAME, backends::tempo()?, "/ready", prepare).await?;
        Ok(ends.map(Self))
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
