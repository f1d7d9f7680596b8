//! Series as OTLP metrics: a resource for each service, sums, and exponential histograms.

use std::collections::BTreeMap;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::config::Temporality;
use super::durations::Values;
use super::key::{self, Label};
use super::schema::{Family, MetricName, Schema};
use super::series::{Part, Series, Totals, is_overflow};

/// How many series a message has at most: with 160 buckets each, some 500 KiB.
const MOST: usize = 500;
/// The attribute of the series of what was too much, as OpenTelemetry calls it.
const OVERFLOW: &str = "otel.metric.overflow";
/// The attribute that tells processes apart.
const INSTANCE: &str = "tracemill.instance.id";

/// A request, ready to be sent.
#[derive(Debug)]
pub struct Message {
    /// An `ExportMetricsServiceRequest`.
    pub body: Bytes,
    /// How many data points it has.
    pub points: u32,
    /// The series that it tells of.
    pub keys: Vec<Box<[u8]>>,
}

/// One series on its way into a message.
struct Row<'t> {
    key: &'t [u8],
    series: &'t Series,
    values: &'t Values,
    start: u64,
}

/// Everything that there is to be sent.
pub fn messages(part: &Part, totals: &Totals) -> Vec<Message> {
    let mut rows: Vec<Row<'_>> = totals.iter().filter_map(|(key, series)| row(part, key, series)).collect();
    rows.sort_unstable_by_key(|row| row.key);
    rows.chunks(MOST).map(|rows| message(part, rows, totals.upto)).collect()
}

fn row<'t>(part: &Part, key: &'t [u8], series: &'t Series) -> Option<Row<'t>> {
    let (values, start) = match (part.config.temporality, &series.unsent) {
        (Temporality::Delta, Some(unsent)) => (unsent, series.since),
        _ => (&series.total, series.start),
    };
    (values.count > 0).then_some(Row { key, series, values, start })
}

fn message(part: &Part, rows: &[Row<'_>], time: u64) -> Message {
    let mut by_resource: BTreeMap<Vec<(usize, String)>, Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows {
        by_resource.entry(resource(&part.schema, row.key)).or_default().push(row);
    }
    let mut points = 0;
    let resource_metrics = by_resource.into_iter().map(|(resource, rows)| {
        let attributes = resource.into_iter().map(|(at, text)| {
            let name = part.schema.labels.get(at).map_or_else(String::new, |name| name.attribute.to_string());
            pair(name, Value::StringValue(text))
        });
        let metrics: Vec<Metric> =
            part.schema.families.iter().flat_map(|family| metrics(part, family, &rows, time, &mut points)).collect();
        ResourceMetrics {
            resource: Some(Resource { attributes: attributes.collect(), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: part.schema.scope.to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }
    });
    let body = ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }.encode_to_vec();
    Message { body: body.into(), points, keys: rows.iter().map(|row| row.key.into()).collect() }
}

fn metrics(part: &Part, family: &Family, rows: &[&Row<'_>], time: u64, points: &mut u32) -> Vec<Metric> {
    let rows: Vec<_> = rows.iter().filter(|row| row.key[0] == family.byte).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let aggregation_temporality = match part.config.temporality {
        Temporality::Cumulative => AggregationTemporality::Cumulative,
        Temporality::Delta => AggregationTemporality::Delta,
    } as i32;
    let metric = |name: &MetricName, unit: &str, data| Metric {
        name: name.otlp.clone(),
        description: name.help.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    };
    let mut made = Vec::new();
    if let Some(name) = &family.counter {
        let data_points = rows.iter().map(|row| NumberDataPoint {
            attributes: attributes(part, row.key),
            start_time_unix_nano: row.start,
            time_unix_nano: time,
            value: Some(number_data_point::Value::AsInt(i64::try_from(row.values.count).unwrap_or(i64::MAX))),
            ..NumberDataPoint::default()
        });
        let sum = Sum { data_points: data_points.collect(), aggregation_temporality, is_monotonic: true };
        *points += sum.data_points.len() as u32;
        made.push(metric(name, family.counted, Data::Sum(sum)));
    }
    if let Some(name) = &family.histogram {
        let data_points: Vec<_> = rows.iter().map(|row| point(part, row, time)).collect();
        *points += data_points.len() as u32;
        let histogram = ExponentialHistogram { data_points, aggregation_temporality };
        made.push(metric(name, "s", Data::ExponentialHistogram(histogram)));
    }
    made
}

fn point(part: &Part, row: &Row<'_>, time: u64) -> ExponentialHistogramDataPoint {
    let exponential = &row.values.exponential;
    let exemplars = row.series.exemplars.fresh().iter().map(|exemplar| Exemplar {
        time_unix_nano: exemplar.time,
        span_id: exemplar.span.to_vec(),
        trace_id: exemplar.trace.to_vec(),
        value: Some(exemplar::Value::AsDouble(exemplar.seconds)),
        ..Exemplar::default()
    });
    ExponentialHistogramDataPoint {
        attributes: attributes(part, row.key),
        start_time_unix_nano: row.start,
        time_unix_nano: time,
        count: row.values.count,
        sum: Some(row.values.sum),
        scale: exponential.scale(),
        zero_count: *exponential.zeros(),
        positive: Some(Buckets { offset: exponential.offset(), bucket_counts: exponential.buckets().to_vec() }),
        exemplars: exemplars.collect(),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn attributes(part: &Part, key: &[u8]) -> Vec<KeyValue> {
    let labels = part.schema.labels.iter().zip(key::labels(key)).filter_map(|(name, label)| {
        let value = match label? {
            Label::Text(text) => Value::StringValue(text.into_owned()),
            Label::Integer(number) => Value::IntValue(number),
            Label::Float(number) => Value::DoubleValue(number),
            Label::Boolean(truth) => Value::BoolValue(truth),
        };
        Some(pair(name.attribute.to_string(), value))
    });
    let overflow = is_overflow(key).then(|| pair(OVERFLOW.to_owned(), Value::BoolValue(true)));
    let instance = part.config.instance.as_deref();
    let instance = instance.map(|name| pair(INSTANCE.to_owned(), Value::StringValue(name.to_owned())));
    labels.chain(overflow).chain(instance).collect()
}

/// What of a key is the resource's: the label's place and its value.
fn resource(schema: &Schema, key: &[u8]) -> Vec<(usize, String)> {
    let labels = schema.labels.iter().zip(key::labels(key)).enumerate();
    labels
        .filter(|(_, (name, _))| name.of_resource)
        .filter_map(|(at, (_, label))| Some((at, label?.to_string())))
        .collect()
}

fn pair(key: String, value: Value) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
