//! Edits against the official messages: decoding what we encode gives what editing the decoded message gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::apply::apply;
use super::check::check;
use super::permissions::Permissions;
use super::{Constant, Edit, Mode, Rows, Values};
use crate::batch::{Batch, Incoming, RequestContext};
use crate::columns::{Cells, Texts, entries};
use crate::encode::{encode, parted};
use crate::path::{Layout, Path, Want};
use crate::shown::Shown;

mod any_entry;
mod arbitrary;
mod contract;
mod model;

use arbitrary::{Random, broken, mended};
use model::Model;

/// The same seeds on every run, and some that were never tried before: where those begin is printed, and can be set.
fn seeds(fixed: u64) -> impl Iterator<Item = u64> {
    const VARIABLE: &str = "TRACEMILL_SEED";
    let first = match std::env::var(VARIABLE) {
        Ok(set) => set.parse().unwrap_or_else(|error| panic!("{VARIABLE}={set}: {error}")),
        Err(_) => std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos() as u64) >> 10,
    };
    println!("{VARIABLE}={first}");
    (0..fixed).chain(first..first.saturating_add(fixed / 10))
}

fn load(body: Vec<u8>) -> Batch {
    let context = RequestContext { tenant: Some("blue".into()), ..RequestContext::default() };
    let mut batch = Batch::new();
    let incoming = [Incoming { body: Bytes::from(body), context: Arc::new(context) }];
    for outcome in batch.load(&incoming) {
        outcome.expect("what prost accepts is indexed");
    }
    batch
}

fn show(batch: &Batch, paths: &[Path], rows: Vec<u32>) -> Shown {
    let mut shown = Shown { rows, ..Shown::default() };
    for path in paths {
        let (column, locators) = entries::build(batch, &shown.rows, path);
        shown.columns.push(Arc::new(column));
        shown.locators.push(Some(Arc::new(locators)));
    }
    shown
}

/// Everything may be read and written.
fn all() -> Permissions {
    let paths = ["values", "events", "links", "kind", "status.code", "start_time_unix_nano", "end_time_unix_nano"];
    let others = ["trace_id", "span_id", "parent_span_id", "duration", "request.tenant", "flags"];
    let parse = |text: &&str| text.parse::<Path>().unwrap();
    let writes: Vec<Path> = paths.iter().map(parse).collect();
    let reads: Vec<Path> = paths.iter().chain(&others).map(parse).collect();
    Permissions::new(&[] as &[Want], &reads, [], &writes, true)
}

#[test]
fn untouched_batches_leave_as_they_came_and_untouched_spans_byte_for_byte() {
    for seed in seeds(300) {
        let mut random = Random::new(seed);
        let message = random.request();
        let body = broken(random.scrambled(&message));
        let batch = load(body.clone());
        assert_eq!(encode(&batch), body, "seed {seed}");

        // With every second row dropped, the others are still there whole.
        let mut batch = batch;
        for row in (0..batch.rows()).step_by(2) {
            batch.drop_row(row);
        }
        let kept: Vec<Vec<u8>> =
            batch.spans().iter().filter(|span| !span.dropped).map(|span| batch.get(span.field).to_vec()).collect();
        let out = encode(&batch);
        let again = load(out.to_vec());
        assert_eq!(again.rows(), batch.live(), "seed {seed}");
        let left: Vec<Vec<u8>> = again.spans().iter().map(|span| again.get(span.field).to_vec()).collect();
        assert_eq!(left, kept, "seed {seed}");
        let empty =
            ExportTraceServiceRequest::decode(&mended(&out)[..]).unwrap().resource_spans.iter().any(|resource| {
                resource.scope_spans.iter().all(|scope| scope.spans.is_empty()) && !resource.scope_spans.is_empty()
            });
        assert!(!empty || message.resource_spans.iter().any(|r| r.scope_spans.iter().all(|s| s.spans.is_empty())));
    }
}

