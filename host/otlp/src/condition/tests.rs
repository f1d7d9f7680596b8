//! Every operator on every kind of place.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, Status};

use super::{Condition, Filter, Operator};
use crate::batch::{Batch, RequestContext};
use crate::columns::build::build;
use crate::columns::{Cells, Shown};
use crate::edit::apply::apply;
use crate::edit::{Constant, Edit, Mode, Rows, Values};
use crate::fixture::{self, attributes, resource_spans, span, text};
use crate::path::{Layout, Want};

fn is(path: &str, operator: Operator, values: Vec<Constant>) -> Condition {
    Condition { path: path.parse().unwrap(), operator, values, negated: false }
}

fn not(condition: Condition) -> Condition {
    Condition { negated: !condition.negated, ..condition }
}

fn texts(values: &[&str]) -> Vec<Constant> {
    values.iter().map(|&value| Constant::Text(value.into())).collect()
}

fn select(batch: &Batch, lists: &[Vec<Condition>]) -> Vec<u32> {
    let rows: Vec<u32> = (0..batch.rows()).collect();
    let mut matching = vec![99];
    Filter::compile(lists).unwrap().select(batch, &rows, &mut matching);
    matching
}

fn one(batch: &Batch, condition: Condition) -> Vec<u32> {
    let plain = select(batch, &[vec![condition.clone()]]);
    // Negation turns every row around.
    let negated = select(batch, &[vec![not(condition)]]);
    let mut all = [plain.clone(), negated].concat();
    all.sort_unstable();
    assert_eq!(all, (0..batch.rows()).collect::<Vec<_>>());
    plain
}

fn routes() -> Batch {
    fixture::spans(vec![
        span(1, vec![("route", text("/health"))]),
        span(2, vec![("route", text("/health/live"))]),
        span(3, vec![("route", text("/cart"))]),
        span(4, vec![("route", Value::IntValue(7))]),
        span(5, vec![]),
        span(6, vec![("route", Value::DoubleValue(1.5))]),
        span(7, vec![("route", Value::BoolValue(true))]),
        span(8, vec![("route", Value::BytesValue(b"/health".to_vec()))]),
        span(9, vec![("route", fixture::array(vec![text("/health")]))]),
    ])
}

