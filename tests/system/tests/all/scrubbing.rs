//! scrub-pii's corpora through the real host, where its vector instructions run and the host picks the spans that it is shown.

use anyhow::{Context as _, Result, ensure};
use harness::sink::Keep;
use harness::{Proxy, Sink};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;

const ALL: [&str; 11] =
    ["card", "email", "iban", "ipv4", "ipv6", "jwt", "phone", "query", "sql", "token", "url_password"];

/// Detectors whose findings have marks that the host looks for itself.
const WITH_EVIDENCE: [&str; 3] = ["email", "jwt", "url_password"];

/// One text of a corpus.
struct Sample {
    detector: &'static str,
    /// With `«…»` around what has to go, and blanks before it: so that texts begin at every place of a vector.
    line: String,
}

impl Sample {
    fn key(&self) -> &'static str {
        match self.detector {
            "sql" => "db.query.text",
            "query" => "url.full",
            _ => "message",
        }
    }

    fn text(&self) -> String {
        self.line.replace(['«', '»'], "")
    }

    /// Whether everything that was marked is gone, and nothing else.
    fn check(&self, arrived: &str) -> Result<()> {
        let mut pieces = self.line.split('«');
        let first = pieces.next().unwrap_or_default();
        let mut rest = arrived.strip_prefix(first).context("the beginning was changed")?;
        let mut pieces = pieces.peekable();
        while let Some(piece) = pieces.next() {
            let (marked, kept) = piece.split_once('»').context("marks come in pairs")?;
            let is_last = pieces.peek().is_none();
            let end = if is_last {
                rest.strip_suffix(kept).map(str::len)
            } else {
                rest.find(kept).filter(|_| !kept.is_empty())
            };
            let end = end.with_context(|| format!("{kept:?} was changed"))?;
            ensure!(!rest[..end].contains(marked), "{marked:?} is still there");
            rest = &rest[end + kept.len()..];
        }
        ensure!(self.line.contains('«') || rest.is_empty(), "something was added");
        Ok(())
    }
}

fn corpus(name: &str) -> Result<String> {
    let path = backends::root().join("plugins/scrub-pii/corpus").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The positives of the detectors, their negatives, and those that are nobody's in particular.
fn samples(detectors: &[&'static str]) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    let blanks = |number: usize| " ".repeat(number % 37);
    for &detector in detectors {
        let own = [corpus(&format!("{detector}.positive.txt"))?, corpus(&format!("{detector}.negative.txt"))?].concat();
        for (number, line) in own.lines().enumerate() {
            // A query begins where its text does.
            let before = if matches!(detector, "query" | "sql") { String::new() } else { blanks(number) };
            samples.push(Sample { detector, line: before + line });
        }
    }
    for (number, line) in corpus("negative.txt")?.lines().enumerate() {
        samples.push(Sample { detector: "negative", line: blanks(number) + line });
    }
    Ok(samples)
}

fn request(samples: &[Sample]) -> ExportTraceServiceRequest {
    let text = |text: String| Some(AnyValue { value: Some(Value::StringValue(text)) });
    let spans = samples.iter().enumerate().map(|(number, sample)| Span {
        trace_id: vec![7; 16],
        span_id: (number as u64 + 1).to_be_bytes().to_vec(),
        name: "work".to_owned(),
        attributes: vec![KeyValue { key: sample.key().to_owned(), value: text(sample.text()), ..Default::default() }],
        ..Default::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..Default::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..Default::default() }] }
}

async fn scrub(detectors: &[&'static str]) -> Result<()> {
    let samples = samples(detectors)?;
    let on: BTreeMap<_, _> = ALL.into_iter().map(|name| (name, detectors.contains(&name))).collect();
    let sink = Sink::keeping(Keep::Requests).await?;
    let setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .plugin("50-plugin", "scrub-pii")?
        .sidecar("50-plugin", &json!({ "settings": { "detectors": on } }))?;
    setup
        .run(async |proxy| {
            let answer = proxy.grpc().send(&request(&samples)).await?;
            ensure!(answer.is_whole(), "{answer:?}");
            sink.wait_for_spans(samples.len() as u64).await?;
            proxy.settled().await?;
            let arrived: BTreeMap<_, _> = sink.arrivals(|arrivals| {
                let owners = arrivals.requests.iter().flat_map(|request| &request.resource_spans);
                let spans = owners.flat_map(|owner| &owner.scope_spans).flat_map(|scope| &scope.spans);
                spans.map(|span| (span.span_id.clone(), span.attributes.clone())).collect()
            });
            for (number, sample) in samples.iter().enumerate() {
                let attributes = &arrived[(number as u64 + 1).to_be_bytes().as_slice()];
                let value = attributes.first().and_then(|entry| entry.value.as_ref()?.value.as_ref());
                let Some(Value::StringValue(text)) = value else { anyhow::bail!("{attributes:?} instead of a text") };
                sample
                    .check(text)
                    .with_context(|| format!("{}: {:?} became {text:?}", sample.detector, sample.line))?;
            }
            for detector in ALL {
                let counted = count(proxy, detector).await?;
                ensure!((counted > 0) == detectors.contains(&detector), "{detector} is counted {counted} times");
            }
            Ok(())
        })
        .await
}

/// How often a detector has changed something.
async fn count(proxy: &Proxy, detector: &str) -> Result<u64> {
    let labels = [("plugin", "plugin"), ("name", detector)];
    Ok(proxy.metrics().await?.sum("tracemill_plugin_custom_total", &labels) as u64)
}

#[tokio::test]
async fn what_the_corpora_mark_is_gone_and_nothing_else() -> Result<()> {
    scrub(&ALL).await
}

#[tokio::test]
async fn the_host_leaves_out_no_span_that_holds_what_is_looked_for() -> Result<()> {
    scrub(&WITH_EVIDENCE).await
}

#[tokio::test]
async fn what_was_hidden_is_counted_by_detector() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).plugin("50-plugin", "scrub-pii")?;
    let texts = ["jane@example.com to john@example.org", "call +49 30 901820", "nothing", "DE89370400440532013000"];
    let samples = texts.map(|text| Sample { detector: "negative", line: text.to_owned() });
    setup
        .run(async |proxy| {
            ensure!(proxy.grpc().send(&request(&samples)).await?.is_whole());
            proxy.settled().await?;
            for detector in ALL {
                let expected = match detector {
                    "email" => 2,
                    "phone" | "iban" => 1,
                    _ => 0,
                };
                assert_eq!(count(proxy, detector).await?, expected, "{detector}");
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn spans_on_which_it_fails_are_refused_unless_the_sidecar_says_otherwise() -> Result<()> {
    for (sidecar, expected) in [(json!({}), "reject"), (json!({ "on_error": "pass" }), "pass")] {
        let sink = Sink::start().await?;
        let setup = Proxy::setup()?.export_grpc("sink", &sink).plugin("50-plugin", "scrub-pii")?;
        let setup = if sidecar == json!({}) { setup } else { setup.sidecar("50-plugin", &sidecar)? };
        setup
            .run(async |proxy| {
                let status = proxy.plugin_status().await?;
                let stage = system::stage(&status, "plugin").context("it is a stage")?;
                assert_eq!(stage["on_error"], expected, "{status:#}");
                Ok(())
            })
            .await?;
    }
    Ok(())
}