#[test]
fn edits_of_bytes_are_edits_of_messages() {
    for seed in seeds(4000) {
        let mut random = Random::new(seed);
        let message = random.request();
        let body = random.scrambled(&message);
        let message = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let mut batch = load(broken(body));
        let rows: Vec<u32> = (0..batch.rows()).filter(|_| random.below(4) > 0).collect();
        let mut model = Model::new(&message, &rows);
        let edits: Vec<Edit> = (0..=random.below(4)).map(|_| random.edit(rows.len())).collect();
        let shown = show(&batch, &[], rows);
        check(&batch, &shown, &all(), &edits).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        apply(&mut batch, &shown, &edits);
        for edit in &edits {
            model.apply(edit);
        }
        let out = encode(&batch);
        let decoded =
            ExportTraceServiceRequest::decode(&mended(&out)[..]).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let got = model::by_id(&decoded);
        let expected: BTreeMap<_, _> = model.left();
        for (id, expected) in &expected {
            assert_eq!(got.get(id), Some(expected), "seed {seed}, edits {edits:#?}");
        }
        assert_eq!(got.len(), expected.len(), "seed {seed}");
        assert_eq!(got.len(), batch.live() as usize);
        let decoded = ExportTraceServiceRequest::decode(&mended(&one_by_one(&batch))[..])
            .unwrap_or_else(|error| panic!("seed {seed}, taken apart: {error}"));
        assert_eq!(model::by_id(&decoded), got, "seed {seed}, taken apart");
    }
}

/// Each live span in a resource and a scope of its own, the last first.
fn one_by_one(batch: &Batch) -> Vec<u8> {
    let rows: Vec<u32> = parted::live(batch).collect();
    let mut out = Vec::new();
    for &row in rows.iter().rev() {
        let scope = batch.spans()[row as usize].scope;
        let (mut of_resource, mut of_scope) = (Vec::new(), Vec::new());
        parted::resource(batch, batch.scopes[scope as usize].resource, &mut of_resource);
        parted::scope(batch, scope, &mut of_scope);
        parted::span(batch, row, &mut of_scope);
        parted::begin_resource(&mut out, of_resource.len() + parted::scope_len(of_scope.len()));
        out.extend_from_slice(&of_resource);
        parted::begin_scope(&mut out, of_scope.len());
        out.extend_from_slice(&of_scope);
    }
    out
}

#[test]
fn every_string_can_be_rewritten_where_it_stands() {
    for seed in seeds(1500) {
        let mut random = Random::new(seed);
        let message = random.request();
        let body = random.scrambled(&message);
        let message = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let mut batch = load(broken(body));
        let rows: Vec<u32> = (0..batch.rows()).filter(|_| random.below(4) > 0).collect();
        let mut model = Model::new(&message, &rows);
        let shown = show(&batch, &[Path::Strings], rows);
        let Cells::Entries(cells) = &shown.columns[0].cells else { panic!("no entries") };
        // Two edits with an edit of something else in between, so that elements are put together twice.
        let letters = [b'a' + random.below(3) as u8, b'd' + random.below(3) as u8];
        let mut edits = Vec::new();
        for letter in letters {
            let (mut entries, mut to) = (Vec::new(), Texts::default());
            for entry in 0..cells.values.len() {
                let text = cells.values.get(entry).unwrap();
                if text.contains(&letter) && !(letter == letters[1] && text.contains(&letters[0])) {
                    entries.push(entry as u32);
                    to.push(&model::rewritten(text));
                }
            }
            edits.push(Edit::Rewrite { column: 0, entries, to });
            edits.push(Edit::Set {
                path: Path::Attribute("added".into()),
                at: Rows::Every,
                to: Values::Same(Constant::Boolean(true)),
                mode: Mode::Upsert,
            });
        }
        check(&batch, &shown, &all(), &edits).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        apply(&mut batch, &shown, &edits);
        model.rewrite(&letters);
        model.apply(&edits[1]);
        let decoded = ExportTraceServiceRequest::decode(&mended(&encode(&batch))[..]).unwrap();
        let got = model::by_id(&decoded);
        for (id, expected) in &model.left() {
            assert_eq!(got.get(id), Some(expected), "seed {seed}, letters {letters:?}");
        }
    }
}

#[test]
fn the_layouts_of_entries_are_of_one_length() {
    assert_eq!(Layout::Entries.name(), "entries");
    let mut random = Random::new(1);
    let message = random.request();
    let batch = load(message.encode_to_vec());
    let shown = show(&batch, &[Path::Values, Path::Events, Path::Links], (0..batch.rows()).collect());
    for column in &shown.columns {
        let Cells::Entries(cells) = &column.cells else { panic!("no entries") };
        let count = cells.rows.len();
        assert_eq!((cells.places.codes.len(), cells.values.len()), (count, count));
        assert!(cells.kinds.is_empty() || (cells.kinds.len(), cells.numbers.len()) == (count, count));
        assert!(cells.rows.is_sorted());
    }
}
