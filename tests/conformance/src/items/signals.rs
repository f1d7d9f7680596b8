//! Metrics and logs, where the server takes them.

use crate::Subject;
use crate::item::{Found, Item, held, item, not_applicable};
use crate::raw::grpc::{Call, Connection, INVALID_ARGUMENT, UNIMPLEMENTED};
use crate::raw::http::{JSON, PROTOBUF, Request};
use crate::raw::pack;
use crate::trace::{Ids, attribute, bytes, fixed64, hex, unknown, varint};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use harness::Sink;
use harness::wait;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;

pub const ITEMS: &[Item] = &[
    item!("S1", Advised, "/v1/metrics and MetricsService: full success, in protobuf and JSON, plain and gzip", s1),
    item!("S2", Advised, "/v1/logs and LogsService: full success, in protobuf and JSON, plain and gzip", s2),
    item!("S3", Advised, "Metrics and logs that cannot be decoded: 400 with a Status, INVALID_ARGUMENT", s3),
    item!("S4", Advised, "Metrics and logs arrive as they came, with what nobody knows", s4),
    item!(
        "S5",
        Required,
        "JSON of metrics: every kind of data point, 64-bit numbers as texts, optional zeros are kept",
        s5
    ),
];

/// What a signal is called in paths, in services, and a request of one item with `name` in it in both formats.
struct Kind {
    path: &'static str,
    service: &'static str,
    protobuf: fn(&str) -> Bytes,
    json: fn(&str) -> String,
    arrived: fn(&Sink) -> Vec<Bytes>,
}

const METRICS: Kind = Kind {
    path: "/v1/metrics",
    service: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    protobuf: |name| {
        let point = [fixed64(3, 1), fixed64(6, 5), bytes(7, attribute("k", "v"))].concat();
        let metric = [bytes(1, name), bytes(5, [bytes(1, point), unknown("of the gauge")].concat())].concat();
        enveloped(&metric)
    },
    json: |name| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"name":"{name}","gauge":{{"dataPoints":[{{"asInt":"5"}}]}}}}]}}]}}]}}"#
        )
    },
    arrived: |sink| sink.arrivals(|all| all.metrics.clone()),
};

const LOGS: Kind = Kind {
    path: "/v1/logs",
    service: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    protobuf: |name| enveloped(&[fixed64(1, 1), varint(2, 9), bytes(5, bytes(1, name))].concat()),
    json: |name| {
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"severityNumber":9,"body":{{"stringValue":"{name}"}}}}]}}]}}]}}"#
        )
    },
    arrived: |sink| sink.arrivals(|all| all.logs.clone()),
};

/// A request with one metric or log record, and fields that nobody knows around it.
fn enveloped(item: &[u8]) -> Bytes {
    let scope = [bytes(2, item), unknown("of the scope")].concat();
    let resource = [bytes(1, bytes(1, attribute("service.name", "conformance"))), bytes(2, scope)].concat();
    [bytes(1, resource), unknown("of the request")].concat().into()
}

fn post(kind: &Kind, content_type: &str, body: impl AsRef<[u8]>) -> Request {
    Request::new(&format!("POST {}", kind.path), body).header("content-type", content_type)
}

/// Whether the server has no such endpoint at all, which it may.
async fn is_absent(subject: &Subject, kind: &Kind) -> Result<bool> {
    let answer = post(kind, JSON, "{}").to(&subject.http).await?;
    let call = Call::export(&Bytes::new())?.to(kind.service);
    let called = Connection::open(&subject.grpc).await?.call(call).await?;
    Ok(answer.status == 404 && called.code == Some(UNIMPLEMENTED))
}

async fn taken(subject: &Subject, kind: &Kind) -> Result<Found> {
    if is_absent(subject, kind).await? {
        return not_applicable("404 and UNIMPLEMENTED: not offered");
    }
    let message = (kind.protobuf)("taken");
    post(kind, PROTOBUF, &message).to(&subject.http).await?.expect_full("protobuf")?;
    post(kind, JSON, (kind.json)("taken")).to(&subject.http).await?.expect_full("JSON")?;
    let packed = post(kind, PROTOBUF, pack::gzip(&message)?).header("content-encoding", "gzip");
    packed.to(&subject.http).await?.expect_full("gzip")?;
    let connection = Connection::open(&subject.grpc).await?;
    connection.call(Call::export(&message)?.to(kind.service)).await?.expect_full("gRPC")?;
    let packed = Call::packed("gzip", &pack::gzip(&message)?)?.to(kind.service);
    connection.call(packed).await?.expect_full("gRPC with gzip")?;
    held("taken in every form")
}

async fn s1(subject: &Subject) -> Result<Found> {
    taken(subject, &METRICS).await
}

