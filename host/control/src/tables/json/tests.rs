//! JSON well and badly written.

use otlp::path::Layout;
use otlp::value::Value;
use wasm::tables::Table as _;

use super::*;

fn of(text: &str, key: Option<&str>) -> Keyed {
    read(text.as_bytes(), key).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn wrong(text: &str, key: Option<&str>) -> String {
    read(text.as_bytes(), key).expect_err("no table")
}

/// A field of a key, as `Debug` shows it.
fn value(table: &Keyed, key: &str, field: &str) -> String {
    let rows = table.find(&mut std::iter::once(key.as_bytes()));
    let value = rows.values(field, Layout::Text).expect("a field").next().expect("a row");
    match value {
        Some(Value::Text(text)) => String::from_utf8(text.to_vec()).expect("UTF-8"),
        other => format!("{other:?}"),
    }
}

#[test]
fn an_object_of_objects_and_an_array_of_them_are_the_same_table() {
    let object = of(r#"{"cart": {"team": "shop", "id": "cart"}, "7": {"team": "seven"}}"#, None);
    let array = of("\u{feff}[{\"id\": \"cart\", \"team\": \"shop\"}, {\"id\": 7, \"team\": \"seven\"}]", Some("id"));
    for table in [object, array] {
        assert_eq!(table.entries(), 2);
        assert_eq!(value(&table, "cart", "team"), "shop");
        assert_eq!(value(&table, "7", "team"), "seven");
        assert_eq!(value(&table, "cart", "id"), "cart");
    }
}

#[test]
fn values_keep_their_types_and_objects_within_have_dotted_names() {
    let text = r#"{"a": {"i": -3, "f": 1.5, "b": true, "n": null, "l": [1], "o": {"p": {"q": "deep"}}, "u": 18446744073709551615}, "z": {}}"#;
    let table = of(text, None);
    for (field, expected) in [
        ("i", "Some(Integer(-3))"),
        ("f", "Some(Float(1.5))"),
        ("b", "Some(Boolean(true))"),
        ("l", "Some(Empty)"),
        ("o", "Some(Empty)"),
        ("o.p.q", "deep"),
        ("u", "Some(Float(1.8446744073709552e19))"),
    ] {
        assert_eq!(value(&table, "a", field), expected, "{field}");
        assert_eq!(value(&table, "z", field), "None", "{field}");
        assert_eq!(value(&table, "y", field), "None", "{field}");
    }
    let rows = table.find(&mut std::iter::once(&b"a"[..]));
    assert!(rows.values("n", Layout::Text).is_none(), "null is no value");
    assert!(rows.values("o.p.r", Layout::Text).is_none());
}

#[test]
fn of_a_field_that_is_written_in_two_ways_the_first_counts() {
    let table = of(r#"{"a": {"x": {"y": "within"}, "x.y": "dotted"}}"#, None);
    assert_eq!(value(&table, "a", "x.y"), "within");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, key, line, error) in [
        ("{\"a\": {}", None, 1, "EOF while parsing an object"),
        ("{\"a\": {}} x", None, 1, "trailing characters"),
        ("7", None, 1, "invalid type: integer `7`, expected an object of keys, or an array of objects"),
        ("{\n\"a\": \"shop\"}", None, 2, "invalid type: string \"shop\", expected an object of fields"),
        ("{\"a\": {},\n\"a\": {}}", None, 2, "the key `a` is there twice"),
        ("{\"\": {}}", None, 1, "the key is empty"),
        ("[]", None, 1, "it is an array: set `key` to the field of its objects that is the key"),
        ("[{\"id\": \"a\"},\n{\"x\": 1}]", Some("id"), 2, "an object has no field `id`, which is the key"),
        ("[{\"id\": 1.5}]", Some("id"), 1, "the key `id` is neither a text nor a whole number"),
    ] {
        let said = wrong(text, key);
        assert!(said.starts_with(&format!("{error} at line {line} column ")), "{text}: {said}");
    }
    for empty in ["", " \n", "\u{feff}"] {
        assert_eq!(wrong(empty, None), "it is empty; an object of keys, or an array of objects, is expected");
    }
    assert!(wrong("{\"a\": {\"b\": \"\u{fffd}", None).contains("EOF"));
    assert!(read(b"{\"a\": {\"b\": \"\xe4\"}}", None).is_err(), "no UTF-8");
    let deep = format!("{{\"a\": {}1{}}}", "{\"b\":".repeat(500), "}".repeat(500));
    assert!(wrong(&deep, None).contains("recursion limit"), "no stack is used up");
}
