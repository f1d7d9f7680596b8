//! Batches taken apart by trace: nothing is lost, nothing is added, and each message is of one trace.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::wire::put_varint_field;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::export::flat::flat;

/// Resources of scopes of spans, each by the number of its trace.
fn request(shape: &[Vec<Vec<u8>>], number: &mut u64) -> ExportTraceServiceRequest {
    let mut span = |trace: &u8| {
        *number += 1;
        Span { trace_id: vec![*trace; 16], span_id: number.to_be_bytes().to_vec(), ..Span::default() }
    };
    let mut scope = |at: usize, traces: &Vec<u8>| ScopeSpans {
        scope: Some(InstrumentationScope { name: format!("scope {at}"), ..InstrumentationScope::default() }),
        spans: traces.iter().map(&mut span).collect(),
        schema_url: "of the scope".into(),
    };
    let resources = shape.iter().enumerate().map(|(at, scopes)| ResourceSpans {
        resource: Some(Resource { dropped_attributes_count: at as u32 + 1, ..Resource::default() }),
        scope_spans: scopes.iter().enumerate().map(|(at, traces)| scope(at, traces)).collect(),
        schema_url: "of the resource".into(),
    });
    ExportTraceServiceRequest { resource_spans: resources.collect() }
}

proptest! {
    #[test]
    fn each_message_is_of_one_trace_and_together_they_are_the_batch(
        shapes in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(prop::collection::vec(1..5_u8, 0..4), 0..3), 0..3),
            0..4,
        ),
    ) {
        let mut number = 0;
        let bodies: Vec<Bytes> = shapes.iter().map(|shape| request(shape, &mut number).encode_to_vec().into()).collect();
        let plan = Plan::by_trace(bodies.clone()).unwrap();
        let mut wanted: Vec<_> = bodies.iter().flat_map(|body| flat(body)).collect();
        let most: usize = bodies.iter().map(Bytes::len).sum();
        for message in 0..plan.len() {
            let body = plan.body(message);
            let spans = flat(&body);
            let trace = spans[0].2.trace_id.clone();
            let (of_trace, others): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(.., span)| span.trace_id == trace);
            prop_assert_eq!(plan.items(message), spans.len() as u64);
            let key = hex(&trace);
            prop_assert_eq!(plan.key(message), Some(key.as_str()));
            prop_assert_eq!(spans, of_trace, "in their order, in what they stood in");
            prop_assert!(body.len() <= most);
            wanted = others;
        }
        prop_assert!(wanted.is_empty());
    }
}

fn hex(id: &[u8]) -> String {
    let digits: Vec<String> = id.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[test]
fn a_batch_of_one_trace_is_one_message_of_the_same_bytes() {
    // As Rust encodes it, but for the schemas' URLs, which stand behind the spans there and before them here.
    let mut one = request(&[vec![vec![7, 7], vec![7]]], &mut 0);
    for resource in &mut one.resource_spans {
        resource.schema_url.clear();
        resource.scope_spans.iter_mut().for_each(|scope| scope.schema_url.clear());
    }
    let body = Bytes::from(one.encode_to_vec());
    let plan = Plan::by_trace(vec![body.clone()]).unwrap();
    assert_eq!((plan.len(), plan.body(0)), (1, body));
}

#[test]
fn unknown_fields_stay_wherever_they_stand() {
    let mut span = Span { trace_id: vec![1; 16], span_id: vec![2; 8], ..Span::default() }.encode_to_vec();
    put_varint_field(&mut span, 100, 1);
    let mut inner = Vec::new();
    otlp::wire::put_bytes(&mut inner, 2, &span);
    put_varint_field(&mut inner, 101, 2);
    let mut resource = Vec::new();
    put_varint_field(&mut resource, 102, 3);
    otlp::wire::put_bytes(&mut resource, 2, &inner);
    let mut body = Vec::new();
    put_varint_field(&mut body, 103, 4);
    otlp::wire::put_bytes(&mut body, 1, &resource);
    let written = Plan::by_trace(vec![body.clone().into()]).unwrap().body(0);
    assert_eq!(written.len(), body.len());
    for field in 100..=103_u64 {
        let mut unknown = Vec::new();
        put_varint_field(&mut unknown, field as u32, field - 99);
        assert!(written.windows(unknown.len()).any(|part| part == unknown), "{field} is gone");
    }
}

#[test]
fn what_has_no_valid_id_has_an_empty_key() {
    let mut one = request(&[vec![vec![0, 1]]], &mut 0);
    one.resource_spans[0].scope_spans[0].spans[1].trace_id.truncate(3);
    let plan = Plan::by_trace(vec![one.encode_to_vec().into()]).unwrap();
    assert_eq!((0..plan.len()).map(|at| plan.key(at)).collect::<Vec<_>>(), [Some(""), Some("")]);
}

#[test]
fn what_is_no_trace_goes_as_it_came_and_without_a_key() {
    let plan = Plan::whole(vec![(Bytes::from_static(b"one"), 3), (Bytes::from_static(b"two"), 4)]);
    let all: Vec<_> = (0..plan.len()).map(|at| (plan.body(at), plan.items(at), plan.key(at))).collect();
    assert_eq!(all, [(Bytes::from_static(b"one"), 3, None), (Bytes::from_static(b"two"), 4, None)]);
}

#[test]
fn what_is_no_otlp_is_an_error() {
    assert!(Plan::by_trace(vec![Bytes::from_static(&[0x0a, 0x7f, 1])]).is_err());
}

#[test]
fn a_message_that_is_split_keeps_its_key_and_loses_nothing() {
    let body = Bytes::from(request(&[vec![vec![7, 8, 7], vec![7]], vec![vec![7, 7]]], &mut 0).encode_to_vec());
    let mut plan = Plan::by_trace(vec![body.clone()]).unwrap();
    let mut whole = vec![0];
    let mut single = Vec::new();
    while let Some(message) = whole.pop() {
        match plan.split(message, Signal::Traces) {
            Some(parts) => whole.extend(parts),
            None => single.push(message),
        }
    }
    let spans: Vec<_> = single.iter().flat_map(|message| flat(&plan.body(*message))).collect();
    assert_eq!(spans.len(), 5);
    assert!(single.iter().all(|message| plan.items(*message) == 1 && plan.key(*message) == plan.key(0)));
    assert!(flat(&body).into_iter().filter(|(.., span)| span.trace_id[0] == 7).all(|span| spans.contains(&span)));
}

#[test]
fn requests_that_are_split_hold_the_same_together() {
    let body = Bytes::from(request(&[vec![vec![1, 2, 3], vec![4]], vec![vec![5, 6]]], &mut 0).encode_to_vec());
    let mut plan = Plan::whole(vec![(body.clone(), 6)]);
    let parts = plan.split(0, Signal::Traces).unwrap();
    assert!(parts.len() > 1 && parts.iter().all(|part| plan.body(*part).len() < body.len()));
    assert_eq!(parts.iter().map(|part| plan.items(*part)).sum::<u64>(), 6);
    assert_eq!(parts.iter().flat_map(|part| flat(&plan.body(*part))).collect::<Vec<_>>(), flat(&body));
    assert_eq!(Plan::whole(vec![(body, 1)]).split(0, Signal::Traces), None);
}
