//! Lines of the contract that say what edits do.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use prost::Message;

use super::{all, show};
use crate::batch::Batch;
use crate::columns::{Cells, Texts};
use crate::edit::apply::{Applied, apply};
use crate::edit::check::check;
use crate::edit::{Constant, Edit, Mode, Rows, Sampling, Values};
use crate::encode::encode;
use crate::fixture::{self, array, attributes, map, text};
use crate::path::Path;

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// Applies edits with `columns` of entries shown, and decodes what leaves.
fn edited(batch: &mut Batch, columns: &[&str], edits: &[Edit]) -> (Applied, ExportTraceServiceRequest) {
    let paths: Vec<Path> = columns.iter().map(|text| path(text)).collect();
    let shown = show(batch, &paths, (0..batch.rows()).filter(|&row| !batch.spans()[row as usize].dropped).collect());
    check(batch, &shown, &all(), edits).unwrap();
    let applied = apply(batch, &shown, edits);
    (applied, ExportTraceServiceRequest::decode(&encode(batch)[..]).unwrap())
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<Span> {
    request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| s.spans.clone()).collect()
}

fn set(target: &str, at: Rows, constant: Constant) -> Edit {
    Edit::Set { path: path(target), at, to: Values::Same(constant), mode: Mode::Upsert }
}

fn rewrite(column: u32, entries: &[u32], list: &[&[u8]]) -> Edit {
    let mut to = Texts::default();
    for text in list {
        to.push(text);
    }
    Edit::Rewrite { column, entries: entries.to_vec(), to }
}

#[test]
fn the_first_edit_that_drops_a_row_gives_its_reason_and_later_ones_do_nothing_to_it() {
    let mut batch = fixture::spans((1..=4).map(|n| fixture::span(n, vec![])).collect());
    let drop_rows = |rows: &[u32], reason: &str| Edit::Drop { at: Rows::These(rows.to_vec()), reason: reason.into() };
    let edits = [
        drop_rows(&[0, 1], "health"),
        drop_rows(&[1, 2], "noise"),
        set("name", Rows::These(vec![1, 3]), Constant::Text("n".into())),
    ];
    let (applied, request) = edited(&mut batch, &[], &edits);
    assert_eq!(applied.dropped, [("health".to_owned(), 2), ("noise".to_owned(), 1)]);
    assert_eq!((applied.touched, applied.written), (1, vec![Path::Name]));
    let left = spans(&request);
    assert_eq!((left.len(), &*left[0].name), (1, "n"));
}