async fn s2(subject: &Subject) -> Result<Found> {
    taken(subject, &LOGS).await
}

async fn s3(subject: &Subject) -> Result<Found> {
    let mut tried = 0;
    for kind in [&METRICS, &LOGS] {
        if is_absent(subject, kind).await? {
            continue;
        }
        tried += 1;
        let whole = (kind.protobuf)("cut off");
        for (content_type, body) in [(PROTOBUF, &whole[..whole.len() - 3]), (JSON, &b"{\"resource"[..])] {
            let answer = post(kind, content_type, body).to(&subject.http).await?.expect(content_type, &[400])?;
            ensure!(answer.rpc_status()?.code == INVALID_ARGUMENT, "{}: {}", kind.path, answer.shown());
        }
        let call = Call::export(&whole.slice(..whole.len() - 3))?.to(kind.service);
        Connection::open(&subject.grpc).await?.call(call).await?.expect(kind.service, &[INVALID_ARGUMENT])?;
    }
    if tried == 0 { not_applicable("neither is offered") } else { held("400 and INVALID_ARGUMENT") }
}

/// Waits for a request that holds a name.
async fn arrival(sink: &Sink, kind: &Kind, name: &str) -> Result<Bytes> {
    let has_name = |message: &Bytes| message.windows(name.len()).any(|part| part == name.as_bytes());
    let found = async || (kind.arrived)(sink).into_iter().find(has_name);
    wait::until("the request at the sink", found).await.context("what was answered with success did not arrive")
}

async fn s4(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable("takes a sink behind the server") };
    for kind in [&METRICS, &LOGS] {
        let name = hex(&Ids::fresh().trace);
        let message = (kind.protobuf)(&name);
        post(kind, PROTOBUF, &message).to(&subject.http).await?.expect_full(kind.path)?;
        let arrived = arrival(sink, kind, &name).await?;
        // Others may be joined with it.
        let whole = arrived.windows(message.len()).any(|part| part == &message[..]);
        ensure!(whole, "{}: {} bytes came otherwise than they went", kind.path, message.len());
    }
    held("byte for byte")
}

async fn s5(subject: &Subject) -> Result<Found> {
    let Some(sink) = subject.sink() else { return not_applicable("takes a sink behind the server") };
    let name = hex(&Ids::fresh().trace);
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[
            {{"name":"{name}","sum":{{"aggregationTemporality":2,"isMonotonic":true,
                "dataPoints":[{{"asInt":"-9223372036854775808"}},{{"asInt":0}}]}}}},
            {{"name":"h","histogram":{{"aggregationTemporality":1,"dataPoints":[{{"count":"2","sum":0,"min":0,
                "bucketCounts":["1","1"],"explicitBounds":[0.5]}}]}}}},
            {{"name":"e","exponentialHistogram":{{"dataPoints":[{{"scale":-2,"zeroCount":"1",
                "positive":{{"offset":-3,"bucketCounts":["18446744073709551615"]}}}}]}}}},
            {{"name":"s","summary":{{"dataPoints":[{{"quantileValues":[{{"quantile":0.5,"value":"Infinity"}}]}}]}}}}
        ]}}]}}]}}"#
    );
    post(&METRICS, JSON, json).to(&subject.http).await?.expect_full("every kind of data point")?;
    let request = ExportMetricsServiceRequest::decode(arrival(sink, &METRICS, &name).await?)?;
    let mut all = request.resource_metrics.iter().flat_map(|of| &of.scope_metrics).flat_map(|of| &of.metrics);
    all.find(|metric| metric.name == name).context("the sum is gone")?;
    for metric in all.take(3) {
        match &metric.data {
            Some(Data::Histogram(of)) => {
                let point = &of.data_points[0];
                ensure!((point.sum, point.min, point.max) == (Some(0.0), Some(0.0), None), "optional zeros: {point:?}");
                ensure!(point.bucket_counts == [1, 1] && point.explicit_bounds == [0.5], "buckets: {point:?}");
            }
            Some(Data::ExponentialHistogram(of)) => {
                let point = &of.data_points[0];
                let positive = point.positive.clone().unwrap_or_default();
                ensure!((point.scale, point.zero_count) == (-2, 1), "scale and zeros: {point:?}");
                ensure!(positive.offset == -3 && positive.bucket_counts == [u64::MAX], "buckets: {point:?}");
            }
            Some(Data::Summary(of)) => {
                ensure!(of.data_points[0].quantile_values[0].value.is_infinite(), "quantiles: {of:?}");
            }
            other => anyhow::bail!("a metric of another kind: {other:?}"),
        }
    }
    held("all of them arrived")
}
