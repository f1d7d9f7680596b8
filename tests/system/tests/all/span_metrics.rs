//! Metrics of spans through the whole proxy: exact, whatever plugins sample away, scraped and sent.

mod in_the_chain;

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context as _, Result, ensure};
use harness::metrics::Metrics;
use harness::sink::id;
use harness::spans::Mix;
use harness::{Generator, Profile, Proxy, Sink, fetch, wait};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::json;

/// Service, span name, kind, status.
type Series = [String; 4];

const LABELS: [&str; 4] = ["service.name", "span.name", "span.kind", "status.code"];

/// What a request has to be counted as.
fn count(request: &ExportTraceServiceRequest, left_out: &[u64], counts: &mut BTreeMap<Series, u64>) {
    let left_out: HashSet<u64> = left_out.iter().copied().collect();
    for resource in &request.resource_spans {
        let attributes = resource.resource.iter().flat_map(|of| &of.attributes);
        let service = text(attributes, "service.name").unwrap_or_default();
        for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
            if left_out.contains(&id(span)) {
                continue;
            }
            let (kind, status) = (span.kind().as_str_name(), span.status.clone().unwrap_or_default());
            let series = [service.clone(), span.name.clone(), kind.into(), status.code().as_str_name().into()];
            *counts.entry(series).or_default() += 1;
        }
    }
}

fn text<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>, key: &str) -> Option<String> {
    let found = attributes.into_iter().find(|attribute| attribute.key == key)?;
    match &found.value.as_ref()?.value {
        Some(Value::StringValue(text)) => Some(text.clone()),
        _ => None,
    }
}

async fn scrape(proxy: &Proxy) -> Result<Metrics> {
    let answer = fetch::get(&proxy.admin("/metrics/spans")).await?;
    ensure!(answer.status.is_success(), "{} {}", answer.status, answer.text);
    ensure!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
    Metrics::parse(&answer.text)
}

/// The values of one metric that was scraped.
fn scraped(metrics: &Metrics, name: &str) -> BTreeMap<Series, u64> {
    let series = metrics.of(name).map(|sample| {
        let label = |name: &str| sample.label(&name.replace('.', "_")).unwrap_or_default().to_owned();
        (LABELS.map(label), sample.value as u64)
    });
    series.collect()
}

/// The newest values that were sent: of the calls, and of the durations.
fn sent(sink: &Sink) -> Result<[BTreeMap<Series, u64>; 2]> {
    let mut newest = [BTreeMap::new(), BTreeMap::new()];
    let messages = sink.arrivals(|came| came.metrics.clone());
    for message in messages {
        for resource in ExportMetricsServiceRequest::decode(message)?.resource_metrics {
            let service = resource.resource.as_ref().and_then(|of| text(&of.attributes, "service.name"));
            for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let points: Vec<_> = match metric.data.context("data")? {
                    Data::Sum(sum) => sum
                        .data_points
                        .into_iter()
                        .map(|point| match point.value {
                            Some(number_data_point::Value::AsInt(count)) => (0, point.attributes, count as u64),
                            other => panic!("{other:?}"),
                        })
                        .collect(),
                    Data::ExponentialHistogram(histogram) => {
                        histogram.data_points.into_iter().map(|point| (1, point.attributes, point.count)).collect()
                    }
                    other => panic!("{other:?}"),
                };
                for (which, attributes, count) in points {
                    assert_eq!(text(&attributes, "service.name"), service);
                    newest[which].insert(LABELS.map(|name| text(&attributes, name).unwrap_or_default()), count);
                }
            }
        }
    }
    Ok(newest)
}

#[tokio::test]
async fn what_is_dropped_does_not_count_and_what_is_sampled_away_does() -> Result<()> {
    // At an interval, and at the end alone.
    for (mode, interval, sampling) in [("memory", "200ms", "equalizing"), ("durable", "1h", "hash_seed")] {
        let mut counts = BTreeMap::new();
        let (traces, metrics) = (Sink::start().await?, Sink::start().await?);
        let setup = Proxy::setup()?;
        let queue = match mode {
            "durable" => json!({ "mode": mode, "folder": setup.folder().join("queue") }),
            _ => json!({ "mode": mode }),
        };
        let setup = setup
            .export_grpc("traces", &traces)
            .set("export.traces.queue", queue)
            .export_http("metrics", &metrics)
            .set("export.metrics.signals", json!(["metrics"]))
            .set("export.metrics.concurrency", 1)
            .set("export.metrics.batch", json!({ "timeout": "0s" }))
            .set("span_metrics", json!({ "interval": interval, "idle_after": "1h", "instance": "one" }))
            .plugin("10-drop-health", "drop-health")?
            .plugin("90-sample", "sample")?
            .sidecar(
                "90-sample",
                &json!({ "settings": { "mode": sampling, "rate": "10%", "keep": { "errors": false } } }),
            )?;
        setup
            .run(async |proxy| {
                let mix = Mix { health: 0.3, personal: 0.0, errors: 0.1 };
                let mut generator = Generator::new(Profile::Small, 81).mix(mix);
                for _ in 0..10 {
                    let made = generator.request(200);
                    assert!(proxy.grpc().send(&made.request).await?.is_whole());
                    count(&made.request, &made.health, &mut counts);
                }
                let accounts = proxy.balanced().await?;
                let left = counts.values().sum::<u64>();
                assert!(left < 1_900 && accounts.door.admitted < left / 2, "{left} {accounts:?}");
                let shown = scrape(proxy).await?;
                assert_eq!(scraped(&shown, "traces_span_metrics_calls_total"), counts, "{mode}");
                assert_eq!(scraped(&shown, "traces_span_metrics_duration_seconds_count"), counts, "{mode}");
                let own = proxy.metrics().await?;
                assert_eq!(own.sum("tracemill_span_metrics_series", &[]) as usize, counts.len());
                if mode == "memory" {
                    let everything = async || (sent(&metrics).ok()? == [counts.clone(), counts.clone()]).then_some(());
                    wait::until("all of it to be sent", everything).await?;
                    let own = proxy.metrics().await?;
                    assert!(own.sum("tracemill_admitted_metric_points_total", &[]) as usize >= 2 * counts.len());
                }
                Ok(())
            })
            .await?;
        assert_eq!(sent(&metrics)?, [counts.clone(), counts], "{mode}");
    }
    Ok(())
}

