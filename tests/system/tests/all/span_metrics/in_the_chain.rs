//! Metrics of spans between plugins that edit and a sampler of whole traces: what they count, which traces they name, what they send.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use harness::{Proxy, Sink, Trace, fetch, traces, wait};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use super::{scrape, text};

const CALLS: &str = "traces_span_metrics_calls_total";

/// What was sent of a metric, the newest last.
fn data(sink: &Sink, metric: &str) -> impl Iterator<Item = Data> {
    let messages = sink.arrivals(|came| came.metrics.clone());
    let requests = messages.into_iter().filter_map(|message| ExportMetricsServiceRequest::decode(message).ok());
    let scopes = requests.flat_map(|request| request.resource_metrics).flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).filter(move |known| known.name == metric).filter_map(|metric| metric.data)
}

/// The newest value of a sum that was sent, of the series with these attributes.
fn sent(sink: &Sink, metric: &str, is_it: impl Fn(&[KeyValue]) -> bool) -> Option<i64> {
    let points = data(sink, metric).flat_map(|data| match data {
        Data::Sum(sum) => sum.data_points,
        _ => Vec::new(),
    });
    let values = points.filter(|point| is_it(&point.attributes)).filter_map(|point| match point.value {
        Some(number_data_point::Value::AsInt(count)) => Some(count),
        _ => None,
    });
    values.last()
}

/// The points of an exponential histogram that were sent, likewise, the newest last.
fn sent_points(sink: &Sink, metric: &str, is_it: impl Fn(&[KeyValue]) -> bool) -> Vec<ExponentialHistogramDataPoint> {
    let points = data(sink, metric).flat_map(|data| match data {
        Data::ExponentialHistogram(histogram) => histogram.data_points,
        _ => Vec::new(),
    });
    points.filter(|point| is_it(&point.attributes)).collect()
}

/// The ids of the traces that exemplars name, as hexadecimal digits.
async fn exemplars(proxy: &Proxy) -> Result<BTreeSet<String>> {
    let shown = fetch::get(&proxy.admin("/metrics/spans")).await?.text;
    let named = shown.split("trace_id=\"").skip(1).filter_map(|rest| rest.split('"').next());
    Ok(named.map(str::to_owned).collect())
}

fn hex(id: &[u8]) -> String {
    id.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

async fn send(proxy: &Proxy, service: &str, spans: Vec<Span>) -> Result<()> {
    let answer = proxy.grpc().send(&traces::request(service, spans)).await?;
    ensure!(answer.is_whole(), "not taken: {answer:?}");
    Ok(())
}

#[tokio::test]
async fn they_are_of_what_plugins_leave_and_name_traces_that_the_sampler_has_kept() -> Result<()> {
    let (kept, metrics) = (Sink::start().await?, Sink::start().await?);
    let errors = json!({ "name": "errors", "type": "status_code", "status_code": { "status_codes": ["ERROR"] } });
    Proxy::setup()?
        .export_grpc("traces", &kept)
        .set("export.traces.batch.timeout", "10ms")
        .export_http("metrics", &metrics)
        .set("export.metrics.signals", json!(["metrics"]))
        .set("export.metrics.batch", json!({ "timeout": "0s" }))
        .set("threads", 2)
        .set("span_metrics", json!({ "interval": "200ms", "idle_after": "1h", "max_series": 2 }))
        .set("service_graph", json!({ "interval": "200ms", "idle_after": "1h" }))
        // Nothing but errors is decided before the end.
        .set("tail", json!({ "root_delay": "1h", "idle": "1h", "longest": "1h" }))
        .plugin("20-scrub-pii", "scrub-pii")?
        .plugin("90-tail-sample", "tail-sample")?
        .sidecar("90-tail-sample", &json!({ "settings": { "policies": [errors] } }))?
        .run(async |proxy| {
            let named = |number: u64, span: Span| Span { name: format!("GET jane{number}@example.com"), ..span };
            let fine = (0..20).map(|number| named(number, Trace(number).span(0)));
            let failed = (20..30).map(|number| named(number, Trace(number).error(0)));
            send(proxy, "shop", fine.chain(failed).collect()).await?;
            kept.wait_for_spans(10).await?;

            // One name, as it is after the plugin, for those that wait and those that were kept.
            let shown = scrape(proxy).await?;
            let count = |status: &str| {
                let labels = [("service_name", "shop"), ("span_name", "GET [email]"), ("status_code", status)];
                shown.sum_of_some(CALLS, &labels)
            };
            assert_eq!((count("STATUS_CODE_UNSET"), count("STATUS_CODE_ERROR")), (Some(20.0), Some(10.0)));
            assert_eq!(shown.sum(CALLS, &[]) as u64, 30);

            // Exemplars come with the decisions.
            let some = async || exemplars(proxy).await.ok().filter(|named| !named.is_empty());
            let named = wait::until("an exemplar", some).await?;
            let failed: BTreeSet<_> = (20..30).map(|number| hex(&Trace(number).id())).collect();
            assert!(named.is_subset(&failed), "{named:?}");

            // What is beyond `max_series` is counted in one, in both ways.
            let others = (40..50).map(|number| Span { name: format!("job {number}"), ..Trace(number).span(0) });
            send(proxy, "shop", others.collect()).await?;
            let shown = scrape(proxy).await?;
            assert_eq!(shown.sum_of_some(CALLS, &[("otel_metric_overflow", "true")]), Some(10.0));
            assert_eq!(shown.sum(CALLS, &[]) as u64, 40);
            let is_overflow = |attributes: &[KeyValue]| {
                attributes.iter().any(|attribute| {
                    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
                    attribute.key == "otel.metric.overflow" && value == Some(&Value::BoolValue(true))
                })
            };
            let overflowed =
                async || (sent(&metrics, "traces.span.metrics.calls", is_overflow) == Some(10)).then_some(());
            wait::until("the overflow to be sent", overflowed).await?;

            // Calls between services, of traces that are not decided yet.
            let (client, server) = (Trace(60).span(1), Trace(60).span(2));
            let called = Span { parent_span_id: client.span_id.clone(), kind: 2, ..server };
            send(proxy, "shop", vec![Span { kind: 3, ..client }]).await?;
            send(proxy, "cart", vec![called]).await?;
            let is_edge = |attributes: &[KeyValue]| {
                ["client", "server"].map(|end| text(attributes, end)) == ["shop", "cart"].map(|name| Some(name.into()))
            };
            let edge =
                async || (sent(&metrics, "traces_service_graph_request_total", is_edge) == Some(1)).then_some(());
            wait::until("the edge to be sent", edge).await?;
            assert_eq!(kept.spans(), 10);
            let times = || sent_points(&metrics, "traces_service_graph_request_server", is_edge);
            let newest = async || times().last().map(|point| point.count);
            assert_eq!(wait::until("how long the server took", newest).await?, 1);

            // They name the trace once that is kept.
            let is_named = || {
                let id = Trace(60).id();
                times().iter().flat_map(|point| &point.exemplars).any(|exemplar| exemplar.trace_id == id)
            };
            assert!(!is_named(), "it is not decided yet");
            send(proxy, "cart", vec![Trace(60).error(3)]).await?;
            kept.wait_for_spans(13).await?;
            wait::until("the exemplar of the edge", async || is_named().then_some(())).await?;
            Ok(())
        })
        .await
}
