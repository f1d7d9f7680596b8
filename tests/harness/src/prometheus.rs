//! A real Prometheus of the test's own, its OTLP receiver open, its data in a temporary folder.

use crate::back_end::{Ends, Place, url};
use crate::{fetch, wait};
use anyhow::{Context as _, Result};
use tokio::process::Command;

/// A running Prometheus; it ends with this handle.
#[derive(Debug)]
pub struct Prometheus(Ends);

impl Prometheus {
    /// Builds it if needed, starts it and waits until it is ready. Nothing where Go is missing and may be.
    pub async fn start() -> Result<Option<Self>> {
        let config = backends::root().join("tests/backends/prometheus/prometheus.yml");
        // All that it serves is on one port.
        let prepare = |command: &mut Command, place: &Place<'_>| {
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", place.folder.join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{}", place.query))
                .arg("--web.enable-otlp-receiver");
        };
        let ends = Ends::launch("Prometheus", backends::prometheus()?, "/-/ready", prepare).await?;
        Ok(ends.map(Self))
    }

    /// The base of its OTLP/HTTP endpoint.
    pub fn otlp_url(&self) -> String {
        url(self.0.query) + "/api/v1/otlp"
    }

    /// What an instant query finds: the newest value of each series, with its labels.
    pub async fn query(&self, promql: &str) -> Result<Vec<(serde_json::Value, f64)>> {
        let path = format!("/api/v1/query?query={}", fetch::encoded(promql));
        let answer = fetch::json(&(url(self.0.query) + &path)).await?;
        let series = answer["data"]["result"].as_array().with_context(|| answer.to_string())?;
        let one = |series: &serde_json::Value| {
            let value = series["value"][1].as_str().and_then(|value| value.parse().ok());
            Ok((series["metric"].clone(), value.with_context(|| series.to_string())?))
        };
        series.iter().map(one).collect()
    }

    /// Waits until a query finds one series, with this value.
    pub async fn value(&self, promql: &str, value: f64) -> Result<serde_json::Value> {
        let mut last = String::new();
        let what = format!("{promql} to be {value}");
        let found = wait::until(&what, async || {
            let series = self.query(promql).await;
            last = format!("{series:?}");
            match &series.ok()?[..] {
                [(labels, now)] if (now - value).abs() < 1e-9 => Some(labels.clone()),
                _ => None,
            }
        });
        let found = found.await;
        found.with_context(|| last)
    }
}
