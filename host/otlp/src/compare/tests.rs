use opentelemetry_proto::tonic::trace::v1::span::Event;

use super::*;
use crate::edit::apply::apply;
use crate::edit::{Constant, Edit, Mode, Rows, Values as Written};
use crate::fixture;
use crate::shown::Shown;

fn batch() -> Batch {
    let mut spans: Vec<_> = (1..=4).map(|n| fixture::span(n, vec![("route", fixture::text("/a"))])).collect();
    spans[3].events = vec![Event { name: "retry".into(), time_unix_nano: 5, ..Event::default() }];
    let resource = vec![("service.name", fixture::text("shop"))];
    fixture::batch(vec![(crate::batch::RequestContext::default(), vec![fixture::resource_spans(resource, "s", spans)])])
}

fn set(batch: &mut Batch, path: &str, rows: &[u32], to: Constant) {
    let shown = Shown { rows: (0..batch.rows()).collect(), ..Shown::default() };
    let path = path.parse().unwrap();
    let set = Edit::Set { path, at: Rows::These(rows.to_vec()), to: Written::Same(to), mode: Mode::Upsert };
    apply(batch, &shown, &[set]);
}

fn text(text: &str) -> Constant {
    Constant::Text(text.to_owned())
}

fn compared(first: &Batch, second: &Batch) -> Differences {
    let mut differences = Differences::default();
    differences.add(first, second);
    differences
}

fn places(differences: &Differences) -> Vec<(&str, u64)> {
    differences.places.iter().map(|(place, differing)| (place.as_str(), differing.rows)).collect()
}

#[test]
fn copies_do_not_differ_however_they_were_edited() {
    let (mut first, mut second) = (batch(), batch());
    assert_eq!(compared(&first, &second).differing(), 0);
    // One sets in one edit what the other sets in two, through another value and in another order.
    set(&mut first, "attributes[\"x\"]", &[0, 1], text("1"));
    set(&mut first, "attributes[\"y\"]", &[0, 1], text("2"));
    set(&mut second, "attributes[\"y\"]", &[0, 1], text("2"));
    set(&mut second, "attributes[\"x\"]", &[0], text("0"));
    set(&mut second, "attributes[\"x\"]", &[0, 1], text("1"));
    let same = compared(&first, &second);
    assert_eq!((same.rows, same.differing(), places(&same)), (4, 0, vec![]));
}

#[test]
fn drops_and_edits_are_told_apart() {
    let (mut first, mut second) = (batch(), batch());
    first.drop_row(0);
    second.drop_row(1);
    set(&mut first, "attributes[\"route\"]", &[2, 3], text("/b"));
    set(&mut second, "attributes[\"route\"]", &[2, 3], text("/c"));
    set(&mut second, "name", &[3], text("else"));
    set(&mut second, "kind", &[3], Constant::Integer(2));
    let differences = compared(&first, &second);
    assert_eq!((differences.only_first_dropped, differences.only_second_dropped), (1, 1));
    assert_eq!((differences.edited_otherwise, differences.differing()), (2, 4));
    assert_eq!(places(&differences), [("attributes[\"route\"]", 2), ("kind", 1), ("name", 1)]);
    let example = &differences.places["attributes[\"route\"]"].example;
    assert_eq!(example, &(vec![7; 16], 3_u64.to_be_bytes().to_vec()));
}

#[test]
fn what_rows_share_differs_for_the_rows_that_it_was_written_for() {
    let (mut first, mut second) = (batch(), batch());
    // The same for all rows, once as it is shared and once in a copy of the resource.
    set(&mut first, "resource.attributes[\"team\"]", &[0, 1, 2, 3], text("a"));
    set(&mut second, "resource.attributes[\"team\"]", &[0, 1], text("a"));
    set(&mut second, "resource.attributes[\"team\"]", &[2, 3], text("a"));
    assert_eq!(compared(&first, &second).differing(), 0);
    set(&mut second, "resource.attributes[\"team\"]", &[3], text("b"));
    assert_eq!(places(&compared(&first, &second)), [("resource.attributes[\"team\"]", 1)]);
}

#[test]
fn a_value_that_only_one_has_and_another_type_are_differences() {
    let (mut first, mut second) = (batch(), batch());
    set(&mut first, "attributes[\"n\"]", &[0], Constant::Integer(1));
    set(&mut first, "attributes[\"m\"]", &[0], Constant::Integer(1));
    set(&mut second, "attributes[\"m\"]", &[0], Constant::Float(f64::from_bits(1)));
    let event = Edit::Event { row: 3, time: 9, name: "retry".into(), attributes: vec![("k".into(), text("v"))] };
    apply(&mut second, &Shown { rows: vec![0, 1, 2, 3], ..Shown::default() }, &[event]);
    let differences = compared(&first, &second);
    let expected = [
        ("attributes[\"m\"]", 1),
        ("attributes[\"n\"]", 1),
        ("events.attributes[\"k\"]", 1),
        ("events.name", 1),
        ("events.time_unix_nano", 1),
    ];
    assert_eq!(places(&differences), expected);
}

#[test]
fn places_are_bounded_and_the_others_are_counted() {
    let (first, mut second) = (batch(), batch());
    for key in 0..MOST_PLACES + 20 {
        set(&mut second, &format!("attributes[\"{key}\"]"), &[0], Constant::Boolean(true));
    }
    let differences = compared(&first, &second);
    assert_eq!((differences.places.len(), differences.elsewhere), (MOST_PLACES, 20));
    assert_eq!(differences.edited_otherwise, 1);
}
