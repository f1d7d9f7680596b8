//! Each line of the contract that fails a call.

use std::sync::Arc;

use super::*;
use crate::columns::{Entries, entries};
use crate::edit::{Mode, Sampling};
use crate::fixture::{self, text};
use crate::path::{Layout, Want};

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// Two rows, and the strings and the links as columns; may write attributes, name, kind and start, and read the name.
fn outcome(edit: Edit) -> Result<(), EditFault> {
    outcome_with(edit, &["attributes", "name", "kind", "start_time_unix_nano", "strings", "links", "events"], true)
}

fn outcome_with(edit: Edit, writes: &[&str], may_drop: bool) -> Result<(), EditFault> {
    let mut span = fixture::span(1, vec![("a", text("x"))]);
    span.links.push(opentelemetry_proto::tonic::trace::v1::span::Link {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..Default::default()
    });
    let batch = fixture::spans(vec![span, fixture::span(2, vec![])]);
    let mut shown = Shown { rows: vec![0, 1], ..Shown::default() };
    for wanted in ["strings", "links"] {
        let (column, locators) = entries::build(&batch, &shown.rows, &path(wanted));
        shown.columns.push(Arc::new(column));
        shown.locators.push(Some(Arc::new(locators)));
    }
    let columns = ["strings", "links"].map(|text| Want::new(path(text), Layout::Entries).unwrap());
    let writes: Vec<Path> = writes.iter().map(|text| path(text)).collect();
    let permissions = Permissions::new(&columns, &[path("span_id")], [], &writes, may_drop);
    check(&batch, &shown, &permissions, &[edit]).map_err(|error| error.fault)
}

fn set(target: &str, at: Rows, to: Values) -> Result<(), EditFault> {
    outcome(Edit::Set { path: path(target), at, to, mode: Mode::Upsert })
}

fn drop_rows(at: Rows) -> Result<(), EditFault> {
    outcome(Edit::Drop { at, reason: "health".into() })
}

fn texts(list: &[&str]) -> Texts {
    let mut texts = Texts::default();
    for text in list {
        texts.push(text.as_bytes());
    }
    texts
}

fn same(constant: Constant) -> Values {
    Values::Same(constant)
}

#[test]
fn rows_are_in_range_each_once_and_as_many_marks_as_rows() {
    assert_eq!(drop_rows(Rows::These(vec![1, 0])), Ok(()));
    assert_eq!(drop_rows(Rows::These(vec![2])), Err(EditFault::RowOutOfRange { row: 2, rows: 2 }));
    assert_eq!(drop_rows(Rows::These(vec![70])), Err(EditFault::RowOutOfRange { row: 70, rows: 2 }));
    assert_eq!(drop_rows(Rows::These(vec![1, 0, 1])), Err(EditFault::RowTwice(1)));
    assert_eq!(drop_rows(Rows::Marked(vec![0, 9])), Ok(()));
    assert_eq!(drop_rows(Rows::Marked(vec![1])), Err(EditFault::Marks { marks: 1, rows: 2 }));
    let event = |row| outcome(Edit::Event { row, time: 1, name: "e".into(), attributes: vec![] });
    assert_eq!((event(1), event(2)), (Ok(()), Err(EditFault::RowOutOfRange { row: 2, rows: 2 })));
}

#[test]
fn there_is_one_whole_cell_for_each_row_of_the_edit() {
    let each = |cells| set("attributes[\"k\"]", Rows::Marked(vec![0, 1]), Values::Each(cells));
    assert_eq!(each(Cells::Integers(vec![1])), Ok(()));
    assert_eq!(each(Cells::Integers(vec![1, 2])), Err(EditFault::Cells { cells: 2, rows: 1 }));
    assert_eq!(each(Cells::Ids(vec![0; 8])), Err(EditFault::EachOf("ids")));
    assert_eq!(each(Cells::Entries(Entries::default())), Err(EditFault::EachOf("entries")));
    let broken = |offsets: &[u32]| Cells::Text(Texts { offsets: offsets.to_vec(), data: vec![b'x'; 3] });
    assert_eq!(each(broken(&[0, 4])), Err(EditFault::Offsets { text: 0 }));
    assert_eq!(each(broken(&[2, 1])), Err(EditFault::Offsets { text: 0 }));
    let words = |codes: &[u32]| Cells::Words(Words { codes: codes.to_vec(), words: texts(&["a"]) });
    assert_eq!(each(words(&[0])), Ok(()));
    assert_eq!(each(words(&[1])), Err(EditFault::Code { code: 1, words: 1 }));
}

#[test]
fn a_constant_that_the_target_cannot_take_fails() {
    let wrong = |target: &str, what| Err(EditFault::WrongType { path: path(target), what });
    assert_eq!(set("name", Rows::Every, same(Constant::Integer(1))), wrong("name", "an integer"));
    assert_eq!(set("kind", Rows::Every, same(Constant::Text("x".into()))), wrong("kind", "text"));
    assert_eq!(set("kind", Rows::Every, same(Constant::Integer(3))), Ok(()));
    let number = |target: &str, value| Err(EditFault::Number { path: path(target), value });
    assert_eq!(set("kind", Rows::Every, same(Constant::Integer(1 << 40))), number("kind", 1 << 40));
    let start = "start_time_unix_nano";
    assert_eq!(set(start, Rows::Every, Values::Each(Cells::Integers(vec![5, -1]))), number(start, -1));
    assert_eq!(set("name", Rows::Every, Values::Each(Cells::Floats(vec![0.5, 1.0]))), wrong("name", "a float"));
    assert_eq!(set("attributes[\"k\"]", Rows::Every, same(Constant::Bytes(vec![255]))), Ok(()));
}

