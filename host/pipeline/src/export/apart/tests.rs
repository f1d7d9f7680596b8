//! Requests of many shapes, taken apart.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::wire::put_bytes;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::export::flat::flat;

/// Resources of scopes of spans, each of which has this trace.
fn request(resources: &[Vec<Vec<u8>>]) -> ExportTraceServiceRequest {
    let mut number = 0u64;
    let mut span = |trace: &u8| {
        number += 1;
        let span_id = number.to_be_bytes().to_vec();
        Span { trace_id: vec![*trace; 16], span_id, name: "n".repeat(*trace as usize * 20), ..Span::default() }
    };
    let mut scope = |at: usize, traces: &Vec<u8>| ScopeSpans {
        scope: Some(InstrumentationScope { name: format!("scope {at}"), ..InstrumentationScope::default() }),
        spans: traces.iter().map(&mut span).collect(),
        schema_url: "of the scope".into(),
    };
    let resource = |(at, scopes): (usize, &Vec<Vec<u8>>)| ResourceSpans {
        resource: Some(Resource { dropped_attributes_count: at as u32 + 1, ..Resource::default() }),
        scope_spans: scopes.iter().enumerate().map(|(at, traces)| scope(at, traces)).collect(),
        schema_url: "of the resource".into(),
    };
    ExportTraceServiceRequest { resource_spans: resources.iter().enumerate().map(resource).collect() }
}

fn by_first_byte(takers: usize) -> impl Fn(&[u8]) -> usize {
    move |trace| usize::from(trace.first().copied().unwrap_or(0)) % takers
}

proptest! {
    #[test]
    fn every_span_is_in_one_part_with_its_resource_and_scope(
        shape in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u8..9, 0..6), 0..4), 0..5),
        takers in 1usize..6,
    ) {
        let request = request(&shape);
        let body: Bytes = request.encode_to_vec().into();
        let all = flat(&body);
        let parts = by_trace(&body, all.len() as u32, takers, by_first_byte(takers));
        prop_assert_eq!(parts.len(), takers);
        let mut seen = Vec::new();
        for (taker, part) in parts.iter().enumerate() {
            let Some((part, items)) = part else { continue };
            let spans = flat(part);
            prop_assert_eq!(spans.len(), *items as usize);
            prop_assert!(spans.iter().all(|(.., span)| by_first_byte(takers)(&span.trace_id) == taker));
            // In their order, and with the bytes that they had.
            let mine: Vec<_> = all.iter().filter(|(.., span)| by_first_byte(takers)(&span.trace_id) == taker).cloned().collect();
            prop_assert_eq!(&spans, &mine);
            prop_assert!(spans.iter().all(|(.., span)| memchr::memmem::find(part, &span.encode_to_vec()).is_some()));
            seen.extend(spans);
        }
        prop_assert_eq!(seen.len(), all.len());
    }

    #[test]
    fn any_bytes_are_whole_somewhere(bytes in prop::collection::vec(any::<u8>(), 0..200), takers in 1usize..4) {
        let body = Bytes::from(bytes);
        let parts = by_trace(&body, 3, takers, by_first_byte(takers));
        prop_assert!(parts.iter().any(Option::is_some));
        if otlp::signal::Signal::Traces.count(&body).is_err() {
            let whole: Vec<_> = parts.into_iter().flatten().collect();
            prop_assert_eq!(whole, [(body, 3)]);
        }
    }
}

#[test]
fn what_is_all_of_one_is_not_copied() {
    let body: Bytes = request(&[vec![vec![4, 4], vec![1]]]).encode_to_vec().into();
    let parts = by_trace(&body, 3, 3, by_first_byte(3));
    let (part, items) = parts[1].as_ref().unwrap();
    assert_eq!((part.as_ptr(), part.len(), *items), (body.as_ptr(), body.len(), 3));
    assert!(parts[0].is_none() && parts[2].is_none());
}

#[test]
fn what_nobody_knows_goes_along_byte_for_byte() {
    let unknown = |body: &mut Vec<u8>, text: &str| put_bytes(body, 77, text.as_bytes());
    let span = |trace: u8| {
        let mut span = Span { trace_id: vec![trace; 16], ..Span::default() }.encode_to_vec();
        unknown(&mut span, "span");
        span
    };
    let (mut scope, mut resource, mut body) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut scope, field::CHILDREN, &span(1));
    unknown(&mut scope, "scope");
    put_bytes(&mut scope, field::CHILDREN, &span(2));
    put_bytes(&mut resource, field::CHILDREN, &scope);
    unknown(&mut resource, "resource");
    put_bytes(&mut body, field::RESOURCE_SPANS, &resource);
    unknown(&mut body, "request");
    let parts = by_trace(&body.into(), 2, 2, by_first_byte(2));
    for (part, trace) in parts.iter().zip([2, 1]) {
        let (part, items) = part.as_ref().unwrap();
        assert_eq!(*items, 1);
        for text in ["scope", "resource", "request"] {
            assert!(memchr::memmem::find(part, text.as_bytes()).is_some(), "{text}");
        }
        assert!(memchr::memmem::find(part, &span(trace)).is_some());
    }
}

#[test]
fn of_two_trace_ids_the_last_counts() {
    let mut span = Vec::new();
    put_bytes(&mut span, field::TRACE_ID, &[1; 16]);
    put_bytes(&mut span, field::TRACE_ID, &[2; 16]);
    let (mut scope, mut resource, mut body) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(&mut scope, field::CHILDREN, &span);
    put_bytes(&mut resource, field::CHILDREN, &scope);
    put_bytes(&mut body, field::RESOURCE_SPANS, &resource);
    let parts = by_trace(&body.into(), 1, 2, by_first_byte(2));
    assert!(parts[0].is_some() && parts[1].is_none());
}
