//! The shop's traffic: steady, with health checks and personal data in it.

use crate::changed::Pairs;
use anyhow::{Context as _, Result};
use harness::spans::Mix;
use harness::{Client, Generator, Profile};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

const SPANS_A_REQUEST: usize = 40;
const BETWEEN: Duration = Duration::from_millis(100);
/// More of what plugins look for than a real shop has, so that there is something to see.
const MIX: Mix = Mix { health: 0.25, personal: 0.15, errors: 0.03 };

/// Sends until it is aborted. It ends by itself only where it cannot send, and says why.
pub async fn trade(client: Client, pairs: Arc<Mutex<Pairs>>) -> Result<Infallible> {
    let mut generator = Generator::new(Profile::Medium, 2026).mix(MIX);
    let mut ticks = tokio::time::interval(BETWEEN);
    loop {
        ticks.tick().await;
        let made = generator.request(SPANS_A_REQUEST);
        pairs.lock().goes_in(&made);
        // A refusal is back-pressure: what was refused shows in the table.
        client.send(&made.request).await.context("the shop cannot send its spans")?;
    }
}
