//! Edges of given spans at given times.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, Status};
use proptest::prelude::*;

use super::*;
use crate::spanmetrics::exemplar::Decisions;
use crate::spanmetrics::rows::Rows;
use crate::spanmetrics::series::Kept;
use crate::spanmetrics::tests::{CLIENT, SERVER, attribute, batch, batch_of, of_service, span, text};

const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

fn graph(size: usize) -> Graph {
    Graph::new(GraphConfig { wait: Duration::from_secs(10), size, ..GraphConfig::default() }, 1, Now::after(0))
}

fn take(graph: &Graph, spans: Vec<ResourceSpans>, at: u64) {
    Rows::default().record(&batch(spans), None, Some(graph), 0, Now::after(at).steady);
}

/// What is counted by `at`: the counts by family, client, server and connection.
fn edges(graph: &Graph, at: u64) -> BTreeMap<String, u64> {
    let now = Now::after(at);
    graph.part.collect(graph.expired(now.steady), now, &Decisions::default(), &Kept::default());
    let totals = graph.part.totals();
    let named = totals.iter().map(|(key, series)| {
        let labels: Vec<_> = crate::spanmetrics::key::labels(key).flatten().map(|label| label.to_string()).collect();
        (format!("{} {}", key[0] as char, labels.join(">")), series.total.count)
    });
    named.collect()
}

fn expected<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.map(|(name, count)| (name.to_owned(), count)).into()
}

/// The two spans of a call: of the same trace, the second below the first.
fn call(number: u64, kinds: (i32, i32)) -> (Span, Span) {
    let caller = span(number, "call", kinds.0);
    let called = Span {
        trace_id: caller.trace_id.clone(),
        parent_span_id: caller.span_id.clone(),
        ..span(number + 1000, "do", kinds.1)
    };
    (caller, called)
}

fn failed(span: Span) -> Span {
    Span { status: Some(Status { code: 2, ..Status::default() }), ..span }
}

#[test]
fn the_two_spans_of_a_call_are_an_edge_whichever_comes_first() {
    let graph = graph(16 << 20);
    let (client, server) = call(1, (CLIENT, SERVER));
    take(&graph, vec![of_service("shop", vec![client])], 1);
    take(&graph, vec![of_service("cart", vec![failed(server)])], 11);
    let (client, server) = call(2, (CLIENT, SERVER));
    take(&graph, vec![of_service("cart", vec![server]), of_service("shop", vec![client])], 20);
    let (sent, got) = call(3, (PRODUCER, CONSUMER));
    take(&graph, vec![of_service("shop", vec![sent]), of_service("mail", vec![got])], 20);
    // The first waited ten seconds to the dot: it was due when its other half came, and went by itself.
    let counted = edges(&graph, 30);
    let expected = expected([
        ("l shop>cart>", 1),
        ("l shop>mail>messaging_system", 1),
        ("r shop>cart>", 1),
        ("r shop>mail>messaging_system", 1),
        ("s shop>cart>", 1),
        ("s shop>mail>messaging_system", 1),
        ("u >cart>", 1),
        ("u shop>>", 1),
    ]);
    assert_eq!(counted, expected);
    assert_eq!(graph.waiting(), 0);
}

#[test]
fn a_call_has_failed_if_either_side_says_so_and_counts_by_its_weight() {
    let graph = graph(16 << 20);
    let (client, server) = call(0xff_ffff_ffff_ff00, (CLIENT, SERVER));
    let weighed = |span: Span| Span { trace_state: "ot=th:c".into(), ..span };
    let spans = vec![of_service("shop", vec![weighed(client)]), of_service("cart", vec![failed(weighed(server))])];
    take(&graph, spans, 1);
    let expected = expected([("f shop>cart>", 4), ("l shop>cart>", 4), ("r shop>cart>", 4), ("s shop>cart>", 4)]);
    assert_eq!(edges(&graph, 1), expected);
}

#[test]
fn peers_that_send_no_spans_are_nodes_all_the_same() {
    let graph = graph(16 << 20);
    let with = |number, kind, pairs: &[(&str, &str)]| Span {
        attributes: pairs.iter().map(|(key, value)| attribute(key, text(value))).collect(),
        parent_span_id: vec![9; 8],
        ..span(number, "x", kind)
    };
    let spans = vec![
        with(
            1,
            CLIENT,
            &[("server.address", "10.0.0.1"), ("db.system.name", "postgresql"), ("db.namespace", "orders")],
        ),
        with(2, CLIENT, &[("server.address", "api.example"), ("http.route", "/")]),
        with(3, PRODUCER, &[("messaging.system", "kafka")]),
        with(4, CLIENT, &[("peer.service", "legacy"), ("server.address", "10.0.0.2")]),
        with(5, CLIENT, &[("http.route", "/")]),
        with(6, SERVER, &[("server.address", "me")]),
        span(7, "root", SERVER),
    ];
    take(&graph, vec![of_service("shop", spans)], 1);
    // What needs no other half does not wait.
    let at_once = [
        ("l shop>orders>database", 1),
        ("r shop>orders>database", 1),
        ("s shop>orders>database", 1),
        ("r user>shop>virtual_node", 1),
        ("s user>shop>virtual_node", 1),
    ];
    assert_eq!(edges(&graph, 5), expected(at_once));
    let later = [
        ("l shop>api.example>virtual_node", 1),
        ("r shop>api.example>virtual_node", 1),
        ("l shop>kafka>messaging_system", 1),
        ("r shop>kafka>messaging_system", 1),
        ("l shop>legacy>virtual_node", 1),
        ("r shop>legacy>virtual_node", 1),
        ("u shop>>", 1),
        ("u >shop>", 1),
    ];
    let mut all = expected(at_once);
    all.extend(expected(later));
    assert_eq!(edges(&graph, 11), all);
}

