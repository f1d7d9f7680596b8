//! Probability sampling: randomness, thresholds and their digits. The specification's own vectors among them.

use super::sampler::{ALL, WHY, expect_th, gone, kept, sampled, start, th, threshold};
use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::own::Mode;
use anyhow::{Context as _, Result, ensure};
use std::future::{Ready, ready};

pub const ITEMS: &[Item] = &[
    item!("P1", Required, "Randomness is rv where there is one, else the last 7 bytes of the trace id", p1),
    item!("P2", Required, "A trace is kept exactly when its randomness is not below the threshold", p2),
    item!("P3", Required, "th is the threshold in hex without trailing zeros: 0, 8, c", p3),
    item!("P4", Required, "Decoding fills th up with zeros on the right", p4),
    item!("P5", Required, "Encoding keeps the zeros on the left: 96.875 % is 08", p5),
    item!("P12", Required, "The adjusted count is 2^56 / (2^56 - T), and undefined without th", p12),
    item!("P13", Required, "A probability is at least 2^-56; 0 keeps nothing", p13),
    item!("P14", Advised, "Four digits of precision, counted after leading f", p14),
];

/// Half of all.
const HALF: u64 = 1 << 55;

async fn p1(subject: &Subject) -> Result<Found> {
    let Some(own) = start(subject, Mode::Equalizing, &[0.5]).await? else { return not_applicable(WHY) };
    let probes = [
        kept(0, HALF, ""),
        gone(0, HALF - 1, ""),
        kept(0, 0, "ot=rv:ffffffffffffff"),
        gone(0, ALL, "ot=rv:00000000000000"),
        kept(0, 0, "ot=rv:80000000000000"),
        gone(0, ALL, "ot=rv:7fffffffffffff"),
        // What the specification keeps for 56.9 % to 100 %, and not at 50 %.
        gone(0, ALL, "ot=rv:6e6d1a75832a2f"),
    ];
    sampled(&own, &probes).await?;
    own.stop().await?;
    held(format!("{} spans at 50 %, of which the byte before the last 7 says the contrary", probes.len()))
}

async fn p2(subject: &Subject) -> Result<Found> {
    const RATES: [f64; 4] = [0.5, 0.01, 1.0 / 3.0, 0.9];
    let Some(own) = start(subject, Mode::Equalizing, &RATES).await? else { return not_applicable(WHY) };
    let surely: Vec<_> = (0..RATES.len()).map(|rate| kept(rate, ALL, "")).collect();
    let states = sampled(&own, &surely).await?;
    let mut edges = Vec::new();
    for (rate, state) in states.iter().enumerate() {
        let at = threshold(th(state)?.with_context(|| format!("no th in {state:?}"))?)?;
        let error = (1.0 - at as f64 / (ALL + 1) as f64) / RATES[rate] - 1.0;
        ensure!(error.abs() < 0.001, "{} became {state}, which is {error:+.4} off", RATES[rate]);
        edges.extend([kept(rate, at, ""), gone(rate, at - 1, "")]);
    }
    sampled(&own, &edges).await?;
    own.stop().await?;
    held(format!("at and one below {}", states.join(", ")))
}

/// Each probability's `th`, as it is written on a trace that passes.
async fn written(subject: &Subject, rates: &[f64]) -> Result<Option<Vec<String>>> {
    let Some(own) = start(subject, Mode::Equalizing, rates).await? else { return Ok(None) };
    let probes: Vec<_> = (0..rates.len()).map(|rate| kept(rate, ALL, "")).collect();
    let states = sampled(&own, &probes).await?;
    own.stop().await?;
    Ok(Some(states))
}

async fn p3(subject: &Subject) -> Result<Found> {
    const VECTORS: [(f64, &str); 5] = [(1.0, "0"), (0.5, "8"), (0.25, "c"), (0.125, "e"), (0.0625, "f")];
    let Some(states) = written(subject, &VECTORS.map(|(rate, _)| rate)).await? else { return not_applicable(WHY) };
    for ((rate, wanted), state) in VECTORS.iter().zip(&states) {
        expect_th(&rate.to_string(), state, wanted)?;
    }
    held(states.join(", "))
}

async fn p4(subject: &Subject) -> Result<Found> {
    let Some(own) = start(subject, Mode::Proportional, &[0.5]).await? else { return not_applicable(WHY) };
    let states = sampled(&own, &[kept(0, ALL, "ot=th:8"), kept(0, ALL, "ot=th:08"), kept(0, ALL, "ot=th:fc")]).await?;
    own.stop().await?;
    for (state, wanted) in states.iter().zip(["c", "84", "fe"]) {
        expect_th("half of th:8, th:08 and th:fc", state, wanted)?;
    }
    held(format!("half of th:8, th:08 and th:fc: {}", states.join(", ")))
}

async fn p5(subject: &Subject) -> Result<Found> {
    const VECTORS: [(f64, &str); 3] = [(31.0 / 32.0, "08"), (255.0 / 256.0, "01"), (511.0 / 512.0, "008")];
    let Some(states) = written(subject, &VECTORS.map(|(rate, _)| rate)).await? else { return not_applicable(WHY) };
    for ((rate, wanted), state) in VECTORS.iter().zip(&states) {
        expect_th(&rate.to_string(), state, wanted)?;
    }
    held(states.join(", "))
}

fn p12(_: &Subject) -> Ready<Result<Found>> {
    ready(not_applicable("a sum that readers of th make: no server writes it"))
}

async fn p13(subject: &Subject) -> Result<Found> {
    // 2^-55 rather than 2^-56, which a percentage in 32 bits may fall below.
    let smallest = 2.0_f64.powi(-55);
    let Some(own) = start(subject, Mode::Equalizing, &[0.0, smallest]).await? else { return not_applicable(WHY) };
    let probes = [gone(0, ALL, ""), kept(1, ALL, ""), kept(1, ALL - 1, ""), gone(1, ALL - 2, "")];
    let states = sampled(&own, &probes).await?;
    own.stop().await?;
    expect_th("2^-55", &states[0], "fffffffffffffe")?;
    held("0 keeps no trace, and 2^-55 the last two of 2^56")
}

async fn p14(subject: &Subject) -> Result<Found> {
    /// One in so many, from the specification's table.
    const VECTORS: [(f64, &str); 8] = [
        (3.0, "aaab"),
        (5.0, "cccd"),
        (10.0, "e666"),
        (100.0, "fd70a"),
        (1_000.0, "ffbe77"),
        (10_000.0, "fff9724"),
        (100_000.0, "ffff583a"),
        (1_000_000.0, "ffffef39"),
    ];
    let rates = VECTORS.map(|(one_in, _)| 1.0 / one_in);
    let Some(states) = written(subject, &rates).await? else { return not_applicable(WHY) };
    for ((one_in, wanted), state) in VECTORS.iter().zip(&states) {
        expect_th(&format!("one in {one_in}"), state, wanted)?;
    }
    held(format!("{} vectors, from 1 in 3 to 1 in 1,000,000", VECTORS.len()))
}
