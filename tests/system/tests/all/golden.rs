//! The official plugins' golden cases, which their own tests run natively, through the real host.

mod convert;

use anyhow::{Context as _, Result, ensure};
use harness::sink::Keep;
use harness::{Client, Proxy, Sink};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use tracemill_sdk::testing::{Case, Expected, Span};

/// The golden cases of a plugin, with the files they are from.
fn cases(plugin: &str) -> Result<Vec<(PathBuf, Case)>> {
    let folder = backends::root().join("plugins").join(plugin).join("tests/cases");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    ensure!(!files.is_empty(), "no golden cases in {}", folder.display());
    let read = |path: PathBuf| {
        let mut case = Case::from_json(&fs::read_to_string(&path)?).map_err(anyhow::Error::msg)?;
        leave_out_what_passes_no_door(&mut case);
        Ok((path, case))
    };
    files.into_iter().map(read).collect()
}

/// Where a case tells spans with a trace id from those without, the latter never reach a plugin in the host.
fn leave_out_what_passes_no_door(case: &mut Case) {
    if case.spans.iter().all(|span| span.trace_id.is_empty()) {
        return;
    }
    let known: Vec<bool> = case.spans.iter().map(|span| !span.trace_id.is_empty()).collect();
    let mut known_spans = known.iter();
    case.spans.retain(|_| known_spans.next() == Some(&true));
    let mut known_expectations = known.iter();
    case.expected.retain(|_| known_expectations.next() == Some(&true));
}

async fn through_the_host(plugin: &str) -> Result<()> {
    for (path, case) in cases(plugin)? {
        eprintln!("{}: {}", path.display(), case.about);
        run(plugin, &case).await.with_context(|| format!("{}: {}", path.display(), case.about))?;
    }
    Ok(())
}

async fn run(plugin: &str, case: &Case) -> Result<()> {
    let sink = Sink::keeping(Keep::Requests).await?;
    let mut setup = Proxy::setup()?
        .export_grpc("sink", &sink)
        .plugin("50-plugin", plugin)?
        .sidecar("50-plugin", &json!({ "settings": case.settings }))?;
    for (name, rows) in &case.tables {
        let file = setup.folder().join(format!("{name}.json"));
        fs::write(&file, rows.to_string())?;
        setup = setup.set(&format!("tables.{name}.file"), file.to_string_lossy());
    }
    setup
        .run(async |proxy| {
            let spans: Vec<Span> =
                case.spans.iter().enumerate().map(|(number, span)| convert::with_ids(span, number)).collect();
            for request in convert::requests(&spans) {
                let mut client: Client = proxy.grpc();
                for (name, value) in &request.headers {
                    client = client.header(name, value)?;
                }
                let answer = client.send(&request.message).await?;
                ensure!(answer.is_whole(), "{answer:?}");
            }
            let kept = case.expected.iter().filter(|expected| !matches!(expected, Expected::Dropped(_))).count();
            sink.wait_for_spans(kept as u64).await?;
            proxy.settled().await?;
            let arrived = sink.arrivals(|arrivals| {
                convert::spans(&ExportTraceServiceRequest {
                    resource_spans: arrivals
                        .requests
                        .iter()
                        .flat_map(|request| request.resource_spans.clone())
                        .collect(),
                })
            });
            compare(case, &spans, &arrived)?;
            compare_reasons(proxy, case).await
        })
        .await
}

fn compare(case: &Case, sent: &[Span], arrived: &[Span]) -> Result<()> {
    let mut expected_count = 0;
    for (number, sent) in sent.iter().enumerate() {
        let found = arrived.iter().find(|span| span.span_id == sent.span_id);
        let Some(expected) = case.expected_span(number) else {
            ensure!(found.is_none(), "span {number} was to be dropped");
            continue;
        };
        expected_count += 1;
        let expected =
            Span { request: tracemill_sdk::testing::Request::default(), ..convert::with_ids(&expected, number) };
        let found = found.with_context(|| format!("span {number} did not arrive"))?;
        ensure!(*found == expected, "span {number}\n  expected {}\n  actual   {}", show(&expected), show(found));
    }
    ensure!(arrived.len() == expected_count, "{} spans arrived, {expected_count} were expected", arrived.len());
    Ok(())
}

/// The reasons of drops are counted as the case says.
async fn compare_reasons(proxy: &Proxy, case: &Case) -> Result<()> {
    let metrics = proxy.metrics().await?;
    for expected in &case.expected {
        let Expected::Dropped(reason) = expected else { continue };
        let same = case.expected.iter().filter(|other| *other == expected).count();
        let counted = metrics.sum("tracemill_dropped_spans_total", &[("reason", reason)]) as usize;
        ensure!(counted == same, "{counted} spans were dropped because of {reason:?}, not {same}");
    }
    Ok(())
}

fn show(span: &Span) -> String {
    serde_json::to_string(span).expect("a span is JSON")
}

#[tokio::test]
async fn drop_health_does_in_the_host_what_it_does_natively() -> Result<()> {
    through_the_host("drop-health").await
}

#[tokio::test]
async fn scrub_pii_does_in_the_host_what_it_does_natively() -> Result<()> {
    through_the_host("scrub-pii").await
}

#[tokio::test]
async fn sample_does_in_the_host_what_it_does_natively() -> Result<()> {
    through_the_host("sample").await
}

#[tokio::test]
async fn enrich_does_in_the_host_what_it_does_natively() -> Result<()> {
    through_the_host("enrich").await
}