#[test]
fn ids_are_copied_as_hex_and_what_the_target_cannot_take_is_skipped() {
    let mut batch = fixture::spans(vec![fixture::span(0xab, vec![("n", Value::IntValue(5)), ("s", text("new"))])]);
    let copy =
        |from: &str, to: &str| Edit::Copy { path: path(from), to: path(to), at: Rows::Every, mode: Mode::Upsert };
    let edits = [
        copy("span_id", r#"attributes["id"]"#),
        copy("parent_span_id", r#"attributes["parent"]"#),
        copy("request.tenant", r#"attributes["tenant"]"#),
        copy("duration", r#"attributes["duration"]"#),
        copy(r#"attributes["n"]"#, "name"),
        copy(r#"attributes["s"]"#, "kind"),
        copy(r#"attributes["n"]"#, "status.code"),
    ];
    let (_, request) = edited(&mut batch, &[], &edits);
    let span = &spans(&request)[0];
    let expected = attributes(vec![
        ("n", Value::IntValue(5)),
        ("s", text("new")),
        ("id", text("00000000000000ab")),
        ("duration", Value::IntValue(0)),
    ]);
    assert_eq!(span.attributes, expected);
    assert_eq!((&*span.name, span.kind, span.status.as_ref().map(|status| status.code)), ("span 171", 0, Some(5)));
}

#[test]
fn only_the_spans_that_are_written_get_a_copy_of_what_they_share() {
    let list = (1..=4).map(|n| fixture::span(n, vec![])).collect();
    let request = fixture::resource_spans(vec![("service.name", text("shop"))], "lib", list);
    let mut batch = fixture::batch(vec![(crate::batch::RequestContext::default(), vec![request])]);
    let region = r#"resource.attributes["region"]"#;
    let (_, out) = edited(&mut batch, &[], &[set(region, Rows::These(vec![1, 2]), Constant::Text("eu".into()))]);
    let regions: Vec<(usize, Vec<u8>)> = out
        .resource_spans
        .iter()
        .map(|r| {
            (
                r.resource.as_ref().unwrap().attributes.len(),
                spans(&ExportTraceServiceRequest { resource_spans: vec![r.clone()] })
                    .iter()
                    .map(|s| s.span_id[7])
                    .collect(),
            )
        })
        .collect();
    assert_eq!(regions, [(1, vec![1, 4]), (2, vec![2, 3])]);
    assert!(out.resource_spans.iter().all(|r| r.scope_spans[0].scope.as_ref().unwrap().name == "lib"));

    // All rows: no copy, and the value stands once.
    let (_, out) = edited(&mut batch, &[], &[set(region, Rows::Every, Constant::Text("us".into()))]);
    let counts: Vec<usize> = out.resource_spans.iter().map(|r| r.resource.as_ref().unwrap().attributes.len()).collect();
    assert_eq!(counts, [2, 2]);
}

#[test]
fn equal_values_of_each_share_one_copy() {
    let list = (1..=4).map(|n| fixture::span(n, vec![])).collect();
    let mut batch = fixture::spans(list);
    let mut texts = Texts::default();
    for text in ["a", "b", "a", "b"] {
        texts.push(text.as_bytes());
    }
    let to = Values::Each(Cells::Text(texts));
    let edit = Edit::Set { path: path(r#"resource.attributes["team"]"#), at: Rows::Every, to, mode: Mode::Upsert };
    let (_, out) = edited(&mut batch, &[], &[edit]);
    assert_eq!(out.resource_spans.len(), 2);
}

#[test]
fn an_entry_that_an_earlier_edit_set_moved_or_removed_is_skipped() {
    let keys = ["set", "moved", "removed", "kept"];
    let mut batch = fixture::spans(vec![fixture::span(1, keys.map(|key| (key, text("old"))).to_vec())]);
    let attribute = |key: &str| path(&format!("attributes[{key:?}]"));
    let edits = [
        set(r#"attributes["set"]"#, Rows::Every, Constant::Text("by set".into())),
        Edit::Move { path: attribute("moved"), to: attribute("elsewhere"), at: Rows::Every, mode: Mode::Upsert },
        Edit::Remove { path: attribute("removed"), at: Rows::Every },
        rewrite(0, &[0, 1, 2, 3], &[b"r", b"r", b"r", b"r"]),
    ];
    let (_, request) = edited(&mut batch, &["attributes"], &edits);
    let expected = attributes(vec![("set", text("by set")), ("elsewhere", text("old")), ("kept", text("r"))]);
    assert_eq!(spans(&request)[0].attributes, expected);
}

#[test]
fn entries_of_one_element_are_edited_in_any_order_and_by_several_edits() {
    let nested = array(vec![text("a"), map(vec![("k", text("b")), ("l", text("c"))]), text("d"), Value::IntValue(1)]);
    let mut batch = fixture::spans(vec![fixture::span(1, vec![("list", nested)])]);
    let edits = [
        rewrite(0, &[3], &[b"a much longer text that needs another length \xff"]),
        Edit::RemoveEntries { column: 0, entries: vec![1, 4] },
        rewrite(0, &[0, 1, 3], &[b"first", b"skipped", b"skipped"]),
    ];
    let (_, request) = edited(&mut batch, &["attributes"], &edits);
    let expected = array(vec![
        text("first"),
        map(vec![("l", text("c"))]),
        text("a much longer text that needs another length \u{fffd}"),
    ]);
    assert_eq!(spans(&request)[0].attributes, attributes(vec![("list", expected)]));
}

#[test]
fn removing_the_first_entry_of_an_event_or_link_removes_it_in_their_own_columns_only() {
    let event = |name: &str| Event { name: name.into(), time_unix_nano: 7, ..Event::default() };
    let link = |id: u8| Link { trace_id: vec![id; 16], span_id: vec![id; 8], ..Link::default() };
    let make = || {
        let span =
            Span { events: vec![event(""), event("b")], links: vec![link(1), link(2)], ..fixture::span(1, vec![]) };
        fixture::spans(vec![span])
    };
    let remove = |column, entries: &[u32]| Edit::RemoveEntries { column, entries: entries.to_vec() };
    // Each event has a name and a time, each link two ids.
    let (_, request) = edited(&mut make(), &["events", "links"], &[remove(0, &[0]), remove(1, &[2])]);
    let span = &spans(&request)[0];
    assert_eq!((&span.events, &span.links), (&vec![event("b")], &vec![link(1)]));
    let (_, request) = edited(&mut make(), &["events.name"], &[remove(0, &[0])]);
    assert_eq!(spans(&request)[0].events, [event(""), event("")]);
    let (_, request) = edited(&mut make(), &["events"], &[rewrite(0, &[0, 2], &[b"new", b"other"])]);
    assert_eq!(spans(&request)[0].events, [event("new"), event("other")]);
}

#[test]
fn a_shared_value_stands_once_and_is_edited_for_all_rows_shown() {
    let list = (1..=3).map(|n| fixture::span(n, vec![])).collect();
    let request = fixture::resource_spans(vec![("owner", text("me@example.org"))], "lib", list);
    let mut batch = fixture::batch(vec![(crate::batch::RequestContext::default(), vec![request])]);
    let shown = show(&batch, &[Path::ResourceAttributes], vec![0, 1, 2]);
    let Cells::Entries(cells) = &shown.columns[0].cells else { panic!("no entries") };
    assert_eq!((&cells.rows, cells.places.words.get(0)), (&vec![0], Some(&br#"resource.attributes["owner"]"#[..])));
    let (applied, out) = edited(&mut batch, &["resource.attributes"], &[rewrite(0, &[0], &[b"x"])]);
    assert_eq!((out.resource_spans.len(), applied.touched), (1, 3));
    assert_eq!(out.resource_spans[0].resource.as_ref().unwrap().attributes, attributes(vec![("owner", text("x"))]));
}

#[test]
fn sampling_writes_the_threshold_and_plugins_cannot() {
    let mut batch = fixture::spans((1..=2).map(|n| fixture::span(n, vec![])).collect());
    let edits = [
        // The randomness of the fixture's trace is 0x07070707070707, about 2.7 %.
        Edit::Sample {
            at: Rows::These(vec![0]),
            probability: 0.5,
            how: Sampling::Equalizing,
            reason: "sampled".into(),
        },
        Edit::Sample {
            at: Rows::These(vec![1]),
            probability: 1.0,
            how: Sampling::Equalizing,
            reason: "sampled".into(),
        },
        set("trace_state", Rows::Every, Constant::Text("ot=th:8,v=1".into())),
    ];
    let (applied, request) = edited(&mut batch, &[], &edits);
    assert_eq!(applied.dropped, [("sampled".to_owned(), 1)]);
    assert_eq!(spans(&request)[0].trace_state, "ot=th:0,v=1");
}

#[test]
fn events_are_added_behind_the_others() {
    let mut batch = fixture::spans(vec![
        Span { events: vec![Event { name: "first".into(), ..Event::default() }], ..fixture::span(1, vec![]) },
        fixture::span(2, vec![]),
    ]);
    let event = |row, name: &str| Edit::Event {
        row,
        time: 9,
        name: name.into(),
        attributes: vec![("k".into(), Constant::Boolean(true))],
    };
    let edits = [event(0, "a"), event(1, "b"), event(0, "c")];
    let (applied, request) = edited(&mut batch, &[], &edits);
    let names: Vec<Vec<String>> =
        spans(&request).iter().map(|span| span.events.iter().map(|event| event.name.clone()).collect()).collect();
    assert_eq!(names, [vec!["first", "a", "c"], vec!["b"]]);
    let added = &spans(&request)[1].events[0];
    assert_eq!((added.time_unix_nano, &added.attributes), (9, &attributes(vec![("k", Value::BoolValue(true))])));
    assert_eq!(applied.written, [Path::Events]);
}
