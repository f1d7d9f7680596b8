//! Limits and rates in the real host: they hold for the process, whatever number of threads decides.

use super::{holds, insist, setup};
use anyhow::Result;
use harness::sink::Keep;
use harness::traces::arrived;
use harness::{Proxy, Sink, Trace};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;
use std::time::Instant;

const THREADS: u32 = 4;
const PER_REQUEST: u64 = 500;

/// The root alone of a trace. Its randomness is spread as evenly as can be: of any that come one after another, a share is that share of
/// their number.
fn root(number: u64) -> Span {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Span { trace_id: [number.to_be_bytes(), spread.to_be_bytes()].concat(), ..Trace(number).span(0) }
}

/// Sends the roots of so many traces, as fast as they are taken, and waits until all are decided.
async fn flood(proxy: &Proxy, traces: u64) -> Result<()> {
    let sender = async |first: u64| {
        for request in (first..traces / PER_REQUEST).step_by(4) {
            let numbers = 1 + request * PER_REQUEST..=(request + 1) * PER_REQUEST;
            insist(proxy, numbers.map(root).collect()).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(sender(0), sender(1), sender(2), sender(3))?;
    holds(proxy, 0).await
}

#[tokio::test]
async fn a_rate_limit_holds_for_all_threads_together() -> Result<()> {
    const TRACES: u64 = 20_000;
    let sink = Sink::start().await?;
    let limit = json!({ "spans_per_second": 100, "burst_capacity": 200 });
    setup(&sink, &json!([{ "name": "limit", "type": "rate_limiting", "rate_limiting": limit }]))?
        .set("threads", THREADS)
        .run(async |proxy| {
            let begun = Instant::now();
            flood(proxy, TRACES).await?;
            let most = 200.0 + 100.0 * begun.elapsed().as_secs_f64();
            let door = proxy.settled().await?.door;
            assert_eq!(door.admitted + door.dropped, TRACES);
            assert!(door.admitted >= 200 && door.admitted as f64 <= most, "{} of {most}", door.admitted);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn what_a_budget_keeps_stands_for_all_that_were_sent() -> Result<()> {
    const TRACES: u64 = 60_000;
    let sink = Sink::keeping(Keep::Requests).await?;
    let budget = json!({ "per_second": 250, "adjustment_interval": "1s" });
    setup(&sink, &json!([{ "name": "budget", "type": "budget", "budget": budget }]))?
        .set("threads", THREADS)
        .run(async |proxy| {
            flood(proxy, TRACES).await?;
            proxy.settled().await?;
            let kept = sink.arrivals(arrived);
            let counts = || kept.values().flatten().map(|span| adjusted_count(&span.trace_state));
            let counted: f64 = counts().sum();
            // Each is kept or not by chance: five times what that lets the sum be off by, once in millions of runs.
            let chance = counts().map(|count| count * (count - 1.0)).sum::<f64>().sqrt();
            let off = (counted - TRACES as f64).abs();
            assert!(
                off <= 5.0 * chance && chance < TRACES as f64 / 10.0,
                "{counted} of {TRACES} are counted, from {}",
                kept.len()
            );
            assert!((kept.len() as u64) < TRACES / 10 * 9, "{} of {TRACES} are kept", kept.len());
            Ok(())
        })
        .await
}

/// How many stand behind a span with this trace state: 2^56 / (2^56 - T).
fn adjusted_count(state: &str) -> f64 {
    let Some(digits) = state.strip_prefix("ot=th:") else { return 1.0 };
    let threshold = u64::from_str_radix(&format!("{digits:0<14}"), 16).expect("hexadecimal digits");
    let all = (1u64 << 56) as f64;
    all / (all - threshold as f64)
}