#[test]
fn operators_compare_values_of_their_own_type() {
    use Operator::{Contains, Equals, Exists, Greater, Less, Matches, Prefix};
    let batch = routes();
    let route = |operator, values| one(&batch, is(r#"attributes["route"]"#, operator, values));
    assert_eq!(route(Exists, vec![]), [0, 1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(route(Equals, texts(&["/health"])), [0]);
    assert_eq!(route(Equals, texts(&["/nothing", "/cart", "/health"])), [0, 2]);
    let many: Vec<String> = (0..20).map(|i| format!("/{i}")).chain(["/cart".into()]).collect();
    assert_eq!(route(Equals, texts(&many.iter().map(String::as_str).collect::<Vec<_>>())), [2]);
    assert_eq!(route(Prefix, texts(&["/health", "/x"])), [0, 1]);
    assert_eq!(route(Contains, texts(&["art", "live"])), [1, 2]);
    assert_eq!(route(Matches, texts(&["^/(cart|health)$"])), [0, 2]);
    assert_eq!(route(Equals, vec![Constant::Integer(7)]), [3]);
    assert_eq!(route(Equals, vec![Constant::Float(1.5), Constant::Integer(7)]), [3, 5]);
    assert_eq!(route(Equals, vec![Constant::Boolean(true)]), [6]);
    assert_eq!(route(Equals, vec![Constant::Boolean(false)]), [] as [u32; 0]);
    assert_eq!(route(Equals, vec![Constant::Bytes(b"/health".to_vec())]), [7]);
    assert_eq!(route(Greater, vec![Constant::Integer(6)]), [3]);
    assert_eq!(route(Greater, vec![Constant::Integer(7)]), [] as [u32; 0]);
    assert_eq!(route(Less, vec![Constant::Float(2.0)]), [5]);
    assert_eq!(route(Less, vec![Constant::Integer(8), Constant::Float(1.0)]), [3]);
    assert_eq!(route(Equals, vec![Constant::Text("/cart".into()), Constant::Integer(7)]), [2, 3]);
}

#[test]
fn any_list_and_all_of_its_conditions() {
    use Operator::{Contains, Equals, Prefix};
    let batch = routes();
    let route = |operator, value: &str| is(r#"attributes["route"]"#, operator, texts(&[value]));
    let lists = [
        vec![route(Prefix, "/health"), not(route(Contains, "live"))],
        vec![route(Equals, "/cart"), is("name", Equals, texts(&["span 3"]))],
        vec![route(Equals, "/cart"), is("name", Equals, texts(&["another"]))],
    ];
    assert_eq!(select(&batch, &lists), [0, 2]);
    assert_eq!(select(&batch, &[]), (0..9).collect::<Vec<_>>());
    assert_eq!(select(&batch, &[vec![]]), (0..9).collect::<Vec<_>>());
    assert!(Filter::compile(&[]).unwrap().is_every());
}

#[test]
fn own_fields_ids_owners_and_requests() {
    use Operator::{Equals, Exists, Greater, Prefix};
    let mut server = span(1, vec![]);
    (server.kind, server.start_time_unix_nano, server.end_time_unix_nano) = (2, 10, 30);
    server.parent_span_id = vec![9; 8];
    let first = resource_spans(vec![("service.name", text("shop"))], "lib", vec![server, span(2, vec![])]);
    let second = resource_spans(vec![("service.name", text("cart"))], "", vec![span(3, vec![])]);
    let context = RequestContext { tenant: Some("acme".into()), ..RequestContext::default() };
    let third = resource_spans(vec![("service.name", text("shop"))], "", vec![span(4, vec![])]);
    let batch = fixture::batch(vec![(context, vec![first, second]), (RequestContext::default(), vec![third])]);
    assert_eq!(one(&batch, is("kind", Equals, vec![Constant::Integer(2)])), [0]);
    assert_eq!(one(&batch, is("duration", Greater, vec![Constant::Integer(19)])), [0]);
    assert_eq!(one(&batch, is("parent_span_id", Exists, vec![])), [0]);
    assert_eq!(one(&batch, is("span_id", Equals, texts(&["0000000000000003"]))), [2]);
    assert_eq!(one(&batch, is("span_id", Equals, vec![Constant::Bytes(4u64.to_be_bytes().to_vec())])), [3]);
    assert_eq!(one(&batch, is("trace_id", Prefix, texts(&["0707"]))), [0, 1, 2, 3]);
    assert_eq!(one(&batch, is(r#"resource.attributes["service.name"]"#, Equals, texts(&["shop"]))), [0, 1, 3]);
    assert_eq!(one(&batch, is("scope.name", Exists, vec![])), [0, 1]);
    assert_eq!(one(&batch, is("request.tenant", Equals, texts(&["acme"]))), [0, 1, 2]);
}

#[test]
fn of_many_places_one_suffices() {
    use Operator::{Contains, Equals, Exists, Greater};
    let mut with_event = span(1, vec![("n", fixture::map(vec![("deep", fixture::array(vec![text("secret")]))]))]);
    with_event.events = vec![
        Event { time_unix_nano: 5, name: "first".into(), ..Event::default() },
        Event {
            time_unix_nano: 500,
            name: "exception".into(),
            attributes: attributes(vec![("message", text("boom")), ("code", Value::IntValue(3))]),
            ..Event::default()
        },
    ];
    let mut with_link = span(2, vec![("count", Value::IntValue(42))]);
    with_link.links = vec![Link {
        trace_id: vec![0xaa; 16],
        span_id: vec![0xbb; 8],
        attributes: attributes(vec![("why", text("retry"))]),
        ..Link::default()
    }];
    let batch = fixture::spans(vec![with_event, with_link, span(3, vec![])]);
    let holds = |path: &str, value: &str| one(&batch, is(path, Contains, texts(&[value])));
    assert_eq!(holds("attributes", "secret"), [0]);
    assert_eq!(holds("strings", "secret"), [0]);
    assert_eq!(holds("strings", "span 2"), [1]);
    assert_eq!(holds("values", "boom"), [0]);
    assert_eq!(holds("events", "boom"), [0]);
    assert_eq!(holds("events.name", "exception"), [0]);
    assert_eq!(holds(r#"events.attributes["message"]"#, "boom"), [0]);
    assert_eq!(holds("links", "aaaa"), [1]);
    assert_eq!(holds("links", "retry"), [1]);
    assert_eq!(holds(r#"links.attributes["why"]"#, "retry"), [1]);
    let integer = |path: &str, value| one(&batch, is(path, Equals, vec![Constant::Integer(value)]));
    assert_eq!(integer("attributes", 42), [1]);
    assert_eq!(integer("values", 3), [0]);
    assert_eq!(integer("strings", 42), [] as [u32; 0]);
    assert_eq!(one(&batch, is("events", Greater, vec![Constant::Integer(499)])), [0]);
    assert_eq!(one(&batch, is("attributes", Exists, vec![])), [0, 1]);
    assert_eq!(one(&batch, is("events", Exists, vec![])), [0]);
    assert_eq!(one(&batch, is("links", Exists, vec![])), [1]);
}

#[test]
fn what_can_never_be_judged_is_refused_by_its_place() {
    use Operator::{Equals, Exists, Greater, Matches, Prefix};
    let error = |condition: Condition| {
        let fine = is("name", Exists, vec![]);
        Filter::compile(&[vec![fine.clone()], vec![fine, condition]]).unwrap_err().to_string()
    };
    let place = "condition 2 of list 2, on `name`: ";
    assert_eq!(error(is("name", Exists, texts(&["x"]))), format!("{place}`exists` takes no values"));
    assert_eq!(error(is("name", Equals, vec![])), format!("{place}there is no value to compare with"));
    assert_eq!(
        error(is("name", Prefix, vec![Constant::Integer(1)])),
        format!("{place}`prefix` compares with texts only")
    );
    assert_eq!(
        error(is("name", Greater, texts(&["1"]))),
        format!("{place}`greater` compares with integers and floats only")
    );
    assert!(error(is("name", Matches, texts(&["("]))).starts_with(&format!("{place}`(` is no regular expression")));
    let huge = r"\w{1000}{1000}";
    assert!(error(is("name", Matches, texts(&[huge]))).contains("size limit"));
}

#[test]
fn many_attributes_are_looked_up_at_once_and_forgotten_with_the_row() {
    let keys: Vec<String> = (0..70).map(|i| format!("key.{i}")).collect();
    let spans = (0..70).map(|i| span(i as u64, vec![(keys[i].as_str(), text("yes")), ("other", text("yes"))]));
    let batch = fixture::spans(spans.collect());
    let exists = |key: &str| is(&format!(r#"attributes["{key}"]"#), Operator::Equals, texts(&["yes"]));
    let lists: Vec<_> = keys.iter().map(|key| vec![exists(key)]).collect();
    assert_eq!(select(&batch, &lists), (0..70).collect::<Vec<_>>());
    // No span has two of the keys, whether both have a bit of their own or share the last one.
    for (one, two) in [(0, 1), (0, 69), (63, 69)] {
        let both = vec![exists(&keys[one]), exists(&keys[two])];
        let either = [both.clone(), vec![exists(&keys[two]), exists("other")]];
        assert_eq!(select(&batch, &[both]), [] as [u32; 0]);
        assert_eq!(select(&batch, &either), [two as u32]);
        let but = vec![not(exists(&keys[one])), exists(&keys[two])];
        assert_eq!(select(&batch, &[but]), [two as u32]);
    }
}

/// What is looked for stands in one kind of place for each span, or next to a border that only the bytes have.
#[test]
fn a_look_at_the_bytes_never_changes_the_verdict() {
    let mut spans = vec![
        span(1, vec![("mail", text("to a@b.de"))]),
        span(2, vec![("mail", text("@scope/package"))]),
        span(3, vec![("mail", fixture::array(vec![text("x"), text("c@d.de")]))]),
        span(4, vec![("mail", Value::BytesValue(b"e@f.de".to_vec()))]),
        // The key holds it, and is no text of the span's.
        span(5, vec![("g@h.de", Value::IntValue(1))]),
        span(6, vec![]),
    ];
    spans[5].events.push(Event { name: "i@j.de".into(), ..Event::default() });
    let batch = fixture::spans(spans);
    let strings = |operator, value| one(&batch, is("strings", operator, texts(&[value])));
    assert_eq!(strings(Operator::Contains, "@"), [0, 1, 2, 5]);
    assert_eq!(strings(Operator::Matches, "[a-z]@[a-z]"), [0, 2, 5]);
    assert_eq!(strings(Operator::Matches, "^[a-z]@"), [2, 5], "an anchor means the text's border, not the span's");
    assert_eq!(strings(Operator::Matches, r"\b[a-z]@"), [0, 2, 5]);
}

#[test]
fn what_spans_share_is_judged_with_each_of_them_and_edits_are_seen() {
    let two = || vec![span(1, vec![("mail", text("a@b.de"))]), span(2, vec![])];
    let has_mail = |batch: &Batch| one(batch, is("strings", Operator::Contains, texts(&["@"])));
    let mut batch = fixture::spans(two());
    assert_eq!(has_mail(&batch), [0]);
    let shown = Shown { rows: vec![0, 1], ..Shown::default() };
    let set = |key: &str, row, to: &str| Edit::Set {
        path: key.parse().unwrap(),
        at: Rows::These(vec![row]),
        to: Values::Same(Constant::Text(to.into())),
        mode: Mode::Upsert,
    };
    apply(&mut batch, &shown, &[set(r#"attributes["mail"]"#, 0, "gone")]);
    assert_eq!(has_mail(&batch), [] as [u32; 0]);
    apply(&mut batch, &shown, &[set(r#"attributes["new"]"#, 1, "c@d.de")]);
    assert_eq!(has_mail(&batch), [1]);
    for (resource, scope) in [(vec![], "@org/lib"), (vec![("owner", text("e@f.de"))], "lib")] {
        let shared = fixture::batch(vec![(RequestContext::default(), vec![resource_spans(resource, scope, two())])]);
        assert_eq!(has_mail(&shared), [0, 1]);
    }
}

/// One span with something at every place that has one value. `number` makes it another than others.
fn full(number: u64) -> (RequestContext, Vec<ResourceSpans>) {
    let said = |what: &str| format!("{what} {number}");
    let context = RequestContext {
        tenant: Some(said("tenant").into()),
        peer: said("peer").into(),
        headers: vec![("x-team".into(), said("team").into())],
    };
    let span = Span {
        trace_state: said("state"),
        parent_span_id: vec![number as u8; 8],
        kind: number as i32,
        flags: 256 + number as u32,
        start_time_unix_nano: 1000 * number,
        end_time_unix_nano: 1500 * number,
        dropped_attributes_count: 10 + number as u32,
        dropped_events_count: 20 + number as u32,
        dropped_links_count: 30 + number as u32,
        status: Some(Status { code: number as i32, message: said("status") }),
        ..span(number, vec![("k", text(&said("own")))])
    };
    let mut all = resource_spans(vec![("k", text(&said("resource")))], &said("scope"), vec![span]);
    all.schema_url = said("resource schema");
    all.scope_spans[0].schema_url = said("scope schema");
    let scope = all.scope_spans[0].scope.as_mut().unwrap();
    scope.version = said("version");
    scope.attributes = attributes(vec![("k", text(&said("of the scope")))]);
    (context, vec![all])
}

#[test]
fn at_every_place_conditions_judge_what_columns_show() {
    let batch = fixture::batch(vec![full(1), full(2)]);
    let (texts_at, numbers_at) = (
        [
            "trace_state",
            "name",
            "status.message",
            "resource.schema_url",
            "scope.name",
            "scope.version",
            "scope.schema_url",
            "request.tenant",
            "request.peer",
            r#"attributes["k"]"#,
            r#"resource.attributes["k"]"#,
            r#"scope.attributes["k"]"#,
            r#"request.header["x-team"]"#,
        ],
        [
            "kind",
            "status.code",
            "flags",
            "start_time_unix_nano",
            "end_time_unix_nano",
            "duration",
            "dropped_attributes_count",
            "dropped_events_count",
            "dropped_links_count",
        ],
    );
    let cells = |path: &str, layout| build(&batch, &[0, 1], &Want::new(path.parse().unwrap(), layout).unwrap()).cells;
    for path in texts_at {
        let Cells::Text(shown) = cells(path, Layout::Text) else { panic!("{path}") };
        for row in 0..2 {
            let own = std::str::from_utf8(shown.get(row).unwrap()).unwrap();
            assert!(own.ends_with(&format!(" {}", row + 1)), "{path}: {own}");
            assert_eq!(one(&batch, is(path, Operator::Equals, texts(&[own]))), [row as u32], "{path}");
        }
        assert_eq!(one(&batch, is(path, Operator::Exists, vec![])), [0, 1], "{path}");
    }
    for path in numbers_at {
        let Cells::Integers(shown) = cells(path, Layout::Integers) else { panic!("{path}") };
        assert!(shown[0] > 0 && shown[0] < shown[1], "{path}: {shown:?}");
        for (row, &own) in (0..).zip(&shown) {
            assert_eq!(one(&batch, is(path, Operator::Equals, vec![Constant::Integer(own)])), [row], "{path}");
        }
        assert_eq!(one(&batch, is(path, Operator::Greater, vec![Constant::Integer(shown[0])])), [1], "{path}");
    }
}
