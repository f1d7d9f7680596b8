//! Entries of any message: they are listed as the contract says, and any of them can be rewritten or removed, whatever its type.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use prost::Message;

use super::arbitrary::{Random, broken, mended};
use super::model::{self, Fate, Model};
use super::{all, load, seeds, show};
use crate::columns::{Cells, Entries, Texts};
use crate::edit::apply::apply;
use crate::edit::check::check;
use crate::edit::{Constant, Edit, Mode, Rows, Values};
use crate::encode::encode;
use crate::fixture;
use crate::index::event_field;
use crate::path::Path;
use crate::wire;

/// What an entry holds, in the terms of a column: its kind, its text or bytes, and its number.
fn cell_of(value: &Value) -> (u8, Vec<u8>, u64) {
    match value {
        Value::StringValue(text) => (0, text.clone().into_bytes(), 0),
        Value::BoolValue(v) => (1, Vec::new(), u64::from(*v)),
        Value::IntValue(v) => (2, Vec::new(), v.cast_unsigned()),
        Value::DoubleValue(v) => (3, Vec::new(), v.to_bits()),
        Value::BytesValue(bytes) => (4, bytes.clone(), 0),
        other => panic!("no value of an entry: {other:?}"),
    }
}

/// Whether the column lists what the message has.
fn check_column(cells: &Entries, listed: &[(u32, String, Value)], seed: u64) {
    let shown = (0..cells.rows.len()).map(|entry| {
        let code = cells.places.codes[entry] as usize;
        let place = String::from_utf8(cells.places.words.get(code).unwrap().to_vec()).unwrap();
        let kind = cells.kinds.get(entry).copied().unwrap_or(0);
        let number = cells.numbers.get(entry).copied().unwrap_or(0);
        (cells.rows[entry], place, (kind, mended(cells.values.get(entry).unwrap()), number))
    });
    let listed = listed.iter().map(|(row, place, value)| (*row, place.clone(), cell_of(value)));
    let (shown, listed): (Vec<_>, Vec<_>) = (shown.collect(), listed.collect());
    for (entry, (shown, listed)) in shown.iter().zip(&listed).enumerate() {
        assert_eq!(shown, listed, "seed {seed}, entry {entry}");
    }
    assert_eq!(shown.len(), listed.len(), "seed {seed}");
}

/// What is to become of each entry: some are rewritten, some removed, as far as their places can be.
fn fates(random: &mut Random, listed: &[(u32, String, Value)]) -> Vec<Fate> {
    let fate = |(_, place, _): &(u32, String, Value)| match (random.below(4), &**place) {
        (0, "links.trace_id" | "links.span_id" | "events.time_unix_nano") | (1, "links.span_id") => Fate::Stays,
        (0, _) => {
            Fate::Text(["", "new", "a longer text than most that were there, \u{fffd} and all"][random.below(3)].into())
        }
        (1, _) => Fate::Goes,
        _ => Fate::Stays,
    };
    listed.iter().map(fate).collect()
}

/// One edit for what is rewritten and one for what is removed, in either order and the entries in any, with edits of something
/// else around them.
fn edits(random: &mut Random, fates: &[Fate], rows: usize) -> [Edit; 4] {
    let (mut rewritten, mut removed) = (Vec::new(), Vec::new());
    for (entry, fate) in fates.iter().enumerate() {
        match fate {
            Fate::Stays => {}
            Fate::Text(new) => rewritten.push((entry as u32, new)),
            Fate::Goes => removed.push(entry as u32),
        }
    }
    for _ in 0..random.below(5) {
        let (from, to) = (random.below(rewritten.len().max(1)), random.below(rewritten.len().max(1)));
        if !rewritten.is_empty() {
            rewritten.swap(from, to);
        }
        if random.below(2) == 0 {
            removed.reverse();
        }
    }
    let mut to = Texts::default();
    for (_, new) in &rewritten {
        to.push(new.as_bytes());
    }
    let rewrite = Edit::Rewrite { column: 0, entries: rewritten.iter().map(|(entry, _)| *entry).collect(), to };
    let remove = Edit::RemoveEntries { column: 0, entries: removed };
    let (first, second) = if random.below(2) == 0 { (rewrite, remove) } else { (remove, rewrite) };
    let added = Edit::Set {
        path: Path::Attribute("added".into()),
        at: Rows::Every,
        to: Values::Same(Constant::Boolean(true)),
        mode: Mode::Upsert,
    };
    let unrelated = match random.below(4) {
        0 => Edit::Drop { at: Rows::Every, reason: "all".into() },
        1 if rows > 0 => Edit::Event { row: 0, time: 1, name: "added".into(), attributes: Vec::new() },
        _ => added,
    };
    let kind =
        Edit::Set { path: Path::Kind, at: Rows::Every, to: Values::Same(Constant::Integer(1)), mode: Mode::Upsert };
    [kind, first, unrelated, second]
}

