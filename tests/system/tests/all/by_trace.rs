//! A tracemill that shares traces out among others, of which one goes and one comes.

use anyhow::{Context as _, Result, ensure};
use harness::sink::Keep;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, fetch, wait};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Traces of twenty spans whose spans are scattered over requests, so that hardly any two of one come together.
fn scattered(generator: &mut Generator, spans: usize, requests: usize) -> Vec<ExportTraceServiceRequest> {
    let mut whole = generator.request(spans).request;
    let all: Vec<Span> = std::mem::take(&mut whole.resource_spans[0].scope_spans[0].spans);
    let part = |first: usize| {
        let mut part = whole.clone();
        part.resource_spans[0].scope_spans[0].spans = all.iter().skip(first).step_by(requests).cloned().collect();
        part
    };
    (0..requests).map(part).collect()
}

fn spans(requests: &[ExportTraceServiceRequest]) -> impl Iterator<Item = &Span> {
    let scopes = requests.iter().flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans)
}

/// By trace, its spans.
type Traces = BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>;

fn traces(requests: &[ExportTraceServiceRequest]) -> Traces {
    let mut traces = Traces::new();
    for span in spans(requests) {
        traces.entry(span.trace_id.clone()).or_default().insert(span.span_id.clone());
    }
    traces
}

/// A tracemill of the second tier, and what leaves it.
struct Tail {
    proxy: Proxy,
    sink: Sink,
}

impl Tail {
    async fn start() -> Result<Self> {
        let sink = Sink::keeping(Keep::Requests).await?;
        let proxy = Proxy::setup()?.export_grpc("back", &sink).set("export.back.batch.timeout", "10ms").start().await?;
        Ok(Self { proxy, sink })
    }

    fn url(&self) -> String {
        format!("http://{}", self.proxy.ports().grpc)
    }

    fn traces(&self) -> Traces {
        self.sink.arrivals(|arrivals| traces(&arrivals.requests))
    }
}

/// How many different spans have arrived at all of them.
fn arrived(tails: &[&Tail]) -> usize {
    let mut all = BTreeSet::new();
    for tail in tails {
        all.extend(tail.traces().into_values().flatten());
    }
    all.len()
}

async fn until_arrived(tails: &[&Tail], spans: usize) -> Result<()> {
    let waited = wait::until("all spans to arrive", async || (arrived(tails) >= spans).then_some(())).await;
    waited.with_context(|| format!("{} of {spans} arrived", arrived(tails)))
}

#[tokio::test]
async fn traces_arrive_whole_and_nothing_is_lost_while_one_goes_and_one_comes() -> Result<()> {
    for mode in ["memory", "durable"] {
        let folder = tempfile::tempdir()?;
        let queue = match mode {
            "memory" => json!({}),
            _ => json!({ "mode": mode, "folder": folder.path() }),
        };
        let (one, two, mut dies) = (Tail::start().await?, Tail::start().await?, Tail::start().await?);
        let setup = Proxy::setup()?.set(
            "export.tail",
            json!({ "grpc": [one.url(), two.url(), dies.url()], "route_by": "trace", "queue": queue,
                "batch": { "timeout": "10ms" }, "retry": { "max": "1s" } }),
        );
        setup
            .run(async |front| {
                let mut generator = Generator::new(Profile::Small, 141).mix(Mix::PLAIN).traces_of(20);
                let mut sent = Vec::new();
                let client = front.grpc();
                let mut send = async |requests: Vec<ExportTraceServiceRequest>| -> Result<()> {
                    for request in requests {
                        ensure!(client.send(&request).await?.is_whole());
                        sent.push(request);
                    }
                    Ok(())
                };

                // Nobody goes, nobody comes: every trace is whole at one of them.
                send(scattered(&mut generator, 2000, 20)).await?;
                until_arrived(&[&one, &two, &dies], 2000).await?;
                let stayed = [one.traces(), two.traces()];
                let theirs = dies.traces();
                assert!(theirs.len() > 10 && stayed.iter().all(|traces| traces.len() > 10), "{mode}");

                // One dies. What is for it waits; the others have theirs at once.
                dies.proxy.kill().await?;
                send(scattered(&mut generator, 2000, 20)).await?;
                let is_so = |status: &Value| {
                    let endpoints = &status["destinations"][0]["endpoints"];
                    let (up, down) = (&endpoints[0], &endpoints[2]);
                    let is_up = up["last_error"].is_null() && up["queue_bytes"] == 0;
                    is_up && down["last_error"].is_string() && down["queue_bytes"].as_u64() > Some(0)
                };
                let waiting = async || fetch::json(&front.admin("/status")).await.ok().filter(|status| is_so(status));
                wait::until("the status to say who fails and that others do not wait for it", waiting).await?;

                // Another takes its place, in the middle of more.
                let comes = Tail::start().await?;
                let mut more = scattered(&mut generator, 2000, 20);
                let late = more.split_off(10);
                send(more).await?;
                front.configure("export.tail.grpc", json!([one.url(), two.url(), comes.url()]))?;
                let is_known = async || {
                    let status = fetch::json(&front.admin("/status")).await.ok()?;
                    status["destinations"][0]["endpoints"].to_string().contains(&comes.url()).then_some(())
                };
                wait::until("the reload", is_known).await?;
                send(late).await?;
                send(scattered(&mut generator, 2000, 20)).await?;
                until_arrived(&[&one, &two, &dies, &comes], 8000).await?;

                // Whatever the two that stayed had from the start they have whole, and nobody else has any of it.
                let sent = traces(&sent);
                for (before, tail) in stayed.iter().zip([&one, &two]) {
                    let now = tail.traces();
                    for trace in before.keys() {
                        assert_eq!(now[trace], sent[trace], "{mode}");
                        assert!(!comes.traces().contains_key(trace), "{mode}");
                    }
                }
                // Only traces of the one that went may be in two places.
                let places = |trace: &Vec<u8>| {
                    [&one, &two, &comes].iter().filter(|tail| tail.traces().contains_key(trace)).count()
                };
                let torn = sent.keys().filter(|trace| !theirs.contains_key(*trace) && places(trace) > 1).count();
                assert!(torn * 4 < sent.len(), "{mode}: {torn} of {}", sent.len());
                assert!(comes.traces().len() > 10, "{mode}");
                front.settled().await?;
                Ok(())
            })
            .await?;
        for mut tail in [one, two] {
            tail.proxy.stop().await?;
        }
    }
    Ok(())
}
