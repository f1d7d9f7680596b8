//! Waiting for a condition, with an end. The only place of the harness that sleeps.

use anyhow::{Result, bail};
use std::time::Duration;
use tokio::time::Instant;

/// How long a condition may take on a busy machine before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

const BETWEEN: Duration = Duration::from_millis(20);

/// Asks until there is an answer; `what` says in the error what was waited for.
pub async fn until<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    until_within(PATIENCE, what, probe).await
}

/// The same with a bound of its own.
pub async fn until_within<T>(patience: Duration, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = probe().await {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("waited {patience:?} for {what}");
        }
        tokio::time::sleep(BETWEEN).await;
    }
}
