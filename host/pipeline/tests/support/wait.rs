//! Waiting for a condition, with an end. The only place of these tests that polls.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::time::{Duration, Instant};

/// How long a condition may take on a busy machine before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_millis(1);

/// Waits until it is so; `what` says in the failure what was waited for.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(BETWEEN).await;
    }
}

/// The same on a thread that may block.
pub fn block_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(BETWEEN);
    }
}
