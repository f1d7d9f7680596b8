//! What the buffer takes of the machine, as the system counts it: no more than it may, and it is given back.

use super::{endless, everything, holds, send, setup};
use anyhow::{Context as _, Result};
use harness::memory::{self, Peak};
use harness::traces::{attribute, request};
use harness::{Behaviour, Sink, Trace, wait};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use std::time::Duration;

const MIB: u64 = 1 << 20;
const BUDGET: u64 = 128 * MIB;
/// What grows with a flood and is no part of the buffer: a request on its way in with what becomes of it, the queue with the batches that are sent
/// from it, what two mills and their plugins use again and again, code that is read in when it first runs, and what the allocator keeps between
/// what it was asked for.
const SLACK: u64 = 64 * MIB;
/// How often the flood is refused before it ends.
const REFUSALS: usize = 50;
/// How long all of it may take to leave, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Spans of a request.
const SPANS: u64 = 100;

/// Ten traces of ten spans, each of 4 KB that do not compress.
fn noise(number: u64, random: &mut SmallRng) -> Vec<Span> {
    let traces = number * 10..(number + 1) * 10;
    let mut spans: Vec<Span> = traces.flat_map(|number| Trace(number).spans(10)).collect();
    for span in &mut spans {
        let mut bytes = vec![0_u8; 4000];
        random.fill(&mut bytes[..]);
        span.attributes.push(attribute("noise", Value::BytesValue(bytes)));
    }
    spans
}

#[tokio::test]
async fn a_flood_makes_the_process_no_larger_than_the_budget_says_and_its_memory_is_given_back() -> Result<()> {
    let sink = Sink::start().await?;
    // Nothing leaves, so that the buffer is full to the end of the flood.
    sink.behave(Behaviour::Unavailable(None));
    setup(&sink, &everything())?
        .set("threads", 2)
        .set("tail", endless())
        .set("tail.memory", "128MiB")
        .set("export.sink.batch", json!({ "size": "256KiB" }))
        .set("export.sink.queue", json!({ "size": "1MiB" }))
        .set("export.sink.retry", json!({ "initial": "50ms", "max": "500ms" }))
        .run(async |proxy| {
            let process = proxy.id().context("it runs")?;
            let mut random = SmallRng::seed_from_u64(415);
            // Whatever is needed for the first request is there.
            send(proxy, noise(0, &mut random)).await?;
            holds(proxy, SPANS).await?;
            let (before, peak) = (memory::of(process)?.now, Peak::begin(process)?);
            let more = || memory::of(process).map(|memory| memory.now.saturating_sub(before));

            let (client, mut taken, mut refused) = (proxy.grpc(), SPANS, 0);
            for number in 1.. {
                match client.send(&request("shop", noise(number, &mut random))).await?.refusal() {
                    None => taken += SPANS,
                    Some(refusal) => {
                        assert!(refusal.is_retryable(), "{refusal:?}");
                        refused += 1;
                    }
                }
                if refused == REFUSALS {
                    break;
                }
                assert!(taken < 50_000, "128 MiB hold no 200 MB that do not compress");
            }
            let (most, full) = (peak.growth()?, more()?);
            println!("{taken} spans: {} MiB, {} MiB at most", full / MIB, most / MIB);
            assert!(most <= BUDGET + SLACK, "{} MiB more than before, at most", most / MIB);
            assert!(full > BUDGET / 2, "{} MiB more than before: where are the spans?", full / MIB);

            sink.behave(Behaviour::Accept);
            proxy.configure("tail.idle", json!("100ms"))?;
            let arrived = async || (sink.spans() >= taken).then_some(());
            wait::until_within(PATIENCE, "all that was taken to arrive", arrived).await?;
            holds(proxy, 0).await?;
            // Small traces go on coming: an allocator gives back while it works.
            let (mut number, mut left) = (1_000_000, full);
            let is_smaller = wait::until_within(PATIENCE, "memory to be given back", async || {
                number += 1;
                send(proxy, Trace(number).spans(1)).await.ok()?;
                left = more().ok()?;
                (left < full / 2).then_some(())
            });
            let is_smaller = is_smaller.await;
            is_smaller.with_context(|| format!("{} of {} MiB are left", left / MIB, full / MIB))
        })
        .await
}
