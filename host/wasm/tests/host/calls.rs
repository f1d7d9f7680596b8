//! Calls that keep to the contract: every layout in, every edit out.

use otlp::columns::{Cells, Column, Words};
use otlp::edit::{Constant, Edit, Mode, Rows, Sampling, Values};
use otlp::path::Path;

use crate::setup::{Plugin, act, call, column, every_layout, texts, words};

fn probe() -> Path {
    Path::Attribute("probe".into())
}

#[test]
fn rows_are_dropped_by_word() {
    let mut instance = Plugin::default().instance("drop-word");
    let columns = [words(&[0, 1, 2, 1], &["", "/health", "/cart"])];
    let edits = instance.call(call(4, &columns)).expect("edits");
    assert_eq!(edits, [Edit::Drop { at: Rows::Marked(vec![0, 1, 0, 1]), reason: "health".to_owned() }]);
    instance.settle(true);
    let columns = [words(&[0, 1], &["", "/cart"])];
    assert_eq!(instance.call(call(2, &columns)), Ok(vec![]), "nothing to drop, nothing to do");
}

#[test]
fn each_row_is_set() {
    let columns = [column(Cells::Text(texts(&["get", "", "post"])))];
    let edits = Plugin::default().instance("upper").call(call(3, &columns)).expect("edits");
    let to = Values::Each(Cells::Text(texts(&["GET", "", "POST"])));
    assert_eq!(edits, [Edit::Set { path: Path::Name, at: Rows::Every, to, mode: Mode::Update }]);
}

#[test]
fn every_layout_reaches_the_guest_and_comes_back() {
    let columns = every_layout();
    let shown: Vec<_> = columns.iter().cloned().map(column).collect();
    let edits = Plugin::default().instance("echo").call(call(2, &shown)).expect("edits");
    let expected =
        columns.map(|cells| Edit::Set { path: probe(), at: Rows::Every, to: Values::Each(cells), mode: Mode::Upsert });
    assert_eq!(edits, expected);
}

#[test]
fn every_edit_comes_back() {
    let path = |key: &str| Path::Attribute(key.into());
    let expected = vec![
        Edit::Drop { at: Rows::These(vec![1]), reason: "why".to_owned() },
        Edit::Sample { at: Rows::Every, probability: 0.25, how: Sampling::Proportional, reason: "thinned".to_owned() },
        Edit::Weigh { at: Rows::Marked(vec![0, 1]), probability: Some(0.5) },
        Edit::Set {
            path: path("set"),
            at: Rows::Every,
            to: Values::Same(Constant::Bytes(vec![1, 2])),
            mode: Mode::Upsert,
        },
        Edit::Copy { path: path("a"), to: path("b"), at: Rows::Every, mode: Mode::Insert },
        Edit::Move { path: path("c"), to: path("d"), at: Rows::Every, mode: Mode::Update },
        Edit::Remove { path: path("e"), at: Rows::Every },
        Edit::Rewrite { column: 0, entries: vec![2], to: texts(&["x"]) },
        Edit::RemoveEntries { column: 0, entries: vec![3] },
        Edit::Event {
            row: 0,
            time: 7,
            name: "event".to_owned(),
            attributes: vec![("k".to_owned(), Constant::Boolean(true)), ("f".to_owned(), Constant::Float(1.5))],
        },
    ];
    assert_eq!(act("every-edit"), Ok(expected));
}

#[test]
fn the_time_is_the_calls() {
    let edits = act("now").expect("edits");
    let to = Values::Same(Constant::Integer(1_700_000_000_000_000_000));
    assert_eq!(edits, [Edit::Set { path: probe(), at: Rows::Every, to, mode: Mode::Upsert }]);
}

#[test]
fn a_table_that_nobody_configured_is_an_error_for_the_guest() {
    let fault = act("finds").expect_err("no table");
    assert_eq!(fault.to_string(), "error: no lookup table named `teams` is configured");
}

#[test]
fn the_largest_call_goes_through() {
    let text = "x".repeat(1023);
    let rows: Vec<&str> = vec![&text; 4096];
    let columns = [column(Cells::Text(texts(&rows)))];
    let edits = Plugin::default().instance("upper").call(call(4096, &columns)).expect("4 MiB in, 4 MiB out");
    let Edit::Set { to: Values::Each(Cells::Text(upper)), .. } = &edits[0] else { panic!("{edits:?}") };
    assert_eq!(upper.get(4095), Some("X".repeat(1023).as_bytes()));
}

#[test]
fn rows_without_a_value_are_marked() {
    let shown = Column {
        present: vec![1, 0],
        cells: Cells::Words(Words { codes: vec![1, 0], words: texts(&["", "/health"]) }),
    };
    let edits = Plugin::default().instance("drop-word").call(call(2, &[shown.into()])).expect("edits");
    assert_eq!(edits, [Edit::Drop { at: Rows::Marked(vec![1, 0]), reason: "health".to_owned() }]);
}
