//! Metrics and logs, with the official messages as the oracle.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
};
use prost::Message as _;

use super::super::to_protobuf;
use crate::fixture::{any, attributes, text};
use crate::signal::Signal;

/// The metrics of a request in JSON, each a `{...}`.
fn metrics(json: &str) -> Vec<Metric> {
    let json = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{json}]}}]}}]}}"#);
    let read = to_protobuf(Signal::Metrics, json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"));
    let mut request = ExportMetricsServiceRequest::decode(&read.body[..]).unwrap();
    request.resource_metrics.remove(0).scope_metrics.remove(0).metrics
}

fn refused(signal: Signal, json: &str) -> String {
    to_protobuf(signal, json.as_bytes()).unwrap_err().to_string()
}

#[test]
fn numbers_of_metrics_are_read_in_all_their_forms() {
    let read = metrics(
        r#"{"name":"a","unit":"1","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
             {"asInt":"-9223372036854775808","timeUnixNano":"1544712661000000000","startTimeUnixNano":5},
             {"asInt":0},{"asDouble":-0.1},{"asDouble":"NaN","flags":1}]}},
           {"name":"b","gauge":{"dataPoints":[]}}"#,
    );
    let Some(Data::Sum(sum)) = &read[0].data else { panic!("{read:?}") };
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));
    let points = &sum.data_points;
    assert_eq!(points[0].value, Some(Number::AsInt(i64::MIN)));
    assert_eq!((points[0].time_unix_nano, points[0].start_time_unix_nano), (1_544_712_661_000_000_000, 5));
    assert_eq!(points[1].value, Some(Number::AsInt(0)), "a zero is there");
    assert_eq!(points[2].value, Some(Number::AsDouble(-0.1)));
    assert!(matches!(points[3].value, Some(Number::AsDouble(value)) if value.is_nan()));
    assert_eq!(points[3].flags, 1);
    assert_eq!(read[1].data, Some(Data::Gauge(Gauge::default())));
}

#[test]
fn histograms_keep_buckets_bounds_and_what_is_optional() {
    let read = metrics(
        r#"{"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[
             {"count":"6","sum":0,"bucketCounts":["1",2,"3"],"explicitBounds":[0.5,"Infinity"],"min":-1,"max":1e3,
              "exemplars":[{"asDouble":3.5,"traceId":"000102030405060708090a0b0c0d0e0f","spanId":"0001020304050607"}]},
             {"count":0,"bucketCounts":[],"explicitBounds":[]}]}},
           {"name":"e","exponentialHistogram":{"dataPoints":[{"scale":-3,"zeroCount":"7","zeroThreshold":1e-9,
              "positive":{"offset":-5,"bucketCounts":["300","0",18446744073709551615]},"negative":{"offset":2}}]}},
           {"name":"s","summary":{"dataPoints":[{"count":1,"sum":2.5,"quantileValues":[{"quantile":0.5,"value":2}]}]}}"#,
    );
    let Some(Data::Histogram(histogram)) = &read[0].data else { panic!("{read:?}") };
    let expected = HistogramDataPoint {
        count: 6,
        sum: Some(0.0),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, f64::INFINITY],
        min: Some(-1.0),
        max: Some(1000.0),
        exemplars: vec![Exemplar {
            value: Some(exemplar::Value::AsDouble(3.5)),
            trace_id: (0..16).collect(),
            span_id: (0..8).collect(),
            ..Exemplar::default()
        }],
        ..HistogramDataPoint::default()
    };
    assert_eq!(histogram.data_points, [expected, HistogramDataPoint::default()]);
    let Some(Data::ExponentialHistogram(exponential)) = &read[1].data else { panic!("{read:?}") };
    let expected = ExponentialHistogramDataPoint {
        scale: -3,
        zero_count: 7,
        zero_threshold: 1e-9,
        positive: Some(Buckets { offset: -5, bucket_counts: vec![300, 0, u64::MAX] }),
        negative: Some(Buckets { offset: 2, bucket_counts: vec![] }),
        ..ExponentialHistogramDataPoint::default()
    };
    assert_eq!(exponential.data_points, [expected]);
    let Some(Data::Summary(summary)) = &read[2].data else { panic!("{read:?}") };
    assert_eq!(summary.data_points[0].quantile_values, [ValueAtQuantile { quantile: 0.5, value: 2.0 }]);
}

#[test]
fn what_is_no_number_is_refused_with_its_place() {
    let wrap = |point: &str| {
        format!(
            r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{point}]}}}}]}}]}}]}}"#
        )
    };
    for wrong in [
        r#"{"bucketCounts":[1,-2]}"#,
        r#"{"bucketCounts":[1,null]}"#,
        r#"{"bucketCounts":"1"}"#,
        r#"{"bucketCounts":[[1]]}"#,
        r#"{"explicitBounds":["inf"]}"#,
        r#"{"explicitBounds":{}}"#,
        r#"{"count":-1}"#,
    ] {
        let told = refused(Signal::Metrics, &wrap(wrong));
        assert!(told.contains("in resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0]."), "{told}");
    }
    let told = refused(Signal::Metrics, &wrap(r#"{"bucketCounts":[1,-2]}"#));
    assert!(told.contains("bucketCounts[1]"), "{told}");
    let scale = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"exponentialHistogram":{"dataPoints":[
        {"scale":2147483648}]}}]}]}]}"#;
    assert!(refused(Signal::Metrics, scale).contains("too large for an int32"));
}

