//! What the index finds, and what it refuses.

use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Batch, Incoming, RequestContext};
use crate::value::{self, Value};
use crate::wire::{self, WireFault};

fn field(number: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_bytes(&mut out, number, body);
    out
}

fn text(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    value::put(&mut out, Value::Text(value.as_bytes()));
    out
}

fn pair(key: &str, value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    value::put_pair(&mut out, key.as_bytes(), &text(value));
    out
}

fn span(name: &str) -> Vec<u8> {
    [field(1, &[1; 16]), field(2, &[2; 8]), field(5, name.as_bytes()), field(9, &pair("k", name))].concat()
}

fn load(requests: &[Vec<u8>]) -> (Batch, Vec<bool>) {
    let incoming: Vec<_> = requests
        .iter()
        .map(|body| Incoming { body: Bytes::from(body.clone()), context: Arc::new(RequestContext::default()) })
        .collect();
    let mut batch = Batch::new();
    let outcomes = batch.load(&incoming).into_iter().map(|outcome| outcome.is_ok()).collect();
    (batch, outcomes)
}

#[test]
fn owners_after_their_children_and_in_pieces_are_merged() {
    let scope_spans = [field(2, &span("a")), field(1, &field(1, b"lib"))].concat();
    let resource_spans = [
        field(1, &field(1, &pair("service.name", "shop"))),
        field(2, &scope_spans),
        field(1, &field(1, &pair("region", "eu"))),
    ]
    .concat();
    let (batch, _) = load(&[field(1, &resource_spans)]);
    let span = batch.spans()[0];
    assert!(span.valid_ids);
    assert_eq!(batch.get(batch.scope(&span).name), b"lib");
    let keys: Vec<_> = batch.attributes(batch.resource(&span).attributes).iter().map(|a| batch.get(a.key)).collect();
    assert_eq!(keys, [&b"service.name"[..], b"region"]);
    let own: Vec<_> = batch.attributes(span.attributes).iter().map(|a| value::read(batch.get(a.value))).collect();
    assert_eq!(own, [Value::Text(b"a")]);
}

#[test]
fn owners_in_very_many_pieces_take_no_more_room_than_in_one() {
    const PIECES: usize = 2_000;
    // Between the pieces of each owner stands something with attributes of its own.
    let piece = |attribute: u32| field(1, &field(attribute, &pair("k", "v")));
    let scope_spans = field(2, &[piece(3), field(2, &span("a"))].concat().repeat(PIECES));
    let resource_spans = [piece(1), field(2, &field(2, &span("a")))].concat().repeat(PIECES);
    let (batch, _) = load(&[field(1, &scope_spans), field(1, &resource_spans)]);
    assert_eq!(batch.attributes.len(), 4 * PIECES, "one for each span and each piece");
    let (scope, resource) = (&batch.scopes[0], &batch.resources[1]);
    for (run, pieces) in [(scope.attributes, scope.pieces), (resource.attributes, resource.pieces)] {
        assert_eq!((run.len, pieces), (PIECES as u32, PIECES as u32));
        let attributes = batch.attributes(run).iter().enumerate();
        for (number, attribute) in attributes {
            assert_eq!((batch.get(attribute.key), attribute.origin.ordinal()), (&b"k"[..], Some(number as u32)));
        }
    }
}

#[test]
fn a_malformed_request_costs_the_others_nothing() {
    let good = field(1, &field(2, &field(2, &span("good"))));
    let bad = field(1, &field(2, &field(2, &[0x0a, 200])));
    let (batch, outcomes) = load(&[good.clone(), bad, good]);
    assert_eq!(outcomes, [true, false, true]);
    assert_eq!(batch.rows(), 2);
    assert_eq!(batch.live(), 2);
    let rows: Vec<_> = batch.requests().iter().map(|request| request.rows.range()).collect();
    assert_eq!(rows, [0..1, 1..2]);
    assert_eq!(batch.get(batch.spans()[1].name), b"good");
}

