//! Edits that could write too much are refused before anything is written, and those of real plugins are not.

use std::sync::Arc;

use super::*;
use crate::columns::{Words, entries};
use crate::edit::check::{EditError, check};
use crate::edit::permissions::Permissions;
use crate::edit::{Edit, Mode};
use crate::fixture::{self, text};
use crate::path::{Layout, Want};

const ROWS: usize = 100;
const MIB: usize = 1 << 20;

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn batch() -> Batch {
    let span = |number| {
        let mut span = fixture::span(number as u64 + 1, vec![("a", text("x"))]);
        span.events.push(opentelemetry_proto::tonic::trace::v1::span::Event { name: "e".into(), ..Default::default() });
        span
    };
    fixture::spans((0..ROWS).map(span).collect())
}

fn outcome(batch: &Batch, edits: &[Edit]) -> Result<(), EditError> {
    let (column, locators) = entries::build(batch, &(0..ROWS as u32).collect::<Vec<_>>(), &Path::Strings);
    let shown = Shown {
        rows: (0..ROWS as u32).collect(),
        columns: vec![Arc::new(column)],
        locators: vec![Some(Arc::new(locators))],
    };
    let columns = [Want::new(Path::Strings, Layout::Entries).unwrap()];
    let writes = ["attributes", "resource.attributes", "events", "strings", "trace_state"].map(path);
    check(batch, &shown, &Permissions::new(&columns, &[], [], &writes, true), edits)
}

fn is_too_much(edits: &[Edit]) -> bool {
    match outcome(&batch(), edits) {
        Ok(()) => false,
        Err(EditError { fault: EditFault::TooManyBytes { bytes }, .. }) => bytes > MOST_BYTES,
        Err(other) => panic!("{other}"),
    }
}

fn set(target: &str, to: Values) -> Edit {
    Edit::Set { path: path(target), at: Rows::Every, to, mode: Mode::Upsert }
}

fn long(len: usize) -> Constant {
    Constant::Text("x".repeat(len))
}

#[test]
fn a_constant_counts_for_every_row() {
    let once = |len| is_too_much(&[set("attributes[\"k\"]", Values::Same(long(len)))]);
    assert_eq!((once(2 * MIB), once(3 * MIB)), (false, true));
    let some = Edit::Set {
        path: path("attributes[\"k\"]"),
        at: Rows::These(vec![7]),
        to: Values::Same(long(3 * MIB)),
        mode: Mode::Upsert,
    };
    assert!(!is_too_much(&[some]));
}

#[test]
fn words_count_as_often_as_rows_hold_them() {
    let mut words = Texts::default();
    words.push(&vec![b'x'; 3 * MIB]);
    let each = |codes: Vec<u32>| Values::Each(Cells::Words(Words { codes, words: words.clone() }));
    assert!(is_too_much(&[set("attributes[\"k\"]", each(vec![0; ROWS]))]));
}

#[test]
fn what_an_edit_brought_counts_again_when_it_is_copied() {
    let copy = Edit::Copy {
        path: path("attributes[\"k\"]"),
        to: path("attributes[\"l\"]"),
        at: Rows::Every,
        mode: Mode::Upsert,
    };
    let set = set("attributes[\"k\"]", Values::Same(long(MIB)));
    assert!(!is_too_much(&[set.clone(), copy.clone()]));
    assert!(is_too_much(&[set, copy.clone(), copy]));
}

#[test]
fn events_that_grow_count_each_time_they_are_written_anew() {
    let grow = |times| {
        let edit = |n| set(&format!("events.attributes[\"{n}\"]"), Values::Same(long(MIB / 8)));
        is_too_much(&(0..times).map(edit).collect::<Vec<_>>())
    };
    assert_eq!((grow(2), grow(8)), (false, true));
}

#[test]
fn texts_of_entries_count_and_a_plugin_may_rewrite_each_entry_by_an_edit_of_its_own() {
    let rewrite = |entry: u32, len: usize| {
        let mut to = Texts::default();
        to.push(&vec![b'x'; len]);
        Edit::Rewrite { column: 0, entries: vec![entry], to }
    };
    let each = |len| is_too_much(&(0..ROWS as u32 * 3).map(|entry| rewrite(entry, len)).collect::<Vec<_>>());
    assert_eq!((each(100), each(MIB)), (false, true));
}

#[test]
fn attributes_that_are_added_count_with_the_room_that_their_lists_take() {
    let adding = |count| {
        let edit = |n| set(&format!("attributes[\"{n}\"]"), Values::Same(Constant::Integer(n)));
        (0..count).map(edit).collect::<Vec<_>>()
    };
    // A tenth of what edits may name, and yet the lists alone would take most of a GiB.
    assert_eq!((is_too_much(&adding(1_000)), is_too_much(&adding(40_000))), (false, true));
}

#[test]
fn what_lists_take_is_never_more_than_was_counted() {
    use crate::edit::apply::apply;
    let every = Rows::Every;
    let shown = Shown { rows: (0..ROWS as u32).collect(), ..Shown::default() };
    for count in [1, 4, 5, 8, 50, 300] {
        let mut batch = batch();
        let mut budget = Budget::new(&batch, &shown);
        let mut edits = Vec::new();
        for n in 0..count {
            let target =
                if n % 10 == 9 { format!("resource.attributes[\"{n}\"]") } else { format!("attributes[\"{n}\"]") };
            let cells = Cells::Integers((0..ROWS as i64).collect());
            edits.push(set(&target, Values::Each(cells)));
            let Some(Edit::Set { path, to, .. }) = edits.last() else { unreachable!() };
            budget.set(path, &every, ROWS, Some(to)).unwrap();
            for row in 0..ROWS as u32 {
                budget.event(row, "", &[]).unwrap();
                edits.push(Edit::Event { row, time: 0, name: String::new(), attributes: Vec::new() });
            }
        }
        let counted = budget.spent;
        apply(&mut batch, &shown, &edits);
        let written = batch.edited_bytes() as u64;
        assert!(written <= counted, "{count} edits have written {written} bytes, {counted} were counted");
        assert!(written * 8 > counted, "{counted} bytes counted for {written} that {count} edits have written");
    }
}

#[test]
fn a_batch_that_holds_too_much_takes_no_more_but_rows_may_still_leave() {
    let mut batch = batch();
    // Zeroed memory that nobody writes to is not taken from the system.
    batch.arena = vec![0; MOST_BYTES as usize + 1];
    let error = outcome(&batch, &[set("attributes[\"k\"]", Values::Same(Constant::Integer(1)))]).unwrap_err();
    assert_eq!(error.fault, EditFault::BatchIsFull { bytes: MOST_BYTES + 1 });
    assert_eq!(outcome(&batch, &[Edit::Drop { at: Rows::Every, reason: "r".into() }]), Ok(()));
    // Lists that have grown count too.
    batch.arena.truncate(MOST_BYTES as usize - 100);
    batch.attributes.extend_from_within(..6);
    let error = outcome(&batch, &[set("attributes[\"k\"]", Values::Same(Constant::Integer(1)))]).unwrap_err();
    assert_eq!(error.fault, EditFault::BatchIsFull { bytes: MOST_BYTES + 20 });
}
