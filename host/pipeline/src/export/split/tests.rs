//! Requests cut at every limit.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::wire::put_varint_field;
use prost::Message as _;

use super::*;
use crate::export::flat::flat;

fn span(number: u64, bytes: usize) -> Span {
    Span { span_id: number.to_be_bytes().to_vec(), name: "x".repeat(bytes), ..Span::default() }
}

/// Resources of scopes of spans of so many bytes, numbered throughout.
fn request(resources: &[&[&[usize]]]) -> ExportTraceServiceRequest {
    let mut number = 0;
    let mut next = |bytes: &usize| {
        number += 1;
        span(number, *bytes)
    };
    let mut scope = |at: usize, spans: &&[usize]| ScopeSpans {
        scope: Some(InstrumentationScope { name: format!("scope {at}"), ..InstrumentationScope::default() }),
        spans: spans.iter().map(&mut next).collect(),
        schema_url: "of the scope".into(),
    };
    let resources = resources.iter().enumerate().map(|(at, scopes)| ResourceSpans {
        resource: Some(Resource { dropped_attributes_count: at as u32 + 1, ..Resource::default() }),
        scope_spans: scopes.iter().enumerate().map(|(at, spans)| scope(at, spans)).collect(),
        schema_url: "of the resource".into(),
    });
    ExportTraceServiceRequest { resource_spans: resources.collect() }
}

/// The pieces, and how many spans are in none.
fn pieces(body: &Bytes, spans: u32, limit: usize) -> (Vec<(Bytes, u32)>, u32) {
    let mut cutter = Cutter::new(Signal::Traces, body.clone(), spans, limit, limit);
    let (mut fitting, mut oversize) = (Vec::new(), 0);
    while let Some(piece) = cutter.next() {
        match piece {
            Piece::Fits { body, items, .. } => fitting.push((body, items)),
            Piece::Oversize(spans) => oversize += spans,
        }
        // Wherever one stops, nothing is lost and nothing is there twice.
        let (rest, left) = cutter.rest();
        assert_eq!(flat(&rest).len(), left as usize);
        let gone: u32 = fitting.iter().map(|(_, spans)| spans).sum();
        assert_eq!(gone + oversize + left, spans);
    }
    (fitting, oversize)
}

#[test]
fn at_any_limit_every_span_is_in_one_piece_with_its_resource_and_scope() {
    let body: Bytes = request(&[&[&[50, 50, 50]], &[&[20], &[]], &[&[90, 10], &[300], &[5, 5, 5, 5]], &[&[10; 4]]])
        .encode_to_vec()
        .into();
    let all = flat(&body);
    // The largest span takes 300 bytes, and less than 80 with what it stands in.
    for limit in 390..=body.len() {
        let (fitting, oversize) = pieces(&body, all.len() as u32, limit);
        assert_eq!(oversize, 0, "limit {limit}");
        for (piece, spans) in &fitting {
            assert!(piece.len() <= limit, "{} over {limit}", piece.len());
            assert_eq!(flat(piece).len(), *spans as usize);
        }
        let joined: Vec<_> = fitting.iter().flat_map(|(piece, _)| flat(piece)).collect();
        assert_eq!(joined, all, "limit {limit}");
    }
}

#[test]
fn between_resources_nothing_is_copied_or_changed() {
    let body: Bytes = request(&[&[&[50; 3]], &[&[20]], &[&[90; 2]], &[&[10; 4]]]).encode_to_vec().into();
    let (fitting, oversize) = pieces(&body, 10, body.len() / 2);
    assert_eq!(oversize, 0);
    assert_eq!(fitting.iter().flat_map(|(piece, _)| piece.to_vec()).collect::<Vec<_>>(), body);
    assert_eq!(fitting[0].0.as_ptr(), body.as_ptr());
}

#[test]
fn only_a_span_that_is_too_large_alone_is_left_out() {
    let body: Bytes = request(&[&[&[10]], &[&[10, 5000, 10], &[10]], &[&[10, 10]]]).encode_to_vec().into();
    let (fitting, oversize) = pieces(&body, 7, 1000);
    assert_eq!(oversize, 1);
    let names: Vec<_> = fitting.iter().flat_map(|(piece, _)| flat(piece)).map(|(_, _, span)| span.span_id[7]).collect();
    assert_eq!(names, [1, 2, 4, 5, 6, 7]);
}

#[test]
fn what_is_unknown_is_repeated_as_it_came() {
    let mut scope = Vec::new();
    put_varint_field(&mut scope, 77, 7);
    for number in 1..=2 {
        put_bytes(&mut scope, 2, &span(number, 100).encode_to_vec());
    }
    put_bytes(&mut scope, 78, b"unknown to us, behind the spans");
    let mut resource = Vec::new();
    put_bytes(&mut resource, 2, &scope);
    put_bytes(&mut resource, 79, b"unknown too");
    let mut body = Vec::new();
    put_bytes(&mut body, 1, &resource);
    let (fitting, oversize) = pieces(&body.into(), 2, 200);
    assert_eq!((fitting.len(), oversize), (2, 0));
    for (number, (piece, _)) in (1..).zip(&fitting) {
        let mut scope = Vec::new();
        put_varint_field(&mut scope, 77, 7);
        put_bytes(&mut scope, 78, b"unknown to us, behind the spans");
        put_bytes(&mut scope, 2, &span(number, 100).encode_to_vec());
        let mut resource = Vec::new();
        put_bytes(&mut resource, 79, b"unknown too");
        put_bytes(&mut resource, 2, &scope);
        let mut expected = Vec::new();
        put_bytes(&mut expected, 1, &resource);
        assert_eq!(piece, &expected);
    }
}