#[test]
fn what_waits_is_bounded_and_what_has_no_room_is_counted() {
    let graph = graph(16 * 2048);
    let spans = (0..10_000).map(|number| call(number, (CLIENT, SERVER)).0).collect();
    take(&graph, vec![of_service("shop", spans)], 1);
    assert!(graph.waiting() <= 16 * 2048);
    let counted = edges(&graph, 2);
    let dropped = counted["d shop>>"];
    assert!(dropped > 9_000, "{dropped}");
    // Those that are due make room.
    take(&graph, vec![of_service("shop", vec![call(20_000, (CLIENT, SERVER)).0])], 11);
    let counted = edges(&graph, 30);
    assert_eq!((counted["d shop>>"], counted["u shop>>"]), (dropped, 10_001 - dropped));
    assert_eq!(graph.waiting(), 0);
}

#[test]
fn spans_of_two_tenants_are_never_joined() {
    let graph = graph(16 << 20);
    let (client, server) = call(1, (CLIENT, SERVER));
    let one = |tenant, service, span: &Span| (tenant, vec![of_service(service, vec![span.clone()])]);
    let requests = vec![
        one(Some("a"), "shop", &client),
        one(Some("b"), "cart of b", &server),
        one(None, "cart of nobody", &server),
        one(Some("a"), "cart", &server),
    ];
    Rows::default().record(&batch_of(requests), None, Some(&graph), 0, Now::after(1).steady);
    let counted = edges(&graph, 30);
    let joined: Vec<_> = counted.keys().filter(|edge| edge.starts_with('r')).collect();
    assert_eq!(joined, ["r shop>cart>"]);
    assert_eq!((counted["u >cart of b>"], counted["u >cart of nobody>"]), (1, 1));
}

#[test]
fn what_a_batch_holds_until_it_is_taken_is_bounded_and_joined_then() {
    let graph = graph(16 * 64 * 1024);
    let (client, server) = call(1, (CLIENT, SERVER));
    let (waits, answers) = call(2, (CLIENT, SERVER));
    take(&graph, vec![of_service("shop", vec![waits])], 1);
    let hold = |batch: &_| Rows::default().hold(batch, None, Some(&graph), Now::after(1).steady);
    let one = hold(&batch(vec![of_service("shop", vec![client]), of_service("cart", vec![server, answers])]));
    let spans = (100..100_100).map(|number| call(number, (CLIENT, SERVER)).0).collect();
    let large = hold(&batch(vec![of_service("flood", spans)]));
    drop(hold(&batch(vec![of_service("gone", vec![call(3, (CLIENT, SERVER)).0])])));
    assert!(large.bytes() <= 64 * 1024, "{}", large.bytes());
    assert_eq!(edges(&graph, 2), BTreeMap::new());
    one.record(None, Some(&graph), 0);
    large.record(None, Some(&graph), 0);
    let counted = edges(&graph, 60);
    assert_eq!((counted["r shop>cart>"], counted["d flood>>"] + counted["u flood>>"]), (2, 100_000));
    assert!(!counted.contains_key("u shop>>") && !counted.contains_key("u gone>>"), "{counted:?}");
}

proptest! {
    #[test]
    fn every_span_is_in_an_edge_once_whatever_the_order(
        order in Just((0..40u64).collect::<Vec<_>>()).prop_shuffle(),
        lost in proptest::collection::hash_set(0..40u64, 0..10),
    ) {
        let graph = graph(16 << 20);
        let halves = order.iter().filter(|number| !lost.contains(number));
        for number in halves {
            let (client, server) = call(number / 2, (CLIENT, SERVER));
            let half = if number % 2 == 0 { of_service("a", vec![client]) } else { of_service("b", vec![server]) };
            take(&graph, vec![half], 1);
        }
        let counted = edges(&graph, 60);
        let of = |name: &str| counted.get(name).copied().unwrap_or(0);
        let whole = (0..20).filter(|pair| !lost.contains(&(pair * 2)) && !lost.contains(&(pair * 2 + 1))).count() as u64;
        prop_assert_eq!(of("r a>b>"), whole);
        prop_assert_eq!(of("u a>>") + of("u >b>"), 40 - lost.len() as u64 - 2 * whole);
    }
}
