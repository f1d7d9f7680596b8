//! The client side: what is sent again, and when.

use super::client::{INITIAL, WHY, are_given_up, gaps, is_sent_again, send_in, start, times};
use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::own::Over;
use crate::raw::grpc::{INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE};
use anyhow::{Result, ensure};
use harness::Behaviour;
use harness::sink::After;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub const ITEMS: &[Item] = &[
    item!("E1", Advised, "gRPC: sent again on the six passing codes, on RESOURCE_EXHAUSTED only with RetryInfo", e1),
    item!("E2", Advised, "RetryInfo's delay is waited out, and backoff goes on from there", e2),
    item!(
        "E3",
        Required,
        "HTTP: sent again on 429, 502, 503, 504 and lost connections only; Retry-After in seconds and as a date",
        e3
    ),
    item!("E4", Advised, "Exponential backoff with random jitter", e4),
];

/// `CANCELLED`, `DEADLINE_EXCEEDED`, `ABORTED`, `OUT_OF_RANGE`, `UNAVAILABLE`, `DATA_LOSS`.
const PASSING: [i32; 6] = [1, 4, 10, 11, 14, 15];
const LAST_CODE: i32 = 16;

fn refuse(grpc: i32, http: u16, after: Option<After>) -> Behaviour {
    Behaviour::Refuse { grpc, http, after }
}

async fn e1(subject: &Subject) -> Result<Found> {
    let Some(own) = start(subject, Over::Grpc).await? else { return not_applicable(WHY) };
    let for_good: Vec<_> = (1..=LAST_CODE).filter(|code| !PASSING.contains(code)).collect();
    let answers = for_good.iter().map(|code| (format!("code {code}"), refuse(*code, 500, None)));
    are_given_up(&own, answers.collect()).await?;
    for code in PASSING {
        is_sent_again(&own, &format!("code {code}"), refuse(code, 503, None)).await?;
    }
    let soon = Some(After::Delay(INITIAL));
    is_sent_again(&own, "RESOURCE_EXHAUSTED with RetryInfo", refuse(RESOURCE_EXHAUSTED, 429, soon)).await?;
    own.stop().await?;
    held(format!("sent again on {PASSING:?} and on 8 with RetryInfo; not on {for_good:?}"))
}

async fn e2(subject: &Subject) -> Result<Found> {
    const ASKED: Duration = Duration::from_millis(700);
    let Some(own) = start(subject, Over::Grpc).await? else { return not_applicable(WHY) };
    own.sink.behave(refuse(UNAVAILABLE, 503, Some(After::Delay(ASKED))));
    let ids = send_in(&own).await?;
    times(&own.sink, &ids, 1).await?;
    own.sink.behave(refuse(UNAVAILABLE, 503, None));
    let gaps = gaps(&times(&own.sink, &ids, 4).await?);
    own.stop().await?;
    ensure!(gaps[0] >= ASKED, "{ASKED:?} were asked for, and it came after {:?}", gaps[0]);
    let least = INITIAL.mul_f64(0.4);
    ensure!(gaps[1..].iter().all(|gap| *gap >= least), "without backoff: {gaps:?}");
    held(format!("asked for {ASKED:?}: it came after {}", shown(&gaps)))
}

fn shown(gaps: &[Duration]) -> String {
    gaps.iter().map(|gap| format!("{} ms", gap.as_millis())).collect::<Vec<_>>().join(", ")
}

async fn e3(subject: &Subject) -> Result<Found> {
    const FOR_GOOD: [u16; 10] = [400, 401, 403, 404, 405, 413, 415, 500, 501, 505];
    const PASSING: [u16; 4] = [429, 502, 503, 504];
    let Some(own) = start(subject, Over::Http("")).await? else { return not_applicable(WHY) };
    let answers = FOR_GOOD.map(|status| (format!("HTTP {status}"), refuse(INVALID_ARGUMENT, status, None)));
    are_given_up(&own, answers.to_vec()).await?;
    for status in PASSING {
        is_sent_again(&own, &format!("HTTP {status}"), refuse(UNAVAILABLE, status, None)).await?;
    }
    is_sent_again(&own, "a lost connection", Behaviour::Break).await?;
    let asked = Duration::from_secs(1);
    let seen = is_sent_again(&own, "Retry-After: 1", refuse(UNAVAILABLE, 503, Some(After::Delay(asked)))).await?;
    let waited = seen[1] - seen[0];
    ensure!(waited >= asked, "Retry-After: 1, and it came after {waited:?}");
    // A date knows whole seconds only: this one is between one and two away.
    let asked_at = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let left = Duration::from_secs(now.as_secs() + 2).saturating_sub(now);
    let due = asked_at + left;
    let date = UNIX_EPOCH + now + left;
    let seen = is_sent_again(&own, "a date", refuse(UNAVAILABLE, 503, Some(After::Date(date)))).await?;
    // Clocks of two processes on one machine are one clock, but for roundings.
    ensure!(seen[1] + Duration::from_millis(5) >= due, "it came {:?} before the date in Retry-After", due - seen[1]);
    own.stop().await?;
    held(format!(
        "sent again on {PASSING:?} and when broken off, not on {FOR_GOOD:?}; seconds and dates are waited for"
    ))
}

async fn e4(subject: &Subject) -> Result<Found> {
    const SPANS: usize = 4;
    const GAPS: usize = 4;
    let Some(own) = start(subject, Over::Grpc).await? else { return not_applicable(WHY) };
    own.sink.behave(Behaviour::Unavailable(None));
    let mut sent = Vec::new();
    for _ in 0..SPANS {
        sent.push(send_in(&own).await?);
    }
    let mut all = Vec::new();
    for ids in &sent {
        all.push(gaps(&times(&own.sink, ids, GAPS + 1).await?));
    }
    own.stop().await?;
    let at = |gap: usize| all.iter().map(move |gaps| gaps[gap].as_secs_f64());
    let mean = |gap| at(gap).sum::<f64>() / SPANS as f64;
    let (first, last) = (mean(0), mean(GAPS - 1));
    let seen = all.iter().map(|gaps| shown(&gaps[..GAPS])).collect::<Vec<_>>().join(" | ");
    ensure!(last > 1.5 * first, "it does not grow: {seen}");
    // A tenth is more than what timers and threads are late.
    let spread = |gap| at(gap).fold(0.0, f64::max) - at(gap).fold(f64::INFINITY, f64::min);
    ensure!((1..GAPS).any(|gap| spread(gap) > 0.1 * mean(gap)), "all wait alike: {seen}");
    held(seen)
}