#[test]
fn any_entry_is_listed_and_can_be_rewritten_or_removed() {
    for seed in seeds(2000) {
        let mut random = Random::new(seed);
        let message = random.request();
        let body = random.scrambled(&message);
        let message = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let mut batch = load(broken(body));
        let rows: Vec<u32> = (0..batch.rows()).filter(|_| random.below(4) > 0).collect();
        let path = [Path::Values, Path::Strings, Path::Attributes, Path::Events, Path::Links][random.below(5)].clone();
        let mut model = Model::new(&message, &rows);
        let listed = model.entries(&path);
        let shown = show(&batch, std::slice::from_ref(&path), rows);
        let Cells::Entries(cells) = &shown.columns[0].cells else { panic!("no entries") };
        check_column(cells, &listed, seed);

        let fates = fates(&mut random, &listed);
        let edits = edits(&mut random, &fates, shown.rows.len());
        check(&batch, &shown, &all(), &edits).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        apply(&mut batch, &shown, &edits);
        // Here the other edits come last: what a dropped row has would not be counted, and none of them is about an entry.
        model.edit_entries(&path, &mut |entry, _, _, _| fates[entry].clone());
        for edit in edits.iter().filter(|edit| !matches!(edit, Edit::Rewrite { .. } | Edit::RemoveEntries { .. })) {
            model.apply(edit);
        }
        let out = mended(&encode(&batch));
        let decoded =
            ExportTraceServiceRequest::decode(&out[..]).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let (got, expected) = (model::by_id(&decoded), model.left());
        for (id, expected) in &expected {
            assert_eq!(got.get(id), Some(expected), "seed {seed}, {path}, edits {edits:#?}");
        }
        assert_eq!(got.len(), expected.len(), "seed {seed}, {path}");
    }
}

#[test]
fn an_events_time_that_is_written_twice_is_one_entry_and_removing_it_leaves_none() {
    let mut event = Vec::new();
    for time in [7, 9] {
        wire::put_fixed64_field(&mut event, event_field::TIME, time);
    }
    let mut body = fixture::span(1, vec![]).encode_to_vec();
    wire::put_bytes(&mut body, 11, &event);
    // Of its `ScopeSpans`, `ResourceSpans` and request.
    for number in [2, 2, 1] {
        let inner = std::mem::take(&mut body);
        wire::put_bytes(&mut body, number, &inner);
    }
    let mut batch = load(body);
    let shown = show(&batch, &[Path::Events], vec![0]);
    let Cells::Entries(cells) = &shown.columns[0].cells else { panic!("no entries") };
    assert_eq!(cells.numbers, [0, 9], "its name, and the time that counts");
    let edits = [Edit::RemoveEntries { column: 0, entries: vec![1] }];
    check(&batch, &shown, &all(), &edits).unwrap();
    apply(&mut batch, &shown, &edits);
    let out = ExportTraceServiceRequest::decode(&encode(&batch)[..]).unwrap();
    let events = &out.resource_spans[0].scope_spans[0].spans[0].events;
    assert_eq!((events.len(), events[0].time_unix_nano), (1, 0));
}

#[test]
fn an_event_without_a_name_keeps_its_place_whatever_goes_before() {
    let of = |entries: &[u32], to: Option<&str>| match to {
        None => Edit::RemoveEntries { column: 0, entries: entries.to_vec() },
        Some(text) => {
            let mut to = Texts::default();
            to.push(text.as_bytes());
            Edit::Rewrite { column: 0, entries: entries.to_vec(), to }
        }
    };
    let edited = |edits: &[Edit]| {
        let event = Event { time_unix_nano: 7, ..Event::default() };
        let mut batch = fixture::spans(vec![Span { events: vec![event], ..fixture::span(1, vec![]) }]);
        let shown = show(&batch, &[Path::Events], vec![0]);
        check(&batch, &shown, &all(), edits).unwrap();
        apply(&mut batch, &shown, edits);
        let out = ExportTraceServiceRequest::decode(&encode(&batch)[..]).unwrap();
        out.resource_spans[0].scope_spans[0].spans[0].events.clone()
    };
    let [name, time] = [&[0][..], &[1]];
    let named = |time_unix_nano, name: &str| Event { time_unix_nano, name: name.into(), ..Event::default() };
    assert_eq!(edited(&[of(time, None), of(name, Some("new"))]), [named(0, "new")]);
    assert_eq!(edited(&[of(name, Some("new")), of(time, None)]), [named(0, "new")]);
    assert_eq!(edited(&[of(time, None), of(name, None)]), []);
    // An entry that was rewritten is not rewritten again.
    assert_eq!(edited(&[of(name, Some("new")), of(name, Some("newer"))]), [named(7, "new")]);
}
