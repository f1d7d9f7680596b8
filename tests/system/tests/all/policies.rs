//! A block of policies decides in tracemill as it does in the Collector that it was pasted from: the same traffic through a real Collector and
//! through tracemill, and the same traces are kept.
//!
//! The Collector takes minutes to build, so this belongs to `cargo xtask test --full`.

mod cases;
mod traffic;

use anyhow::{Context as _, Result, ensure};
use cases::Case;
use harness::sink::Keep;
use harness::traces::arrived;
use harness::{Client, Collector, Protocol, Proxy, Sink};
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use traffic::Traffic;

/// By trace id, its spans.
type Kept = BTreeMap<Vec<u8>, Vec<Span>>;

/// With it the Collector goes by the randomness of the specification where spans say something of sampling.
const GATE: &str = "--feature-gates=+processor.tailsamplingprocessor.usetracestate";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask test --full"]
async fn policies_keep_what_the_collector_keeps() -> Result<()> {
    let traffic = Traffic::new(20_261);
    let cases = cases::all();
    let theirs = collector(&cases, &traffic).await?;
    let mut wrong = Vec::new();
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = tracemill(case, &traffic).await.with_context(|| case.name.to_owned())?;
        let compared = |id: &&Vec<u8>| case.compares(&traffic, id);
        let [ours_kept, theirs_kept] =
            [&ours, theirs].map(|kept| kept.keys().filter(compared).cloned().collect::<BTreeSet<_>>());
        eprintln!("{}: {} traces kept, {} of them compared", case.name, ours.len(), ours_kept.len());
        if case.is_selective && (ours.is_empty() || ours.len() == traffic.traces.len()) {
            wrong.push(format!("{}: {} traces kept: this tells nothing", case.name, ours.len()));
        }
        for (who, id) in ours_kept
            .difference(&theirs_kept)
            .map(|id| ("only tracemill keeps", id))
            .chain(theirs_kept.difference(&ours_kept).map(|id| ("only the Collector keeps", id)))
            .take(3)
        {
            wrong.push(format!("{}: {who} {:#?}", case.name, traffic.traces[id]));
        }
        wrong.extend(ours_kept.iter().filter_map(|id| partial(case, &ours[id], &traffic.traces[id])));
        if case.is_share {
            wrong.extend(shares(case, &traffic, &ours, theirs));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What is kept is kept whole.
fn partial(case: &Case, kept: &[Span], sent: &[Span]) -> Option<String> {
    let ids = |spans: &[Span]| spans.iter().map(|span| span.span_id.clone()).collect::<BTreeSet<_>>();
    let is_whole = kept.len() == sent.len() && ids(kept) == ids(sent);
    (!is_whole).then(|| format!("{}: {} of {} spans were kept of {sent:#?}", case.name, kept.len(), sent.len()))
}

/// Of a share: tracemill goes by the specification for all traces, both keep about the same of the others, and both write the same thresholds.
fn shares(case: &Case, traffic: &Traffic, ours: &Kept, theirs: &Kept) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, spans) in &traffic.traces {
        let expected = traffic::randomness(spans) >= cases::THRESHOLD;
        if ours.contains_key(id) != expected {
            wrong.push(format!("{}: R >= T is {expected}, but of {spans:#?}", case.name));
        }
    }
    let uninformed = |kept: &Kept| kept.keys().filter(|id| !traffic.informed.contains(*id)).count() as f64;
    let all = (traffic.traces.len() - traffic.informed.len()) as f64;
    for (who, kept) in [("tracemill", ours), ("the Collector", theirs)] {
        let share = uninformed(kept) / all;
        if !(cases::SHARE - 0.06..cases::SHARE + 0.06).contains(&share) {
            wrong.push(format!("{}: {who} keeps {share} of the traces that say nothing of sampling", case.name));
        }
    }
    let state = |kept: &Kept, id: &Vec<u8>| kept[id].iter().map(traffic::threshold).collect::<BTreeSet<_>>();
    for id in ours.keys().filter(|id| theirs.contains_key(*id) && traffic.informed.contains(*id)) {
        let (ours, theirs) = (state(ours, id), state(theirs, id));
        if ours != theirs {
            wrong.push(format!("{}: tracemill writes {ours:?}, the Collector {theirs:?}", case.name));
        }
    }
    wrong.truncate(3);
    wrong
}

/// What the Collector keeps, for each case: each has a pipeline of its own. It waits for no trace, and decides all when it ends.
async fn collector(cases: &[Case], traffic: &Traffic) -> Result<Vec<Kept>> {
    let binary = backends::collector()?.or_fail("the Collector's side")?;
    let mut sinks = Vec::new();
    let (mut processors, mut exporters, mut pipelines) = (json!({ "batch": {} }), json!({}), json!({}));
    for (number, case) in cases.iter().enumerate() {
        let sink = Sink::keeping(Keep::Requests).await?;
        let [processor, exporter] = [format!("tail_sampling/{number}"), format!("otlp_http/{number}")];
        processors[&processor] = json!({ "decision_wait": "1h", "policies": case.collector });
        exporters[&exporter] = json!({ "endpoint": sink.url(), "compression": "none", "tls": { "insecure": true } });
        pipelines[format!("traces/{number}")] =
            json!({ "receivers": ["otlp"], "processors": [processor, "batch"], "exporters": [exporter] });
        sinks.push(sink);
    }
    let config = json!({
        "receivers": { "otlp": { "protocols": { "grpc": {}, "http": {} } } },
        "processors": processors,
        "exporters": exporters,
        "service": {
            "telemetry": { "metrics": { "level": "none" }, "logs": { "level": "warn" } },
            "pipelines": pipelines,
        },
    });
    let mut collector = Collector::start_with(&binary, config, &[GATE]).await?;
    let client = Client::new(Protocol::Grpc, collector.grpc());
    for request in &traffic.requests {
        let answer = client.send(request).await?;
        ensure!(answer.is_whole(), "the Collector: {answer:?}\n{}", collector.log());
    }
    collector.signal(Signal::SIGTERM)?;
    let status = collector.ended().await?;
    ensure!(status.success(), "the Collector ended with {status}: {}", collector.log());
    Ok(sinks.iter().map(|sink| sink.arrivals(arrived)).collect())
}

/// What tracemill keeps. It waits for no trace either.
async fn tracemill(case: &Case, traffic: &Traffic) -> Result<Kept> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let sidecar: Value = json!({ "settings": { "policies": case.tracemill } });
    Proxy::setup()?
        .export_grpc("sink", &sink)
        .set("tail", json!({ "root_delay": "1h", "idle": "1h", "longest": "1h" }))
        .plugin("90-tail-sample", "tail-sample")?
        .sidecar("90-tail-sample", &sidecar)?
        .run(async |proxy| {
            let client = proxy.grpc();
            for request in &traffic.requests {
                let answer = client.send(request).await?;
                ensure!(answer.is_whole(), "{answer:?}");
            }
            ensure!(proxy.stop().await?.success(), "not everything was delivered");
            Ok(())
        })
        .await?;
    Ok(sink.arrivals(arrived))
}