#[test]
fn log_records_are_read_with_any_body() {
    let json = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},
        "scopeLogs":[{"scope":{"name":"l"},"schemaUrl":"u","logRecords":[
          {"timeUnixNano":"5","observedTimeUnixNano":6,"severityNumber":9,"severityText":"INFO","eventName":"e",
           "body":{"stringValue":"hello"},"attributes":[{"key":"k","value":{"intValue":"1"}}],"flags":1,
           "droppedAttributesCount":2,"traceId":"5b8efff798038103d269b633813fc60c","spanId":"EEE19B7EC3C1B174"},
          {"severityNumber":"SEVERITY_NUMBER_ERROR2","body":{"kvlistValue":{"values":[
             {"key":"a","value":{"arrayValue":{"values":[{"doubleValue":1.5}]}}}]}}}]}]}]}"#;
    let read = to_protobuf(Signal::Logs, json.as_bytes()).unwrap();
    assert_eq!(read.lenient.enum_names, 1);
    let request = ExportLogsServiceRequest::decode(&read.body[..]).unwrap();
    let records = &request.resource_logs[0].scope_logs[0].log_records;
    let expected = LogRecord {
        time_unix_nano: 5,
        observed_time_unix_nano: 6,
        severity_number: 9,
        severity_text: "INFO".into(),
        event_name: "e".into(),
        body: Some(any(text("hello"))),
        attributes: attributes(vec![("k", Value::IntValue(1))]),
        flags: 1,
        dropped_attributes_count: 2,
        trace_id: 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128.to_be_bytes().into(),
        span_id: 0xeee1_9b7e_c3c1_b174_u64.to_be_bytes().into(),
    };
    assert_eq!(records[0], expected);
    assert_eq!(records[1].severity_number, 18);
    assert_eq!(Signal::Logs.count(&read.body), Ok(2));
    assert!(
        refused(Signal::Logs, r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"spanId":"x"}]}]}]}"#)
            .contains("spanId")
    );
}

#[test]
fn what_the_official_messages_say_in_json_is_what_we_read() {
    let own = attributes(vec![("a", text("b")), ("n", Value::IntValue(-5))]);
    let number = |value| NumberDataPoint {
        attributes: own.clone(),
        start_time_unix_nano: u64::MAX,
        time_unix_nano: 3,
        value: Some(value),
        flags: 1,
        exemplars: vec![Exemplar {
            filtered_attributes: own.clone(),
            time_unix_nano: 4,
            value: Some(exemplar::Value::AsInt(-4)),
            span_id: vec![1; 8],
            trace_id: vec![2; 16],
        }],
    };
    let histogram = HistogramDataPoint {
        attributes: own.clone(),
        count: 9,
        sum: Some(1.25),
        bucket_counts: vec![4, 5],
        explicit_bounds: vec![0.125],
        max: Some(7.0),
        ..HistogramDataPoint::default()
    };
    let exponential = ExponentialHistogramDataPoint {
        count: 3,
        scale: 5,
        zero_count: 1,
        positive: Some(Buckets { offset: 1, bucket_counts: vec![1, 2, 1000] }),
        negative: Some(Buckets { offset: -1, bucket_counts: vec![] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let summary = SummaryDataPoint {
        count: 2,
        quantile_values: vec![ValueAtQuantile { quantile: 1.0, value: 0.5 }],
        ..SummaryDataPoint::default()
    };
    let data = [
        Data::Gauge(Gauge { data_points: vec![number(Number::AsDouble(0.1)), number(Number::AsInt(i64::MAX))] }),
        Data::Sum(Sum { data_points: vec![number(Number::AsInt(-1))], aggregation_temporality: 1, is_monotonic: true }),
        Data::Histogram(Histogram { data_points: vec![histogram], aggregation_temporality: 2 }),
        Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![exponential], aggregation_temporality: 2 }),
        Data::Summary(Summary { data_points: vec![summary] }),
    ];
    let metric = |data| Metric {
        name: "n".into(),
        description: "d".into(),
        unit: "By".into(),
        metadata: own.clone(),
        data: Some(data),
    };
    let scope = ScopeMetrics { metrics: data.map(metric).into(), schema_url: "u".into(), ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let metrics = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
    let read = to_protobuf(Signal::Metrics, &serde_json::to_vec(&metrics).unwrap()).unwrap();
    assert_eq!(ExportMetricsServiceRequest::decode(&read.body[..]).unwrap(), metrics);

    let record = LogRecord {
        time_unix_nano: u64::MAX,
        severity_number: 17,
        body: Some(any(text("of the record"))),
        attributes: own.clone(),
        trace_id: vec![3; 16],
        span_id: vec![4; 8],
        event_name: "e".into(),
        ..LogRecord::default()
    };
    let scope = ScopeLogs { log_records: vec![record; 3], ..ScopeLogs::default() };
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() }],
    };
    let read = to_protobuf(Signal::Logs, &serde_json::to_vec(&logs).unwrap()).unwrap();
    assert_eq!(ExportLogsServiceRequest::decode(&read.body[..]).unwrap(), logs);
}
