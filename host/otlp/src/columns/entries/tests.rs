//! What columns of entries hold, exactly: rows, places, kinds, texts and numbers.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::build;
use crate::batch::{Batch, RequestContext};
use crate::columns::Cells;
use crate::fixture::{self, array, attributes, map, text};

const TEXT: u8 = 0;
const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
const FLOAT: u8 = 3;
const BYTES: u8 = 4;

/// One entry: its row, its place, its kind, its text or bytes, and its number.
type Entry = (u32, &'static str, u8, &'static [u8], u64);

/// Two spans that share a resource and a scope. The first has all there can be.
fn batch() -> Batch {
    let empty = KeyValue { key: "empty".into(), value: Some(AnyValue { value: None }), ..KeyValue::default() };
    let nested = array(vec![
        text("a"),
        map(vec![("k\"q", map(vec![("deep", Value::IntValue(7)), ("next", text("b"))]))]),
        array(vec![Value::BoolValue(true)]),
    ]);
    let mut full = Span {
        trace_state: "x=1".into(),
        status: Some(Status { message: "oh".into(), code: 2 }),
        events: vec![
            Event {
                time_unix_nano: 9,
                attributes: attributes(vec![("exception.message", text("boom")), ("n", Value::IntValue(1))]),
                ..Event::default()
            },
            Event {
                time_unix_nano: u64::MAX,
                name: "second".into(),
                attributes: attributes(vec![("n", text("2"))]),
                ..Event::default()
            },
        ],
        links: vec![
            Link {
                trace_id: vec![0xab; 16],
                span_id: vec![0x01; 8],
                trace_state: "s=1".into(),
                attributes: attributes(vec![("l", text("v"))]),
                ..Link::default()
            },
            Link {
                trace_id: vec![0xcd; 16],
                attributes: attributes(vec![("l", Value::DoubleValue(-1.5))]),
                ..Link::default()
            },
        ],
        ..fixture::span(
            1,
            vec![
                ("text", text("t")),
                ("boolean", Value::BoolValue(true)),
                ("integer", Value::IntValue(-5)),
                ("float", Value::DoubleValue(0.5)),
                ("bytes", Value::BytesValue(b"\xff\x00".to_vec())),
                ("nested", nested),
                ("nothing", text("")),
            ],
        )
    };
    full.attributes.push(empty);
    let spans = vec![full, fixture::span(2, vec![("text", text("u"))])];
    let mut owner =
        fixture::resource_spans(vec![("service.name", text("shop")), ("replicas", Value::IntValue(3))], "lib", spans);
    owner.schema_url = "https://r".into();
    owner.scope_spans[0].schema_url = "https://s".into();
    let scope = owner.scope_spans[0].scope.as_mut().unwrap();
    scope.version = "1.2".into();
    scope.attributes = attributes(vec![("a", text("b")), ("b", Value::BoolValue(false))]);
    fixture::batch(vec![(RequestContext::default(), vec![owner])])
}

/// Whether the column of `path` in these rows holds these entries and nothing else.
fn check(path: &str, rows: &[u32], expected: &[Entry]) {
    let (column, locators) = build(&batch(), rows, &path.parse().unwrap());
    assert!(column.present.is_empty(), "{path}");
    let Cells::Entries(cells) = &column.cells else { panic!("{path}: no entries") };
    assert_eq!(locators.starts.last().copied(), Some(cells.rows.len() as u32), "{path}");
    let all_texts = cells.kinds.is_empty() && cells.numbers.is_empty();
    assert_eq!(all_texts, expected.iter().all(|entry| entry.2 == TEXT), "{path}: kinds stand only where they differ");
    let place = |entry: usize| cells.places.words.get(cells.places.codes[entry] as usize).unwrap();
    let held: Vec<(u32, String, u8, &[u8], u64)> = (0..cells.rows.len())
        .map(|entry| {
            let place = String::from_utf8(place(entry).to_vec()).unwrap();
            let (kind, number) = if all_texts { (TEXT, 0) } else { (cells.kinds[entry], cells.numbers[entry]) };
            (cells.rows[entry], place, kind, cells.values.get(entry).unwrap(), number)
        })
        .collect();
    let expected: Vec<(u32, String, u8, &[u8], u64)> = expected
        .iter()
        .map(|(row, place, kind, value, number)| (*row, (*place).to_owned(), *kind, *value, *number))
        .collect();
    assert_eq!(held, expected, "{path}");
    let mut words: Vec<_> = (0..cells.places.words.len()).map(|i| cells.places.words.get(i).unwrap()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), cells.places.words.len(), "{path}: each place is spelled once");
}

