//! What columns show: every path, every layout, and what `present` says.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::build::build;
use super::{Cells, Column, Texts};
use crate::batch::{Batch, RequestContext};
use crate::fixture::{self, resource_spans, span, text};
use crate::path::{Layout, Want};

fn want(path: &str, layout: Layout) -> Want {
    Want::new(path.parse().unwrap(), layout).unwrap()
}

fn column(batch: &Batch, path: &str, layout: Layout) -> Column {
    let rows: Vec<u32> = (0..batch.rows()).collect();
    build(batch, &rows, &want(path, layout))
}

fn strings(texts: &Texts) -> Vec<String> {
    (0..texts.len()).map(|i| String::from_utf8_lossy(texts.get(i).unwrap()).into_owned()).collect()
}

/// What a column of texts or words shows of each row, checked against what must always hold.
fn shown(column: &Column) -> Vec<String> {
    match &column.cells {
        Cells::Text(texts) | Cells::Bytes(texts) => strings(texts),
        Cells::Words(words) => {
            let distinct = strings(&words.words);
            assert!(distinct.iter().enumerate().all(|(i, word)| !distinct[..i].contains(word)), "{distinct:?}");
            for (row, &mark) in column.present.iter().enumerate() {
                assert!(mark == 1 || words.codes[row] == 0 && distinct[0].is_empty());
            }
            words.codes.iter().map(|&code| distinct[code as usize].clone()).collect()
        }
        other => panic!("no texts: {other:?}"),
    }
}

#[test]
fn an_attribute_is_shown_by_its_type() {
    let mixed = || {
        vec![
            span(1, vec![("k", text("a")), ("k", text("second"))]),
            span(2, vec![]),
            span(3, vec![("kk", text("no")), ("k", Value::IntValue(-5))]),
            span(4, vec![("k", Value::DoubleValue(0.5))]),
            span(5, vec![("k", Value::BoolValue(true))]),
            span(6, vec![("k", Value::BytesValue(b"\xff\x00".to_vec()))]),
            span(7, vec![("k", fixture::array(vec![text("x")]))]),
            span(8, vec![("k", text(""))]),
        ]
    };
    let batch = fixture::spans(mixed());
    let path = r#"attributes["k"]"#;
    for layout in [Layout::Text, Layout::Words] {
        let column = column(&batch, path, layout);
        assert_eq!(column.present, [1, 0, 2, 2, 2, 2, 2, 1], "{layout}");
        assert_eq!(shown(&column), ["a", "", "", "", "", "", "", ""]);
    }
    let integers = column(&batch, path, Layout::Integers);
    assert_eq!(integers.present, [2, 0, 1, 2, 2, 2, 2, 2]);
    assert_eq!(integers.cells, Cells::Integers(vec![0, 0, -5, 0, 0, 0, 0, 0]));
    let floats = column(&batch, path, Layout::Floats);
    assert_eq!(floats.present, [2, 0, 2, 1, 2, 2, 2, 2]);
    assert_eq!(floats.cells, Cells::Floats(vec![0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]));
    let booleans = column(&batch, path, Layout::Booleans);
    assert_eq!(booleans.present, [2, 0, 2, 2, 1, 2, 2, 2]);
    assert_eq!(booleans.cells, Cells::Booleans(vec![0, 0, 0, 0, 1, 0, 0, 0]));
    let bytes = column(&batch, path, Layout::Bytes);
    assert_eq!(bytes.present, [2, 0, 2, 2, 2, 1, 2, 2]);
    let Cells::Bytes(texts) = &bytes.cells else { panic!() };
    assert_eq!((texts.len(), texts.get(5)), (8, Some(&b"\xff\x00"[..])));
}