#[test]
fn the_reason_names_the_message_and_the_byte() {
    let mut batch = Batch::new();
    let good = field(1, &field(2, &field(2, &span("good"))));
    let name_as_number = field(1, &field(2, &field(2, &[0x28, 1])));
    let context = Arc::new(RequestContext::default());
    let incoming = [good, name_as_number].map(|body| Incoming { body: body.into(), context: context.clone() });
    let outcome = batch.load(&incoming).pop().unwrap().unwrap_err();
    assert_eq!(outcome.place, "Span");
    assert_eq!((outcome.error.kind, outcome.error.offset), (WireFault::WrongWireType(5), 6));
    assert_eq!(outcome.to_string(), "malformed OTLP trace data: field 5 has the wrong wire type at byte 6, in Span");
}

#[test]
fn an_index_far_larger_than_its_request_is_refused() {
    const MANY: usize = 100_000;
    let malformed = |request: &[u8]| {
        let mut batch = Batch::new();
        let context = Arc::new(RequestContext::default());
        let outcome = batch.load(&[Incoming { body: Bytes::copy_from_slice(request), context }]).pop().unwrap();
        assert_eq!(batch.held_bytes(), 0, "what was refused holds nothing");
        assert!(batch.attributes.capacity() * 20 <= 4 * super::MOST_FOR_EACH_BYTE * request.len());
        assert!(batch.spans.capacity() * 144 <= 4 * super::MOST_FOR_EACH_BYTE * request.len());
        let error = outcome.unwrap_err();
        assert_eq!(error.error.kind, WireFault::TooManyParts);
        error.place
    };
    let empty = |number| field(number, &[]).repeat(MANY);
    assert_eq!(malformed(&empty(1)), "ResourceSpans");
    assert_eq!(malformed(&field(1, &empty(2))), "ScopeSpans");
    assert_eq!(malformed(&field(1, &field(2, &empty(2)))), "Span");
    assert_eq!(malformed(&field(1, &field(2, &field(2, &empty(9))))), "Span");
    assert_eq!(malformed(&field(1, &field(1, &empty(1)))), "Resource");
    assert_eq!(malformed(&field(1, &field(2, &field(1, &empty(3))))), "InstrumentationScope");
}

#[test]
fn an_index_of_the_smallest_spans_and_of_a_small_request_is_not_too_large() {
    let ids = field(2, &[field(1, &[1; 16]), field(2, &[2; 8])].concat());
    let (batch, outcomes) = load(&[field(1, &field(2, &ids.repeat(50_000)))]);
    assert_eq!((batch.rows(), outcomes), (50_000, vec![true]));
    // Each request has its own bound, whatever those before it hold.
    let empty = field(1, &field(2, &field(2, &[]).repeat(100)));
    let (batch, outcomes) = load(&vec![empty; 20]);
    assert_eq!((batch.rows(), outcomes), (2_000, vec![true; 20]));
}

#[test]
fn ids_of_wrong_length_or_all_zero_are_marked() {
    let with = |trace: &[u8], id: &[u8], parent: &[u8]| {
        let span = [field(1, trace), field(2, id), field(4, parent)].concat();
        let (batch, _) = load(&[field(1, &field(2, &field(2, &span)))]);
        batch.spans()[0].valid_ids
    };
    assert!(with(&[1; 16], &[1; 8], &[]));
    assert!(with(&[1; 16], &[1; 8], &[3; 8]));
    assert!(!with(&[0; 16], &[1; 8], &[]));
    assert!(!with(&[1; 15], &[1; 8], &[]));
    assert!(!with(&[1; 16], &[], &[]));
    assert!(!with(&[1; 16], &[1; 8], &[3; 7]));
}

#[test]
fn a_value_in_pieces_is_read_merged() {
    let key_value = [field(1, b"k"), field(2, &text("first")), field(2, &text("last"))].concat();
    let span = [span("a"), field(9, &key_value)].concat();
    let (batch, _) = load(&[field(1, &field(2, &field(2, &span)))]);
    let attributes = batch.attributes(batch.spans()[0].attributes);
    assert_eq!(value::read(batch.get(attributes[1].value)), Value::Text(b"last"));
}
