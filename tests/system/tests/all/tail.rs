//! Whole traces are decided: the real trace buffer with the real sampler `tail-sample`.
#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod changes;
mod crashes;
mod decisions;
mod pressure;
mod rates;
mod resident;

use anyhow::{Context as _, Result, ensure};
use harness::proxy::Setup;
use harness::traces::{arrived, request};
use harness::{Answer, Proxy, Sink, wait};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The sampler in the plugin folder, and what its stage is called.
const FILE: &str = "90-tail-sample";
const SAMPLER: &str = "tail-sample";

const HELD: &str = "tracemill_tail_held_spans";
const DECISIONS: &str = "tracemill_tail_decisions_total";
const DROPPED: &str = "tracemill_dropped_spans_total";

/// A proxy that samples by these policies, and waits no longer for traces than a test should.
fn setup(sink: &Sink, policies: &Value) -> Result<Setup> {
    let waits = json!({ "root_delay": "200ms", "idle": "500ms" });
    let setup = Proxy::setup()?.export_grpc("sink", sink).set("export.sink.batch.timeout", "10ms").set("tail", waits);
    setup.plugin(FILE, SAMPLER)?.sidecar(FILE, &settings(policies))
}

/// Waits that no test outlasts: what is decided meanwhile is decided for another reason.
fn endless() -> Value {
    json!({ "root_delay": "1h", "idle": "1h", "longest": "1h" })
}

fn settings(policies: &Value) -> Value {
    json!({ "settings": { "policies": policies } })
}

fn errors() -> Value {
    json!([{ "name": "errors", "type": "status_code", "status_code": { "status_codes": ["ERROR"] } }])
}

fn everything() -> Value {
    json!([{ "name": "everything", "type": "always_sample" }])
}

/// Sends spans of one service in one request, all of which have to be taken.
async fn send(proxy: &Proxy, spans: Vec<Span>) -> Result<()> {
    let answer = proxy.grpc().send(&request("shop", spans)).await?;
    ensure!(answer.is_whole(), "not taken: {answer:?}");
    Ok(())
}

/// The same, again and again while it is refused for now. Answers how often it was.
async fn insist(proxy: &Proxy, spans: Vec<Span>) -> Result<usize> {
    let (client, request) = (proxy.grpc(), request("shop", spans));
    let mut refused = 0;
    let taken = wait::until("the spans to be taken", async || match client.send(&request).await {
        Ok(Answer::Refused(refusal)) if refusal.is_retryable() => {
            refused += 1;
            None
        }
        Ok(answer) => Some(answer.is_whole()),
        Err(_) => Some(false),
    });
    ensure!(taken.await?, "refused for good");
    Ok(refused)
}

/// Waits until so many spans are in the buffer.
async fn holds(proxy: &Proxy, spans: u64) -> Result<()> {
    let mut last = 0.0;
    let waited = wait::until("the buffer's spans", async || {
        last = proxy.metrics().await.ok()?.sum(HELD, &[]);
        (last == spans as f64).then_some(())
    });
    let waited = waited.await;
    waited.with_context(|| format!("{last} of {spans} spans are held"))
}

async fn held(proxy: &Proxy) -> Result<f64> {
    Ok(proxy.metrics().await?.sum(HELD, &[]))
}

/// Which spans have arrived of which trace, by their names; an error if one came twice.
fn names(sink: &Sink) -> Result<BTreeMap<Vec<u8>, BTreeSet<String>>> {
    let name = |traces: BTreeMap<Vec<u8>, Vec<Span>>| {
        traces
            .into_iter()
            .map(|(id, spans)| {
                let names: BTreeSet<String> = spans.iter().map(|span| span.name.clone()).collect();
                ensure!(names.len() == spans.len(), "spans came twice: {spans:?}");
                Ok((id, names))
            })
            .collect()
    };
    name(sink.arrivals(arrived))
}

fn steps<const COUNT: usize>(numbers: [u16; COUNT]) -> BTreeSet<String> {
    numbers.iter().map(|number| format!("step {number}")).collect()
}