#[test]
fn values_are_everything_with_its_type_and_what_is_shared_stands_at_its_first_row() {
    check(
        "values",
        &[0, 1],
        &[
            (0, "name", TEXT, b"span 1", 0),
            (0, "trace_state", TEXT, b"x=1", 0),
            (0, "status.message", TEXT, b"oh", 0),
            (0, r#"attributes["text"]"#, TEXT, b"t", 0),
            (0, r#"attributes["boolean"]"#, BOOLEAN, b"", 1),
            (0, r#"attributes["integer"]"#, INTEGER, b"", (-5_i64).cast_unsigned()),
            (0, r#"attributes["float"]"#, FLOAT, b"", 0.5_f64.to_bits()),
            (0, r#"attributes["bytes"]"#, BYTES, b"\xff\x00", 0),
            (0, r#"attributes["nested"]"#, TEXT, b"a", 0),
            (0, r#"attributes["nested"]["k\"q"]["deep"]"#, INTEGER, b"", 7),
            (0, r#"attributes["nested"]["k\"q"]["next"]"#, TEXT, b"b", 0),
            (0, r#"attributes["nested"]"#, BOOLEAN, b"", 1),
            (0, r#"attributes["nothing"]"#, TEXT, b"", 0),
            (0, r#"events.attributes["exception.message"]"#, TEXT, b"boom", 0),
            (0, r#"events.attributes["n"]"#, INTEGER, b"", 1),
            (0, "events.name", TEXT, b"second", 0),
            (0, r#"events.attributes["n"]"#, TEXT, b"2", 0),
            (0, "links.trace_state", TEXT, b"s=1", 0),
            (0, r#"links.attributes["l"]"#, TEXT, b"v", 0),
            (0, r#"links.attributes["l"]"#, FLOAT, b"", (-1.5_f64).to_bits()),
            (0, "scope.name", TEXT, b"lib", 0),
            (0, "scope.version", TEXT, b"1.2", 0),
            (0, "scope.schema_url", TEXT, b"https://s", 0),
            (0, r#"scope.attributes["a"]"#, TEXT, b"b", 0),
            (0, r#"scope.attributes["b"]"#, BOOLEAN, b"", 0),
            (0, "resource.schema_url", TEXT, b"https://r", 0),
            (0, r#"resource.attributes["service.name"]"#, TEXT, b"shop", 0),
            (0, r#"resource.attributes["replicas"]"#, INTEGER, b"", 3),
            (1, "name", TEXT, b"span 2", 0),
            (1, r#"attributes["text"]"#, TEXT, b"u", 0),
        ],
    );
}

#[test]
fn strings_are_the_texts_among_them() {
    check(
        "strings",
        &[0, 1],
        &[
            (0, "name", TEXT, b"span 1", 0),
            (0, "trace_state", TEXT, b"x=1", 0),
            (0, "status.message", TEXT, b"oh", 0),
            (0, r#"attributes["text"]"#, TEXT, b"t", 0),
            (0, r#"attributes["nested"]"#, TEXT, b"a", 0),
            (0, r#"attributes["nested"]["k\"q"]["next"]"#, TEXT, b"b", 0),
            (0, r#"attributes["nothing"]"#, TEXT, b"", 0),
            (0, r#"events.attributes["exception.message"]"#, TEXT, b"boom", 0),
            (0, "events.name", TEXT, b"second", 0),
            (0, r#"events.attributes["n"]"#, TEXT, b"2", 0),
            (0, "links.trace_state", TEXT, b"s=1", 0),
            (0, r#"links.attributes["l"]"#, TEXT, b"v", 0),
            (0, "scope.name", TEXT, b"lib", 0),
            (0, "scope.version", TEXT, b"1.2", 0),
            (0, "scope.schema_url", TEXT, b"https://s", 0),
            (0, r#"scope.attributes["a"]"#, TEXT, b"b", 0),
            (0, "resource.schema_url", TEXT, b"https://r", 0),
            (0, r#"resource.attributes["service.name"]"#, TEXT, b"shop", 0),
            (1, "name", TEXT, b"span 2", 0),
            (1, r#"attributes["text"]"#, TEXT, b"u", 0),
        ],
    );
}

#[test]
fn what_is_shared_goes_to_the_first_row_that_is_shown() {
    let expected = [
        (0, "name", TEXT, &b"span 2"[..], 0),
        (0, r#"attributes["text"]"#, TEXT, b"u", 0),
        (0, "scope.name", TEXT, b"lib", 0),
        (0, "scope.version", TEXT, b"1.2", 0),
        (0, "scope.schema_url", TEXT, b"https://s", 0),
        (0, r#"scope.attributes["a"]"#, TEXT, b"b", 0),
        (0, "resource.schema_url", TEXT, b"https://r", 0),
        (0, r#"resource.attributes["service.name"]"#, TEXT, b"shop", 0),
    ];
    check("strings", &[1], &expected);
}

#[test]
fn events_have_their_name_and_time_each_and_links_their_ids_as_hex() {
    check(
        "events",
        &[0, 1],
        &[
            (0, "events.name", TEXT, b"", 0),
            (0, "events.time_unix_nano", INTEGER, b"", 9),
            (0, r#"events.attributes["exception.message"]"#, TEXT, b"boom", 0),
            (0, r#"events.attributes["n"]"#, INTEGER, b"", 1),
            (0, "events.name", TEXT, b"second", 0),
            (0, "events.time_unix_nano", INTEGER, b"", i64::MAX.cast_unsigned()),
            (0, r#"events.attributes["n"]"#, TEXT, b"2", 0),
        ],
    );
    check(
        "links",
        &[0, 1],
        &[
            (0, "links.trace_id", TEXT, b"abababababababababababababababab", 0),
            (0, "links.span_id", TEXT, b"0101010101010101", 0),
            (0, "links.trace_state", TEXT, b"s=1", 0),
            (0, r#"links.attributes["l"]"#, TEXT, b"v", 0),
            (0, "links.trace_id", TEXT, b"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", 0),
            (0, r#"links.attributes["l"]"#, FLOAT, b"", (-1.5_f64).to_bits()),
        ],
    );
}

#[test]
fn one_kind_of_attributes_and_one_key_of_events_and_links() {
    check(
        "attributes",
        &[0, 1],
        &[
            (0, r#"attributes["text"]"#, TEXT, b"t", 0),
            (0, r#"attributes["boolean"]"#, BOOLEAN, b"", 1),
            (0, r#"attributes["integer"]"#, INTEGER, b"", (-5_i64).cast_unsigned()),
            (0, r#"attributes["float"]"#, FLOAT, b"", 0.5_f64.to_bits()),
            (0, r#"attributes["bytes"]"#, BYTES, b"\xff\x00", 0),
            (0, r#"attributes["nested"]"#, TEXT, b"a", 0),
            (0, r#"attributes["nested"]["k\"q"]["deep"]"#, INTEGER, b"", 7),
            (0, r#"attributes["nested"]["k\"q"]["next"]"#, TEXT, b"b", 0),
            (0, r#"attributes["nested"]"#, BOOLEAN, b"", 1),
            (0, r#"attributes["nothing"]"#, TEXT, b"", 0),
            (1, r#"attributes["text"]"#, TEXT, b"u", 0),
        ],
    );
    check(
        r#"events.attributes["n"]"#,
        &[0, 1],
        &[(0, r#"events.attributes["n"]"#, INTEGER, b"", 1), (0, r#"events.attributes["n"]"#, TEXT, b"2", 0)],
    );
    check(
        r#"links.attributes["l"]"#,
        &[0, 1],
        &[
            (0, r#"links.attributes["l"]"#, TEXT, b"v", 0),
            (0, r#"links.attributes["l"]"#, FLOAT, b"", (-1.5_f64).to_bits()),
        ],
    );
    check(
        "resource.attributes",
        &[0, 1],
        &[
            (0, r#"resource.attributes["service.name"]"#, TEXT, b"shop", 0),
            (0, r#"resource.attributes["replicas"]"#, INTEGER, b"", 3),
        ],
    );
    check("events.name", &[0, 1], &[(0, "events.name", TEXT, b"second", 0)]);
}