#[test]
fn what_is_unknown_in_the_request_itself_is_repeated_wherever_it_stands() {
    let unknown = [b"before".as_slice(), b"between", b"behind"];
    let resources = request(&[&[&[100, 100, 100]], &[&[100]], &[&[10]]]).resource_spans;
    let mut body = Vec::new();
    for (number, resource) in (70..).zip(&resources) {
        put_bytes(&mut body, number, unknown[number as usize - 70]);
        put_bytes(&mut body, 1, &resource.encode_to_vec());
    }
    let mut head = Vec::new();
    (70..).zip(unknown).for_each(|(number, text)| put_bytes(&mut head, number, text));
    let body = Bytes::from(body);
    for limit in 250..=body.len() {
        let (fitting, oversize) = pieces(&body, 5, limit);
        assert_eq!(oversize, 0);
        for (piece, _) in &fitting {
            assert!(piece.len() <= limit);
            assert!(piece.starts_with(&head), "{limit}");
        }
        let spans: Vec<_> = fitting.iter().flat_map(|(piece, _)| flat(piece)).collect();
        assert_eq!(spans, flat(&body));
    }
}

#[test]
fn a_span_over_the_limit_may_go_alone_where_that_is_asked_for() {
    let body: Bytes = request(&[&[&[10, 10, 300, 10, 600]]]).encode_to_vec().into();
    let mut cutter = Cutter::new(Signal::Traces, body, 5, 200, 500);
    let mut seen = Vec::new();
    while let Some(piece) = cutter.next() {
        seen.push(match piece {
            Piece::Fits { body, items, .. } => (flat(&body)[0].2.span_id[7], items),
            Piece::Oversize(spans) => (0, spans),
        });
    }
    assert_eq!(seen, [(1, 2), (3, 1), (4, 1), (0, 1)]);
}

#[test]
fn what_cannot_be_read_is_left_out_whole() {
    assert_eq!(pieces(&Bytes::from_static(&[0x0a, 0xff]), 0, 1).1, 0);
    let mut cutter = Cutter::new(Signal::Traces, Bytes::from_static(&[0x0a, 0xff]), 5, 1, 1);
    assert_eq!(cutter.next(), Some(Piece::Oversize(5)));
    assert_eq!(cutter.next(), None);
}

#[test]
fn metrics_are_cut_between_data_points_with_all_that_these_belong_to() {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum};
    let point = |number: u64| NumberDataPoint { time_unix_nano: number, ..NumberDataPoint::default() };
    let metric = |name: &str, points: std::ops::Range<u64>| Metric {
        name: name.into(),
        unit: "By".into(),
        data: Some(Data::Sum(Sum {
            data_points: points.map(point).collect(),
            aggregation_temporality: 2,
            is_monotonic: true,
        })),
        ..Metric::default()
    };
    let metrics = vec![metric("small", 0..2), metric("of many series", 2..60), metric("last", 60..61)];
    let scope = ScopeMetrics { metrics, schema_url: "of the scope".into(), ..ScopeMetrics::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
    let flat = |body: &[u8]| {
        let mut all = Vec::new();
        for resource in ExportMetricsServiceRequest::decode(body).expect("OTLP").resource_metrics {
            for scope in resource.scope_metrics {
                assert_eq!(scope.schema_url, "of the scope");
                for mut metric in scope.metrics {
                    let Some(Data::Sum(sum)) = &mut metric.data else { panic!("{metric:?}") };
                    let points = std::mem::take(&mut sum.data_points);
                    all.extend(points.into_iter().map(|point| (metric.clone(), point)));
                }
            }
        }
        all
    };
    let body: Bytes = request.encode_to_vec().into();
    let all = flat(&body);
    assert_eq!(all.len(), 61);
    for limit in 100..=body.len() {
        let mut cutter = Cutter::new(Signal::Metrics, body.clone(), 61, limit, limit);
        let mut joined = Vec::new();
        while let Some(piece) = cutter.next() {
            let Piece::Fits { body, items, .. } = piece else { panic!("limit {limit}: {piece:?}") };
            assert!(body.len() <= limit, "{} over {limit}", body.len());
            assert_eq!(flat(&body).len(), items as usize);
            joined.extend(flat(&body));
            let (rest, left) = cutter.rest();
            assert_eq!((flat(&rest).len(), left as usize + joined.len()), (left as usize, 61));
        }
        assert_eq!(joined, all, "limit {limit}");
    }
}
