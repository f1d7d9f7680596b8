//! What system tests share: words for what the proxy says about its plugins, and what operators type.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result};
use harness::proxy::binary;
use harness::{Proxy, wait};
use serde_json::Value;
use std::process::Command;

/// A stage in an answer of `/plugins`, by its name without the number.
pub fn stage<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    let stages = status.get("stages").and_then(Value::as_array)?;
    stages.iter().find(|stage| stage["stage"] == name)
}

/// Which file, which step and why, where the newest version of a plugin does not run.
pub fn error_of(status: &Value, name: &str) -> Option<String> {
    let error = stage(status, name)?.get("error")?;
    let part = |key: &str| error.get(key).and_then(Value::as_str);
    Some(format!("{}: {}: {}", part("file")?, part("step")?, part("why")?))
}

/// Waits until the status says why a plugin's newest version does not run.
pub async fn failed(proxy: &Proxy, name: &str) -> Result<String> {
    let status =
        proxy.plugin_status_that(&format!("{name} to fail"), |status| error_of(status, name).is_some()).await?;
    error_of(&status, name).context("an error a moment ago")
}

/// Waits until a metric with these labels has reached a value.
pub async fn reached(proxy: &Proxy, metric: &str, labels: &[(&str, &str)], value: f64) -> Result<()> {
    let mut last = 0.0;
    let enough = async || {
        last = proxy.metrics().await.ok()?.sum(metric, labels);
        (last >= value).then_some(())
    };
    let waited = wait::until(&format!("{metric}{labels:?} to reach {value}"), enough).await;
    waited.with_context(|| format!("it is {last}"))
}

/// What an operator types about a plugin (`promote`, `rollback`): whether it was done, and what was said.
pub async fn typed(proxy: &Proxy, command: &'static str, plugin: &'static str) -> Result<(bool, String)> {
    let (binary, admin) = (binary()?, proxy.ports().admin.clone());
    let run = move || Command::new(binary).args([command, plugin, "--admin", &admin]).output();
    let output = tokio::task::spawn_blocking(run).await??;
    let said = [output.stdout.clone(), output.stderr.clone()].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