fn span(trace: u8, number: u8, parent: u8, kind: SpanKind, attributes: &[(&str, &str)]) -> Span {
    let id = |number: u8| if number == 0 { Vec::new() } else { vec![number; 8] };
    let pair = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue((*value).to_owned())) }),
        ..KeyValue::default()
    };
    Span {
        trace_id: vec![trace; 16],
        span_id: id(number),
        parent_span_id: id(parent),
        name: "call".into(),
        kind: kind as i32,
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 1_300_000_000,
        attributes: attributes.iter().map(pair).collect(),
        ..Span::default()
    }
}

fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let name = KeyValue {
        key: "service.name".into(),
        value: Some(AnyValue { value: Some(Value::StringValue(service.into())) }),
        ..KeyValue::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: vec![name], ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

#[tokio::test]
async fn services_are_joined_over_requests_and_databases_are_nodes() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink).set("service_graph", json!({ "wait": "10s" }));
    setup
        .run(async |proxy| {
            let client = span(0xf1, 2, 1, SpanKind::Client, &[]);
            // 25 % have arrived.
            let weighed = Span { trace_state: "ot=th:c".into(), ..client };
            let database =
                span(0xf1, 3, 1, SpanKind::Client, &[("db.system.name", "mysql"), ("db.namespace", "orders")]);
            let alone = span(0xf1, 4, 1, SpanKind::Client, &[]);
            let root = span(0xf1, 1, 0, SpanKind::Server, &[]);
            let mut server = Span { trace_state: "ot=th:c".into(), ..span(0xf1, 5, 2, SpanKind::Server, &[]) };
            server.status = Some(Status { code: StatusCode::Error as i32, ..Status::default() });
            for (service, spans) in
                [("shop", vec![weighed, database, root]), ("cart", vec![server]), ("shop", vec![alone])]
            {
                assert!(proxy.grpc().send(&request(service, spans)).await?.is_whole());
            }
            let gone = async || {
                let shown = scrape(proxy).await.ok()?;
                (shown.sum("traces_service_graph_unpaired_spans_total", &[]) > 0.0).then_some(shown)
            };
            let shown = wait::until("what waits in vain to be counted", gone).await?;
            let edge = |metric: &str, client: &str, server: &str, kind: &str| {
                let labels = [("client", client), ("server", server), ("connection_type", kind)];
                shown.sum_of_some(&format!("traces_service_graph_{metric}"), &labels)
            };
            assert_eq!(edge("request_total", "shop", "cart", ""), Some(4.0));
            assert_eq!(edge("request_failed_total", "shop", "cart", ""), Some(4.0));
            assert_eq!(edge("request_client_seconds_count", "shop", "cart", ""), Some(4.0));
            assert_eq!(edge("request_server_seconds_count", "shop", "cart", ""), Some(4.0));
            assert_eq!(edge("request_total", "shop", "orders", "database"), Some(1.0));
            assert_eq!(edge("request_failed_total", "shop", "orders", "database"), None);
            assert_eq!(edge("request_total", "user", "shop", "virtual_node"), Some(1.0));
            assert_eq!(edge("unpaired_spans_total", "shop", "", ""), Some(1.0));
            assert_eq!(shown.sum("traces_service_graph_request_total", &[]) as u64, 6);
            Ok(())
        })
        .await
}

#[tokio::test]
async fn a_reload_turns_them_on_and_off() -> Result<()> {
    let sink = Sink::start().await?;
    let setup = Proxy::setup()?.export_grpc("sink", &sink);
    setup
        .run(async |proxy| {
            let answer = fetch::get(&proxy.admin("/metrics/spans")).await?;
            assert_eq!(answer.status, 404);
            proxy.configure("span_metrics", json!({ "exclude_dimensions": ["span.name"] }))?;
            wait::until("them to be on", async || scrape(proxy).await.ok()).await?;
            let spans = vec![span(0xf1, 1, 0, SpanKind::Server, &[]), span(0xf1, 2, 1, SpanKind::Internal, &[])];
            assert!(proxy.grpc().send(&request("shop", spans)).await?.is_whole());
            let shown = scrape(proxy).await?;
            let labels = [("service_name", "shop"), ("span_kind", "SPAN_KIND_SERVER")];
            assert_eq!(shown.sum_of_some("traces_span_metrics_calls_total", &labels), Some(1.0));
            assert_eq!(shown.values("traces_span_metrics_calls_total", "span_name"), Vec::<String>::new());
            proxy.configure("span_metrics", serde_json::Value::Null)?;
            let off = async || {
                let answer = fetch::get(&proxy.admin("/metrics/spans")).await.ok()?;
                (answer.status == 404).then_some(())
            };
            wait::until("them to be off", off).await
        })
        .await
}
