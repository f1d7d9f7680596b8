//! Batches as they are when the chain has had them, and what is counted of them.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use otlp::batch::{Incoming, RequestContext};
use otlp::edit::apply::apply;
use otlp::edit::{Edit, Rows as At, Sampling};
use otlp::shown::Shown;
use proptest::prelude::*;
use prost::Message as _;

use super::config::{Dimension, SeriesConfig, Usual};
use super::*;

pub(super) const SERVER: i32 = 2;
pub(super) const CLIENT: i32 = 3;

pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(super) fn text(value: &str) -> Value {
    Value::StringValue(value.into())
}

/// A span of 250 ms, the only one of its trace.
pub(super) fn span(number: u64, name: &str, kind: i32) -> Span {
    let mut trace_id = vec![1; 8];
    trace_id.extend(number.to_be_bytes());
    Span {
        trace_id,
        span_id: number.wrapping_add(1).to_be_bytes().to_vec(),
        name: name.into(),
        kind,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_250_000_000,
        ..Span::default()
    }
}

pub(super) fn of_service(service: &str, spans: Vec<Span>) -> ResourceSpans {
    let attributes = vec![attribute("service.name", text(service)), attribute("region", text("eu"))];
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

pub(super) fn batch(resource_spans: Vec<ResourceSpans>) -> Batch {
    batch_of(vec![(None, resource_spans)])
}

/// Of requests, each with its tenant.
pub(super) fn batch_of(requests: Vec<(Option<&str>, Vec<ResourceSpans>)>) -> Batch {
    let incoming = requests.into_iter().map(|(tenant, resource_spans)| {
        let context = RequestContext { tenant: tenant.map(Into::into), ..RequestContext::default() };
        Incoming {
            body: ExportTraceServiceRequest { resource_spans }.encode_to_vec().into(),
            context: Arc::new(context),
        }
    });
    let mut batch = Batch::new();
    for outcome in batch.load(&incoming.collect::<Vec<_>>()) {
        outcome.unwrap();
    }
    batch
}

fn edit(batch: &mut Batch, rows: Vec<u32>, edit: Edit) {
    apply(batch, &Shown { rows, ..Shown::default() }, &[edit]);
}

fn drop_edit() -> Edit {
    Edit::Drop { at: At::Every, reason: "r".into() }
}

fn sample_edit(probability: f64) -> Edit {
    Edit::Sample { at: At::Every, probability, how: Sampling::Equalizing, reason: "r".into() }
}

fn counting(config: SpanConfig) -> SpanMetrics {
    let metrics = SpanMetrics::new(2);
    metrics.reconfigure(Some(config), None);
    metrics
}

/// The values of the lines of one metric, by their labels.
pub(super) fn read(metrics: &SpanMetrics, name: &str) -> BTreeMap<String, f64> {
    let shown = metrics.text().unwrap();
    let lines = shown.lines().filter_map(|line| {
        let (series, value) = line.split(" # ").next()?.rsplit_once(' ')?;
        let labels = series.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
        Some((labels.to_owned(), value.parse().unwrap()))
    });
    lines.collect()
}

fn total(metrics: &SpanMetrics, name: &str) -> u64 {
    read(metrics, name).values().map(|count| *count as u64).sum()
}

const CALLS: &str = "traces_span_metrics_calls_total";

fn labels(service: &str, name: &str, kind: &str, status: &str) -> String {
    format!(
        "service_name=\"{service}\",span_name=\"{name}\",span_kind=\"SPAN_KIND_{kind}\",status_code=\"STATUS_CODE_{status}\""
    )
}

#[test]
fn spans_are_counted_by_service_name_kind_and_status() {
    let failed = Span { status: Some(Status { code: 2, ..Status::default() }), ..span(4, "get \"x\"", SERVER) };
    let batch = batch(vec![
        of_service("shop", vec![span(1, "get", SERVER), span(2, "get", SERVER), span(3, "get", CLIENT), failed]),
        of_service("cart", vec![span(5, "get", SERVER)]),
    ]);
    let metrics = counting(SpanConfig::default());
    let mut recorder = Recorder::default();
    recorder.record(&metrics, &batch);
    recorder.measure(&metrics, &batch).record();
    drop(recorder.measure(&metrics, &batch));
    let expected = BTreeMap::from([
        (labels("shop", "get", "SERVER", "UNSET"), 4.0),
        (labels("shop", "get", "CLIENT", "UNSET"), 2.0),
        (labels("shop", "get \\\"x\\\"", "SERVER", "ERROR"), 2.0),
        (labels("cart", "get", "SERVER", "UNSET"), 2.0),
    ]);
    assert_eq!(read(&metrics, CALLS), expected);
    assert_eq!(read(&metrics, "traces_span_metrics_duration_seconds_count"), expected);
    let sums = read(&metrics, "traces_span_metrics_duration_seconds_sum");
    assert!((sums[&labels("shop", "get", "SERVER", "UNSET")] - 1.0).abs() < 1e-9);
    let buckets = read(&metrics, "traces_span_metrics_duration_seconds_bucket");
    let bucket = |bound: &str| buckets[&format!("{},le=\"{bound}\"", labels("cart", "get", "SERVER", "UNSET"))];
    assert_eq!((bucket("0.2"), bucket("0.4"), bucket("+Inf")), (0.0, 2.0, 2.0));
    assert!(metrics.text().unwrap().ends_with("# EOF\n"));
    assert_eq!(metrics.metrics().span_series.get(), 4);
}

#[test]
fn a_batch_that_waits_holds_no_more_series_than_there_may_be() {
    let series = SeriesConfig { max_series: 10, ..SeriesConfig::default() };
    let metrics = counting(SpanConfig { series, ..SpanConfig::default() });
    let spans = (0..1_000).map(|number| span(number, &format!("get {number}"), SERVER)).collect();
    let measured = Recorder::default().measure(&metrics, &batch(vec![of_service("shop", spans)]));
    let Measured(Some((_, held, _))) = &measured else { panic!("it is measured") };
    assert_eq!(held.series(), 11);
    measured.record();
    let counted = read(&metrics, CALLS);
    assert_eq!((counted.len(), counted["otel_metric_overflow=\"true\""], total(&metrics, CALLS)), (11, 990.0, 1_000));
}

#[test]
fn nothing_is_counted_until_it_is_asked_for() {
    let metrics = SpanMetrics::new(1);
    let mut recorder = Recorder::default();
    recorder.record(&metrics, &batch(vec![of_service("shop", vec![span(1, "get", SERVER)])]));
    assert_eq!(metrics.text(), None);
}

#[test]
fn what_sampling_takes_out_counts_and_what_is_dropped_does_not() {
    let spans = (0..100).map(|number| span(number << 48, "get", SERVER)).collect();
    let mut batch = batch(vec![of_service("shop", spans)]);
    edit(&mut batch, (0..10).collect(), drop_edit());
    edit(&mut batch, (0..100).collect(), sample_edit(0.9));
    edit(&mut batch, (90..100).collect(), drop_edit());
    let left = batch.live();
    assert!(left < 80, "{left}");
    assert!(batch.spans()[10..90].iter().any(|span| span.sampled_out));
    assert!(batch.spans()[90..].iter().all(|span| !span.sampled_out));
    let metrics = counting(SpanConfig::default());
    Recorder::default().record(&metrics, &batch);
    assert_eq!(total(&metrics, CALLS), 80);
}

proptest! {
    #[test]
    fn weights_are_those_that_spans_came_with(
        rows in proptest::collection::vec((any::<u64>(), 0u8..4, 0u8..3), 1..60),
        probability in 0.01..1.0f64,
    ) {
        // A weight of 1, 2, 4 or none that is known; kept whatever R is, so that it is consistent.
        let states = ["", "ot=th:8", "ot=th:c", "ot=rv:00000000000000;th:8"];
        let spans = rows.iter().map(|(id, state, _)| Span {
            trace_state: states[usize::from(*state)].into(),
            ..span(*id | 0xc0_0000_0000_0000, "get", SERVER)
        });
        let mut batch = batch(vec![of_service("shop", spans.collect())]);
        let mut expected = 0;
        for (row, (_, state, fate)) in (0..).zip(&rows) {
            match fate {
                0 => edit(&mut batch, vec![row], drop_edit()),
                1 => edit(&mut batch, vec![row], sample_edit(probability)),
                _ => {}
            }
            if *fate != 0 {
                expected += [1, 2, 4, 1][usize::from(*state)];
            }
        }
        let metrics = counting(SpanConfig::default());
        Recorder::default().record(&metrics, &batch);
        prop_assert_eq!(total(&metrics, CALLS), expected);
    }
}

#[test]
fn dimensions_are_added_by_path_and_the_usual_ones_left_out() {
    let dimension = |path: &str, name: &str, default: Option<&str>| Dimension {
        name: name.into(),
        path: path.parse().unwrap(),
        default: default.map(Into::into),
    };
    let config = SpanConfig {
        namespace: "shop.spans".into(),
        dimensions: vec![
            dimension("attributes[\"http.route\"]", "http.route", Some("none")),
            dimension("resource.attributes[\"region\"]", "region", None),
            dimension("attributes[\"n\"]", "n", None),
        ],
        excluded: vec![Usual::Name, Usual::Kind],
        ..SpanConfig::default()
    };
    let long = "x".repeat(1000);
    let mut spans = vec![span(1, "a", SERVER), span(2, "b", CLIENT), span(3, "c", SERVER)];
    spans[1].attributes = vec![attribute("http.route", text("/cart")), attribute("n", Value::IntValue(-3))];
    spans[2].attributes = vec![attribute("http.route", text(&long)), attribute("n", Value::BytesValue(vec![1]))];
    let metrics = counting(config);
    Recorder::default().record(&metrics, &batch(vec![of_service("shop", spans)]));
    let start = "service_name=\"shop\",region=\"eu\",status_code=\"STATUS_CODE_UNSET\",http_route";
    let expected = BTreeMap::from([
        (format!("{start}=\"none\""), 1.0),
        (format!("{start}=\"/cart\",n=\"-3\""), 1.0),
        (format!("{start}=\"{}\"", &long[..256]), 1.0),
    ]);
    assert_eq!(read(&metrics, "shop_spans_calls_total"), expected);
}

#[test]
fn exemplars_are_of_spans_that_are_left() {
    let metrics = counting(SpanConfig::default());
    let mut batch = batch(vec![of_service("shop", vec![span(1, "get", SERVER), span(1 << 55, "get", SERVER)])]);
    // The second would be the better one.
    edit(&mut batch, vec![1], sample_edit(1e-9));
    Recorder::default().record(&metrics, &batch);
    let shown = metrics.text().unwrap();
    let exemplars: Vec<_> = shown.lines().filter_map(|line| line.split_once(" # ")).collect();
    let [(bucket, exemplar)] = exemplars[..] else { panic!("{shown}") };
    assert!(bucket.contains("le=\"0.4\"") && bucket.ends_with(" 2"), "{bucket}");
    assert_eq!(exemplar, "{trace_id=\"01010101010101010000000000000001\",span_id=\"0000000000000002\"} 0.25 1.250");
}

#[test]
fn an_exemplar_waits_for_the_decision_about_its_trace() {
    let metrics = counting(SpanConfig::default());
    metrics.decisions().await_decisions(true);
    let spans = vec![span(1, "get", SERVER), span(2, "put", SERVER)];
    Recorder::default().record(&metrics, &batch(vec![of_service("shop", spans)]));
    let exemplars = || metrics.text().unwrap().matches(" # {").count();
    assert_eq!(exemplars(), 0);
    let mut trace = [1; 16];
    trace[8..].copy_from_slice(&2u64.to_be_bytes());
    metrics.decisions().kept(&trace);
    assert_eq!(exemplars(), 1);
}

#[test]
fn what_is_not_changed_by_a_reload_goes_on() {
    let metrics = SpanMetrics::new(1);
    let graph = Some(GraphConfig::default());
    metrics.reconfigure(Some(SpanConfig::default()), graph.clone());
    let mut recorder = Recorder::default();
    let batch = batch(vec![of_service("shop", vec![span(1, "get", SERVER)])]);
    recorder.record(&metrics, &batch);
    metrics.reconfigure(Some(SpanConfig::default()), None);
    recorder.record(&metrics, &batch);
    assert_eq!(total(&metrics, CALLS), 2);
    let series = SeriesConfig { idle_after: Duration::from_hours(1), ..SeriesConfig::default() };
    metrics.reconfigure(Some(SpanConfig { series, ..SpanConfig::default() }), graph);
    assert!(read(&metrics, CALLS).is_empty());
    metrics.reconfigure(None, None);
    assert_eq!(metrics.text(), None);
}