#[test]
fn present_is_empty_when_every_row_has_it() {
    let batch = fixture::spans(vec![span(1, vec![("k", text("a"))]), span(2, vec![("k", text("b"))])]);
    for layout in [Layout::Text, Layout::Words] {
        let column = column(&batch, r#"attributes["k"]"#, layout);
        assert!(column.present.is_empty());
        assert_eq!(shown(&column), ["a", "b"]);
    }
}

#[test]
fn keys_of_every_length_are_told_apart_at_both_ends_and_in_the_middle() {
    for len in [1, 2, 7, 8, 9, 15, 16, 17, 24, 40, 130] {
        let key: String = (0..len).map(|i| char::from(b'a' + (i % 26) as u8)).collect();
        let mut pairs: Vec<(String, Value)> = (0..len)
            .map(|i| {
                let mut near = key.clone().into_bytes();
                near[i] = b'_';
                (String::from_utf8(near).unwrap(), text("near"))
            })
            .collect();
        pairs.push((key.clone(), text("it")));
        let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let batch = fixture::spans(vec![span(1, pairs)]);
        let column = column(&batch, &format!("attributes[\"{key}\"]"), Layout::Words);
        assert_eq!(shown(&column), ["it"], "{len}");
    }
}

#[test]
fn a_spans_own_texts_and_ids_are_absent_when_empty_and_its_numbers_never() {
    let full = Span {
        trace_id: (0..16).collect(),
        span_id: vec![0xab; 8],
        parent_span_id: vec![1, 0, 0, 0, 0, 0, 0, 2],
        trace_state: "a=1".into(),
        name: "full".into(),
        kind: 2,
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 1_500,
        status: Some(Status { message: "oh".into(), code: 2 }),
        flags: 0x301,
        dropped_attributes_count: 1,
        dropped_events_count: 2,
        dropped_links_count: 3,
        ..Span::default()
    };
    let bare = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![0; 8],
        start_time_unix_nano: u64::MAX,
        end_time_unix_nano: 5,
        ..Span::default()
    };
    let batch = fixture::spans(vec![full, bare]);
    for (path, value) in [("trace_state", "a=1"), ("name", "full"), ("status.message", "oh")] {
        for layout in [Layout::Text, Layout::Words] {
            let column = column(&batch, path, layout);
            assert_eq!((column.present.as_slice(), shown(&column)), (&[1, 0][..], vec![value.into(), String::new()]));
        }
    }
    for (path, values) in [
        ("kind", [2, 0]),
        ("status.code", [2, 0]),
        ("flags", [0x301, 0]),
        ("start_time_unix_nano", [1_000, i64::MAX]),
        ("end_time_unix_nano", [1_500, 5]),
        ("duration", [500, 0]),
        ("dropped_attributes_count", [1, 0]),
        ("dropped_events_count", [2, 0]),
        ("dropped_links_count", [3, 0]),
    ] {
        let expected = Column { present: vec![], cells: Cells::Integers(values.to_vec()) };
        assert_eq!(column(&batch, path, Layout::Integers), expected, "{path}");
    }
    let ids = column(&batch, "trace_id", Layout::Ids);
    assert!(ids.present.is_empty());
    assert_eq!(ids.cells, Cells::Ids([(0..16).collect::<Vec<u8>>(), vec![1; 16]].concat()));
    let parents = column(&batch, "parent_span_id", Layout::Ids);
    assert_eq!(parents.present, [1, 0]);
    assert_eq!(parents.cells, Cells::Ids(vec![1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]));
    for layout in [Layout::Text, Layout::Words] {
        let parents = column(&batch, "parent_span_id", layout);
        assert_eq!(parents.present, [1, 0]);
        assert_eq!(shown(&parents), ["0100000000000002", ""]);
        assert_eq!(shown(&column(&batch, "span_id", layout)), ["abababababababab", "0202020202020202"]);
        assert_eq!(shown(&column(&batch, "trace_id", layout))[0], "000102030405060708090a0b0c0d0e0f");
    }
}

/// Two requests; the first with two resources of which one has two scopes' worth of rows.
fn shared() -> Batch {
    let context = |tenant: &str, header: &str| RequestContext {
        tenant: (!tenant.is_empty()).then(|| tenant.into()),
        peer: "10.0.0.1".into(),
        headers: vec![("x-team".into(), header.into())],
    };
    let mut first = resource_spans(
        vec![("service.name", text("shop")), ("replicas", Value::IntValue(3))],
        "lib",
        vec![span(1, vec![]), span(2, vec![])],
    );
    first.schema_url = "https://r".into();
    first.scope_spans[0].schema_url = "https://s".into();
    let scope = first.scope_spans[0].scope.as_mut().unwrap();
    scope.version = "1.2".into();
    scope.attributes = fixture::attributes(vec![("a", text("b"))]);
    let second = resource_spans(vec![], "", vec![span(3, vec![])]);
    let third = resource_spans(vec![("service.name", text("cart"))], "lib", vec![span(4, vec![])]);
    fixture::batch(vec![(context("acme", "red"), vec![first, second]), (context("", ""), vec![third])])
}

#[test]
fn what_spans_share_is_shown_on_each_of_their_rows() {
    let batch = shared();
    for (path, present, values) in [
        (r#"resource.attributes["service.name"]"#, &[1, 1, 0, 1][..], ["shop", "shop", "", "cart"]),
        (r#"resource.attributes["replicas"]"#, &[2, 2, 0, 0], ["", "", "", ""]),
        (r#"scope.attributes["a"]"#, &[1, 1, 0, 0], ["b", "b", "", ""]),
        ("resource.schema_url", &[1, 1, 0, 0], ["https://r", "https://r", "", ""]),
        ("scope.schema_url", &[1, 1, 0, 0], ["https://s", "https://s", "", ""]),
        ("scope.name", &[1, 1, 0, 1], ["lib", "lib", "", "lib"]),
        ("scope.version", &[1, 1, 0, 0], ["1.2", "1.2", "", ""]),
        ("request.tenant", &[1, 1, 1, 0], ["acme", "acme", "acme", ""]),
        ("request.peer", &[], ["10.0.0.1"; 4]),
        (r#"request.header["X-Team"]"#, &[], ["red", "red", "red", ""]),
        (r#"request.header["x-other"]"#, &[0; 4], [""; 4]),
    ] {
        for layout in [Layout::Text, Layout::Words] {
            let column = column(&batch, path, layout);
            assert_eq!(
                (column.present.as_slice(), shown(&column)),
                (present, values.map(String::from).to_vec()),
                "{path}"
            );
        }
    }
    let Cells::Integers(resources) = column(&batch, "resource", Layout::Integers).cells else { panic!() };
    assert!(resources[0] == resources[1] && resources[1] != resources[2] && resources[2] != resources[3]);
    let Cells::Integers(scopes) = column(&batch, "scope", Layout::Integers).cells else { panic!() };
    assert!(scopes[0] == scopes[1] && scopes[1] != scopes[2] && scopes[2] != scopes[3]);
}

#[test]
fn only_the_rows_that_are_asked_for_are_shown() {
    let batch = shared();
    let column = build(&batch, &[1, 3], &want(r#"resource.attributes["service.name"]"#, Layout::Words));
    assert!(column.present.is_empty());
    assert_eq!(shown(&column), ["shop", "cart"]);
}
