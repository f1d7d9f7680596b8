//! Probability sampling: what one sampler after another may do.

use super::sampler::{ALL, Probe, WHY, expect_th, gone, kept, left_to_it, sampled, start, sub_keys, th, threshold};
use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::own::{Mode, Own};
use anyhow::{Context as _, Result, ensure};

pub const ITEMS: &[Item] = &[
    item!("P6", Required, "rv is passed on unchanged; one that is malformed is not taken for randomness", p6),
    item!("P7", Required, "A sampler behind another only raises the threshold", p7),
    item!("P8", Required, "Equalizing: the higher of the two thresholds decides and is written", p8),
    item!("P9", Required, "Proportional: the product of both probabilities decides and is written", p9),
    item!("P10", Required, "th is written anew whenever the probability changes; other sub-keys stay", p10),
    item!("P11", Required, "A th that cannot be true does not leave", p11),
];

async fn p6(subject: &Subject) -> Result<Found> {
    const RV: &str = "rv:fedcba98765432";
    let Some(own) = start(subject, Mode::Equalizing, &[0.5]).await? else { return not_applicable(WHY) };
    let probes = [
        kept(0, 0, &format!("ot={RV}")),
        kept(0, 0, &format!("ot=th:4;{RV};x:y")),
        kept(0, ALL, ""),
        // Thirteen digits, fifteen, and upper case: the trace id speaks, and says no.
        gone(0, 0, "ot=rv:fffffffffffff"),
        gone(0, 0, "ot=rv:fffffffffffffff"),
        gone(0, 0, "ot=rv:FFFFFFFFFFFFFF"),
    ];
    let states = sampled(&own, &probes).await?;
    own.stop().await?;
    for state in &states[..2] {
        ensure!(sub_keys(state).contains(&RV), "{RV} is not in {state:?}");
    }
    ensure!(!states[2].contains("rv:"), "a trace whose id is its randomness got another: {}", states[2]);
    held(states.join(", "))
}

async fn p7(subject: &Subject) -> Result<Found> {
    const STATES: [&str; 5] = ["ot=th:0", "ot=th:4", "ot=th:8", "ot=th:c", "ot=th:fd70a"];
    let mut seen = Vec::new();
    for mode in [Mode::Equalizing, Mode::Proportional] {
        let Some(own) = start(subject, mode, &[0.5, 1.0]).await? else { return not_applicable(WHY) };
        let probes: Vec<Probe> = (0..2).flat_map(|rate| STATES.map(|state| kept(rate, ALL, state))).collect();
        let states = sampled(&own, &probes).await?;
        own.stop().await?;
        for (probe, state) in probes.iter().zip(&states) {
            let before = threshold(th(&probe.state)?.unwrap_or("0"))?;
            let after = threshold(th(state)?.with_context(|| format!("{} lost its th: {state:?}", probe.state))?)?;
            ensure!(after >= before, "{}: {} became {state}", mode.name(), probe.state);
            ensure!(probe.rate == 0 || after == before, "{} at 100 %: {} became {state}", mode.name(), probe.state);
        }
        seen.push(format!("{} 50 %: {}", mode.name(), states[..STATES.len()].join(", ")));
    }
    held(seen.join("; "))
}

/// Spans with a threshold, the edge at which they are kept now, and what leaves with them.
async fn edges(own: &Own, cases: &[(&str, u64, &str)]) -> Result<String> {
    let mut probes = Vec::new();
    for (state, edge, _) in cases {
        probes.push(kept(0, *edge, state));
        // Below what it came with it would not be here.
        let came = th(state)?.map(threshold).transpose()?.unwrap_or_default();
        probes.extend((*edge > came).then(|| gone(0, *edge - 1, state)));
    }
    let states = sampled(own, &probes).await?;
    for ((before, _, wanted), state) in cases.iter().zip(&states) {
        expect_th(before, state, wanted)?;
    }
    Ok(cases.iter().map(|(before, _, after)| format!("{before:?} → th:{after}")).collect::<Vec<_>>().join(", "))
}

async fn p8(subject: &Subject) -> Result<Found> {
    let Some(own) = start(subject, Mode::Equalizing, &[0.5]).await? else { return not_applicable(WHY) };
    let (half, three_quarters) = (threshold("8")?, threshold("c")?);
    let cases = [
        ("", half, "8"),
        ("ot=th:0", half, "8"),
        ("ot=th:4", half, "8"),
        ("ot=th:8", half, "8"),
        ("ot=th:c", three_quarters, "c"),
    ];
    let seen = edges(&own, &cases).await?;
    own.stop().await?;
    held(format!("50 %: {seen}"))
}

async fn p9(subject: &Subject) -> Result<Found> {
    let Some(own) = start(subject, Mode::Proportional, &[0.5]).await? else { return not_applicable(WHY) };
    let cases = [
        ("", threshold("8")?, "8"),
        ("ot=th:8", threshold("c")?, "c"),
        ("ot=th:c", threshold("e")?, "e"),
        ("ot=th:4", threshold("a")?, "a"),
    ];
    let seen = edges(&own, &cases).await?;
    // Half of 2^-56 is less than there is.
    sampled(&own, &[gone(0, ALL, "ot=th:ffffffffffffff")]).await?;
    own.stop().await?;
    held(format!("50 %: {seen}; of th:ffffffffffffff nothing is left"))
}

async fn p10(subject: &Subject) -> Result<Found> {
    let Some(own) = start(subject, Mode::Equalizing, &[0.25]).await? else { return not_applicable(WHY) };
    let probes =
        [kept(0, ALL, "a=1,ot=x:1;th:8;y:2,b=2"), kept(0, 0, "ot=th:8;rv:ffffffffffffff"), kept(0, ALL, "a=1,b=2")];
    let states = sampled(&own, &probes).await?;
    own.stop().await?;
    for (probe, state) in probes.iter().zip(&states) {
        expect_th(&probe.state, state, "c")?;
        let mut left = sub_keys(&probe.state).into_iter().filter(|part| !part.starts_with("th:"));
        ensure!(left.all(|part| sub_keys(state).contains(&part)), "{} became {state}", probe.state);
        let others = |state: &str| state.split(',').filter(|entry| !entry.trim().starts_with("ot=")).count();
        ensure!(others(&probe.state) == others(state), "{} became {state}", probe.state);
    }
    held(states.join(" | "))
}

async fn p11(subject: &Subject) -> Result<Found> {
    const FALSE: &str = "ot=th:c";
    let Some(own) = start(subject, Mode::Equalizing, &[0.5]).await? else { return not_applicable(WHY) };
    // Of a randomness below c, so that nobody can have kept it at th:c. What becomes of it is left to the sampler.
    let randomness = threshold("9")?;
    let mut seen = Vec::new();
    for state in [FALSE.to_owned(), format!("{FALSE};rv:90000000000000")] {
        let Some(after) = left_to_it(&own, &kept(0, randomness, &state)).await? else {
            seen.push(format!("{state} is dropped"));
            continue;
        };
        let left = th(&after)?.map(threshold).transpose()?;
        ensure!(left.is_none_or(|left| left <= randomness), "{state} became {after}");
        seen.push(format!("{state} becomes {after:?}"));
    }
    own.stop().await?;
    held(seen.join("; "))
}