#[test]
fn paths_that_cannot_be_written_or_are_not_named_fail() {
    let text = || same(Constant::Text("x".into()));
    for never in ["trace_id", "flags", "duration", "request.tenant", "attributes", "strings", "events", "links"] {
        assert_eq!(set(never, Rows::Every, text()), Err(EditFault::NotWritable(path(never))), "{never}");
    }
    let scope = "scope.attributes[\"k\"]";
    let edit = Edit::Set { path: path(scope), at: Rows::Every, to: text(), mode: Mode::Upsert };
    assert_eq!(outcome_with(edit, &["attributes"], true), Err(EditFault::MayNotWrite(path(scope))));
    let copy =
        |from: &str| outcome(Edit::Copy { path: path(from), to: path("name"), at: Rows::Every, mode: Mode::Upsert });
    assert_eq!(copy("span_id"), Ok(()));
    assert_eq!(copy("name"), Ok(()));
    assert_eq!(copy("trace_id"), Err(EditFault::MayNotRead(path("trace_id"))));
    assert_eq!(copy("strings"), Err(EditFault::NotASource(path("strings"))));
    // The source of a move is written.
    let moved = Edit::Move { path: path("name"), to: path(r#"attributes["n"]"#), at: Rows::Every, mode: Mode::Upsert };
    assert_eq!(outcome_with(moved, &["attributes"], true), Err(EditFault::MayNotWrite(path("name"))));
    let event = Edit::Event { row: 0, time: 1, name: "e".into(), attributes: vec![] };
    assert_eq!(outcome_with(event, &["attributes"], true), Err(EditFault::MayNotWrite(path("events"))));
}

#[test]
fn dropping_is_granted_apart_and_probabilities_are_from_zero_to_one() {
    let drop_it = Edit::Drop { at: Rows::Every, reason: "r".into() };
    assert_eq!(outcome_with(drop_it, &["attributes"], false), Err(EditFault::MayNotDrop));
    let sample = |probability| {
        outcome(Edit::Sample { at: Rows::Every, probability, how: Sampling::Equalizing, reason: "r".into() })
    };
    assert_eq!((sample(0.0), sample(1.0)), (Ok(()), Ok(())));
    assert_eq!(sample(1.5), Err(EditFault::Probability(1.5)));
    assert!(matches!(sample(f64::NAN), Err(EditFault::Probability(_))));
    assert_eq!(outcome(Edit::Weigh { at: Rows::Every, probability: None }), Ok(()));
    assert_eq!(outcome(Edit::Weigh { at: Rows::Every, probability: Some(-0.1) }), Err(EditFault::Probability(-0.1)));
}

#[test]
fn entries_are_in_range_take_texts_and_are_granted_by_place() {
    let rewrite =
        |column, entries: &[u32], to: &[&str]| Edit::Rewrite { column, entries: entries.to_vec(), to: texts(to) };
    assert_eq!(outcome(rewrite(0, &[0, 1], &["x", "y"])), Ok(()));
    assert_eq!(outcome(rewrite(0, &[0], &[])), Err(EditFault::TextsForEntries { texts: 0, entries: 1 }));
    assert_eq!(outcome(rewrite(7, &[0], &["x"])), Err(EditFault::NotEntries { column: 7, columns: 2 }));
    let beyond = outcome(rewrite(0, &[90], &["x"]));
    assert!(matches!(beyond, Err(EditFault::EntryOutOfRange { entry: 90, column: 0, .. })), "{beyond:?}");
    let place = |place: &str| place.to_owned();
    let takes_none = EditFault::TakesNoText { entry: 0, place: place("links.trace_id") };
    assert_eq!(outcome(rewrite(1, &[0], &["x"])), Err(takes_none));
    let remove = |column, entry| Edit::RemoveEntries { column, entries: vec![entry] };
    assert_eq!(outcome(remove(1, 0)), Ok(()));
    assert_eq!(outcome(remove(1, 1)), Err(EditFault::CannotBeRemoved { entry: 1, place: place("links.span_id") }));
    // Granted for the attributes, and not for the name, which is the first entry.
    assert_eq!(outcome_with(remove(0, 1), &["attributes"], true), Ok(()));
    assert_eq!(
        outcome_with(remove(0, 0), &["attributes"], true),
        Err(EditFault::MayNotWriteEntry { entry: 0, place: place("name") })
    );
}

#[test]
fn the_message_names_the_edit_and_what_is_wrong() {
    let batch = fixture::spans(vec![fixture::span(1, vec![])]);
    let shown = Shown { rows: vec![0], ..Shown::default() };
    let permissions = Permissions::new(&[], &[], [], &[path("name")], true);
    let drop_it = Edit::Drop { at: Rows::Every, reason: "r".into() };
    let bad = Edit::Remove { path: path("scope.name"), at: Rows::Every };
    let error = check(&batch, &shown, &permissions, &[drop_it.clone(), bad]).unwrap_err();
    let expected = "edit 1 (remove): scope.name is not among the plan's `writes` (or was not granted)";
    assert_eq!(error.to_string(), expected);
    let many = vec![drop_it; MOST_EDITS + 1];
    assert_eq!(check(&batch, &shown, &permissions, &many).unwrap_err().fault, EditFault::TooManyEdits);
}

#[test]
fn places_lose_the_keys_of_nested_maps_only() {
    for (place, outer) in [
        (r#"attributes["a"]["b"]"#, r#"attributes["a"]"#),
        (r#"events.attributes["a\"]\\"]["b"]"#, r#"events.attributes["a\"]\\"]"#),
        ("name", "name"),
    ] {
        assert_eq!(super::entries::outermost(place), Some(path(outer)), "{place}");
    }
}
