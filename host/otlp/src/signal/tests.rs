//! Requests as OpenTelemetry's own types write them, whole and damaged.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint,
};
use prost::Message as _;

use super::*;
use crate::wire::{WireFault, put_bytes, put_varint_field};

/// One metric of each kind, with 1 to 5 data points.
fn metrics() -> Vec<u8> {
    let number = NumberDataPoint { time_unix_nano: 5, ..NumberDataPoint::default() };
    let data = [
        Data::Gauge(Gauge { data_points: vec![number.clone(); 1] }),
        Data::Sum(Sum { data_points: vec![number; 2], ..Sum::default() }),
        Data::Histogram(Histogram { data_points: vec![HistogramDataPoint::default(); 3], ..Histogram::default() }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint::default(); 4],
            ..ExponentialHistogram::default()
        }),
        Data::Summary(Summary { data_points: vec![SummaryDataPoint::default(); 5] }),
    ];
    let metric = |data| Metric { name: "a metric".into(), data: Some(data), ..Metric::default() };
    let scope = ScopeMetrics { metrics: data.map(metric).into(), ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource.clone(), resource] }.encode_to_vec()
}

fn logs() -> Vec<u8> {
    let record = LogRecord { severity_text: "INFO".into(), ..LogRecord::default() };
    let scope = ScopeLogs { log_records: vec![record; 4], ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope; 2], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
}

#[test]
fn data_points_of_every_kind_and_log_records_are_counted() {
    assert_eq!(Signal::Metrics.count(&metrics()), Ok(2 * (1 + 2 + 3 + 4 + 5)));
    assert_eq!(Signal::Logs.count(&logs()), Ok(8));
    for signal in Signal::ALL {
        assert_eq!(signal.count(&[]), Ok(0));
    }
}

#[test]
fn what_is_unknown_counts_for_nothing_and_harms_nothing() {
    let mut request = logs();
    put_varint_field(&mut request, 99, 7);
    put_bytes(&mut request, 98, b"\xff\xff\xff");
    assert_eq!(Signal::Logs.count(&request), Ok(8));
}

#[test]
fn what_is_cut_off_or_no_protobuf_is_told_with_its_place() {
    for (signal, whole) in [(Signal::Metrics, metrics()), (Signal::Logs, logs())] {
        let all = signal.count(&whole).unwrap();
        for len in 1..whole.len() {
            // Between two resources it is a request of its own.
            assert!(
                signal.count(&whole[..len]).is_ok_and(|count| count > 0 && count < all)
                    || signal.count(&whole[..len]).is_err()
            );
        }
        assert!(signal.count(b"{\"resourceLogs\":[]}").is_err());
        let mut number = Vec::new();
        put_varint_field(&mut number, 1, 5);
        assert_eq!(signal.count(&number).unwrap_err().kind, WireFault::WrongWireType(1));
    }
    // Inside a log record.
    let mut request = Vec::new();
    for (number, at) in [(2, 0), (2, 1), (1, 2)] {
        let inner = if at == 0 { vec![0x0a, 0xff] } else { std::mem::take(&mut request) };
        put_bytes(&mut request, number, &inner);
    }
    assert!(Signal::Logs.count(&request).is_err());
}
