//! A real Loki of the test's own, on free ports, its data in a temporary folder.

use crate::back_end::{Ends, Place, url};
use crate::{fetch, wait};
use anyhow::{Context as _, Result};
use serde_json::Value;
use tokio::process::Command;

/// A running Loki; it ends with this handle.
#[derive(Debug)]
pub struct Loki(Ends);

/// A line as it was stored: its text, and its labels and structured metadata.
#[derive(Debug, Clone)]
pub struct Line {
    /// The body of the log record.
    pub text: String,
    /// What else it holds.
    pub labels: Value,
}

impl Loki {
    /// Builds it if needed, starts it and waits until it is ready. Nothing where Go is missing and may be.
    pub async fn start() -> Result<Option<Self>> {
        let config = backends::root().join("tests/backends/loki/loki.yaml");
        let prepare = |command: &mut Command, place: &Place<'_>| {
            command
                .arg(format!("-config.file={}", config.display()))
                .arg("-config.expand-env=true")
                .env("LOKI_DATA", place.folder)
                .env("LOKI_HTTP", place.query.to_string())
                .env("LOKI_GRPC", place.own[0].to_string());
        };
        let ends = Ends::launch("Loki", backends::loki()?, "/ready", prepare).await?;
        Ok(ends.map(Self))
    }

    /// The base of its OTLP/HTTP endpoint.
    pub fn otlp_url(&self) -> String {
        url(self.0.query) + "/otlp"
    }

    /// The lines of the last hour that a query finds, oldest first.
    pub async fn query(&self, logql: &str) -> Result<Vec<Line>> {
        let path = format!("/loki/api/v1/query_range?direction=forward&query={}", fetch::encoded(logql));
        let answer = fetch::json(&(url(self.0.query) + &path)).await?;
        let streams = answer["data"]["result"].as_array().with_context(|| answer.to_string())?;
        let mut lines = Vec::new();
        for stream in streams {
            for value in stream["values"].as_array().into_iter().flatten() {
                let time: u64 = value[0].as_str().and_then(|time| time.parse().ok()).context("a time")?;
                let text = value[1].as_str().context("a line")?.to_owned();
                lines.push((time, Line { text, labels: stream["stream"].clone() }));
            }
        }
        lines.sort_by_key(|(time, _)| *time);
        Ok(lines.into_iter().map(|(_, line)| line).collect())
    }

    /// Waits until a query finds so many lines.
    pub async fn lines(&self, logql: &str, count: usize) -> Result<Vec<Line>> {
        let mut last = String::new();
        let what = format!("{count} lines of {logql}");
        let found = wait::until(&what, async || {
            let lines = self.query(logql).await;
            last = format!("{lines:?}");
            lines.ok().filter(|lines| lines.len() >= count)
        });
        let found = found.await;
        found.with_context(|| last)
    }
}
