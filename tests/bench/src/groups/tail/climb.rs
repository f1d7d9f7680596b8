//! The highest rate that is held: up in large steps until one is not, then closer.

use std::time::Duration;

use anyhow::Result;

use super::run::{self, Load, Outcome};
use crate::cores::Cores;
use crate::peer::{Sampling, Side, Steps, Waits};

/// Where each begins: what it surely holds.
const FROM: [f64; 2] = [80_000.0, 16_000.0];
const STEP: f64 = 1.5;
/// How often the step between what is held and what is not is halved.
const CLOSER: u32 = 2;
const MOST: f64 = 4e6;
/// More than what waits at any rate that one core takes in.
const MEMORY: u64 = 6 << 30;

/// Which figure is which.
pub const HELD: usize = 0;
pub const LIMITED: usize = 1;
pub const PEAK: usize = 2;
pub const PROXY: usize = 3;
pub const BENCH: usize = 4;

/// Climbs. One failure may be another process's doing, so it is asked once again.
pub async fn up(cores: Cores, side: Side, size: usize) -> Result<Vec<f64>> {
    let run = async |rate: f64| {
        let load = Load {
            side,
            steps: Steps::PassThrough,
            sampling: Some(Sampling::Policies),
            waits: Waits::Alike,
            size,
            rate: rate as usize,
            memory: Some(MEMORY),
            warm_up: Duration::from_secs(7),
            time: Duration::from_secs(6),
        };
        let outcome = run::once(cores, load).await?;
        eprintln!("  {}: {outcome:?}", if outcome.is_held() { "held" } else { "not held" });
        Ok::<Outcome, anyhow::Error>(outcome)
    };
    let mut best: Option<(f64, Outcome)> = None;
    let mut rate = FROM[usize::from(side == Side::Collector)];
    let mut limited = false;
    let mut refused = None;
    while rate < MOST {
        let outcome = run(rate).await?;
        if outcome.is_held() {
            best = Some((rate, outcome));
            rate *= STEP;
        } else if best.is_none() && rate > 1000.0 {
            rate /= STEP;
        } else {
            limited = outcome.busy.is_bench_exhausted();
            refused = Some(rate);
            break;
        }
    }
    for _ in 0..CLOSER {
        let (Some((held, _)), Some(most)) = (best, refused) else { break };
        let rate = (held * most).sqrt();
        let outcome = run(rate).await?;
        if outcome.is_held() {
            best = Some((rate, outcome));
        } else {
            limited = outcome.busy.is_bench_exhausted();
            refused = Some(rate);
        }
    }
    let Some((rate, outcome)) = best else { return Ok(vec![0.0; 5]) };
    Ok(vec![rate, f64::from(limited), outcome.peak, outcome.busy.proxy, outcome.busy.bench])
}
