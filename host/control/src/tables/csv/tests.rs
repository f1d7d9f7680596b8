//! CSV well and badly written.

use otlp::path::Layout;
use otlp::value::Value;
use wasm::tables::Table as _;

use super::*;

fn of(text: &str) -> Keyed {
    read(text.as_bytes(), None, b',').unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

fn wrong(text: &[u8]) -> String {
    read(text, None, b',').expect_err("no table")
}

/// The text of a field of a key.
fn value(table: &Keyed, key: &str, field: &str) -> Option<String> {
    let rows = table.find(&mut std::iter::once(key.as_bytes()));
    let value = rows.values(field, Layout::Text).expect("a field").next().expect("a row");
    value.map(|value| match value {
        Value::Text(text) => String::from_utf8(text.to_vec()).expect("UTF-8"),
        other => panic!("{other:?}"),
    })
}

fn text(table: &Keyed, key: &str, field: &str) -> String {
    value(table, key, field).unwrap_or_else(|| panic!("no {field} of {key}"))
}

#[test]
fn rows_are_found_by_the_first_column_unless_another_is_named() {
    let table = of("service,team\ncart,shop\ncheckout,money\n");
    assert_eq!(table.entries(), 2);
    assert_eq!((text(&table, "cart", "team"), value(&table, "shop", "team")), ("shop".to_owned(), None));
    let table = read(b"team,service\nshop,cart\n", Some("service"), b',').expect("a table");
    assert_eq!((text(&table, "cart", "team"), text(&table, "cart", "service")), ("shop".to_owned(), "cart".to_owned()));
    let error = read(b"team,service\nshop,cart\n", Some("id"), b',').expect_err("no such column");
    assert_eq!(error, "line 1: there is no column `id` for the keys; there are team, service");
}

#[test]
fn a_byte_order_mark_quotes_line_ends_and_blank_lines_are_no_part_of_values() {
    let table = of("\u{feff}service,note\r\n\"cart\",\"a, b \"\"c\"\"\nd\"\r\n\r\n checkout , x \r\n");
    assert_eq!(text(&table, "cart", "note"), "a, b \"c\"\nd");
    assert_eq!(text(&table, "checkout", "note"), "x");
    assert_eq!(table.entries(), 2);
    let without_end = of("a,b\n1,2");
    assert_eq!(text(&without_end, "1", "b"), "2");
    let table = read(b"a;b\n1;2,3\n", None, b';').expect("a table");
    assert_eq!(text(&table, "1", "b"), "2,3");
}

#[test]
fn an_empty_value_is_none_and_a_header_alone_is_a_table_without_rows() {
    let table = of("service,team,tier\ncart,,1\n");
    assert_eq!((value(&table, "cart", "team"), text(&table, "cart", "tier")), (None, "1".to_owned()));
    assert_eq!(of("service,team\n").entries(), 0);
    assert_eq!(value(&of("service,team\n"), "cart", "team"), None);
}

#[test]
fn values_are_read_as_what_is_asked_for() {
    let table = of("k,a,b,c\nx,-5,2.5,true\ny,five,inf,yes\n");
    let of = |key: &str, field: &str, layout| {
        let rows = table.find(&mut std::iter::once(key.as_bytes()));
        let value = rows.values(field, layout).expect("a field").next().expect("a row").expect("a value");
        format!("{value:?}")
    };
    assert_eq!(of("x", "a", Layout::Integers), "Integer(-5)");
    assert_eq!(of("x", "a", Layout::Floats), "Float(-5.0)");
    assert_eq!(of("x", "b", Layout::Floats), "Float(2.5)");
    assert_eq!(of("x", "c", Layout::Booleans), "Boolean(true)");
    assert!(of("x", "c", Layout::Bytes).starts_with("Bytes("));
    for (field, layout) in [("a", Layout::Integers), ("b", Layout::Floats), ("c", Layout::Booleans)] {
        assert!(of("y", field, layout).starts_with("Text("), "{field} is no such thing");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, error) in [
        ("", "it is empty; the first row must name the columns"),
        ("\n\n", "it is empty; the first row must name the columns"),
        ("a,b\n1,2\n3\n", "line 3: it has 1 value, the header row names 2 columns"),
        ("a,b\n\"1\n1\",2\n\n3,4,5\n", "line 5: it has 3 values, the header row names 2 columns"),
        ("\r\n\r\na,b\r\n1,2\r\n\r\n3\r\n", "line 6: it has 1 value, the header row names 2 columns"),
        ("a,b\n1,2\n\n\n1,3\n", "line 5: the key `1` is there twice"),
        ("a,b\n1,2\n1,3\n", "line 3: the key `1` is there twice"),
        ("a,b\n1,2\n,3\n", "line 3: the key is empty"),
        ("a,\n1,2\n", "line 1: column 2 has no name"),
        ("a,b,a\n1,2,3\n", "line 1: the column `a` is there twice"),
        (
            "a,b\n1,2\n2,\"3\n3,4\n",
            "line 3: a quotation mark is not closed (within a quoted value it is written twice)",
        ),
    ] {
        assert_eq!(wrong(text.as_bytes()), error, "{text:?}");
    }
    assert_eq!(wrong(b"a,b\n1,2\n2,\xe4\n"), "line 3: value 2 is not UTF-8 text; save the file as UTF-8");
    assert_eq!(wrong(b"\xff\xfea\0,\0b\0"), "it is UTF-16; save it as UTF-8");
}
