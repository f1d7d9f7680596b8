//! What is shown never depends on what was kept: every call shows what building anew would show.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use proptest::prelude::*;

use super::Cache;
use crate::batch::{Batch, RequestContext};
use crate::columns::build::build;
use crate::columns::{MAX_BYTES, MAX_ROWS, fitting};
use crate::fixture::{self, resource_spans, span, text};
use crate::path::{Layout, Path, Want};

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

fn want(text: &str, layout: Layout) -> Want {
    Want::new(path(text), layout).unwrap()
}

/// Every layout, of values that are there, absent and of another type.
fn wants() -> Vec<Want> {
    vec![
        want("name", Layout::Text),
        want("name", Layout::Words),
        want(r#"attributes["k"]"#, Layout::Text),
        want(r#"attributes["k"]"#, Layout::Words),
        want(r#"attributes["k"]"#, Layout::Integers),
        want(r#"attributes["k"]"#, Layout::Floats),
        want(r#"attributes["k"]"#, Layout::Booleans),
        want(r#"attributes["k"]"#, Layout::Bytes),
        want(r#"resource.attributes["r"]"#, Layout::Words),
        want("span_id", Layout::Ids),
        want("parent_span_id", Layout::Ids),
        want("parent_span_id", Layout::Words),
        want("duration", Layout::Integers),
    ]
}

fn mixed(count: u64) -> Batch {
    let make = |number| {
        let value = match number % 7 {
            0 => Value::IntValue(number as i64),
            1 => Value::DoubleValue(0.5),
            2 => Value::BoolValue(true),
            3 => Value::BytesValue(vec![number as u8]),
            _ => text(&format!("value {}", number % 5)),
        };
        let mut made = span(number, if number % 11 == 0 { vec![] } else { vec![("k", value)] });
        if number % 3 == 0 {
            made.parent_span_id = vec![number as u8 | 1; 8];
        }
        made
    };
    let half = count / 2;
    fixture::batch(vec![
        (RequestContext::default(), vec![resource_spans(vec![("r", text("a"))], "s", (0..half).map(make).collect())]),
        (RequestContext::default(), vec![resource_spans(vec![], "", (half..count).map(make).collect())]),
    ])
}

fn same_as_built(cache: &mut Cache, batch: &Batch, rows: &[u32], wants: &[Want]) {
    let shown = cache.show(batch, rows, wants);
    assert_eq!(shown.rows, rows);
    for (column, want) in shown.columns.iter().zip(wants) {
        let built = build(batch, rows, want);
        assert_eq!(**column, built, "{want:?}");
    }
}

proptest! {
    #[test]
    fn calls_with_ever_fewer_rows_show_what_building_shows(
        count in 1u64..60,
        calls in prop::collection::vec((any::<u64>(), any::<u64>()), 1..8),
    ) {
        let mut batch = mixed(count);
        let mut cache = Cache::default();
        for (shown, dropped) in calls {
            let rows: Vec<u32> = (0..batch.rows())
                .filter(|&row| !batch.spans()[row as usize].dropped && shown >> row & 1 == 1)
                .collect();
            if !rows.is_empty() {
                same_as_built(&mut cache, &batch, &rows, &wants());
            }
            for row in (0..batch.rows()).filter(|row| (dropped >> row).trailing_zeros() >= 3) {
                batch.drop_row(row);
            }
        }
    }
}

#[test]
fn a_column_is_built_once_for_the_same_rows() {
    let mut batch = mixed(20);
    let rows: Vec<u32> = (0..20).collect();
    let mut cache = Cache::default();
    let first = cache.show(&batch, &rows, &wants());
    let again = cache.show(&batch, &rows, &wants());
    assert!(first.columns.iter().zip(&again.columns).all(|(a, b)| Arc::ptr_eq(a, b)));
    // After drops, one gather serves all that come behind.
    batch.drop_row(3);
    let rows: Vec<u32> = (0..20).filter(|&row| row != 3).collect();
    let fewer = cache.show(&batch, &rows, &wants());
    let again = cache.show(&batch, &rows, &wants());
    assert!(fewer.columns.iter().zip(&again.columns).all(|(a, b)| Arc::ptr_eq(a, b)));
}

#[test]
fn a_write_makes_its_columns_be_built_again_and_no_others() {
    let batch = mixed(20);
    let rows: Vec<u32> = (0..20).collect();
    let mut cache = Cache::default();
    let before = cache.show(&batch, &rows, &wants());
    cache.invalidate(&[path("end_time_unix_nano"), path(r#"attributes["k"]"#), path(r#"attributes["other"]"#)]);
    let after = cache.show(&batch, &rows, &wants());
    for (want, (a, b)) in wants().iter().zip(before.columns.iter().zip(&after.columns)) {
        let stale = want.path == path(r#"attributes["k"]"#) || want.path == path("duration");
        assert_eq!(Arc::ptr_eq(a, b), !stale, "{want:?}");
        assert_eq!(a, b);
    }
    cache.clear();
    assert_eq!(cache.size, 0);
}

#[test]
fn words_of_rows_that_are_not_shown_are_not_shown() {
    let batch = mixed(20);
    let mut cache = Cache::default();
    let every: Vec<u32> = (0..20).collect();
    cache.show(&batch, &every, &[want("name", Layout::Words)]);
    let most: Vec<u32> = (0..15).collect();
    same_as_built(&mut cache, &batch, &most, &[want("name", Layout::Words)]);
}

#[test]
fn calls_are_bounded_in_rows_and_begin_at_the_same_rows_for_every_stage() {
    let batch = fixture::spans((0..10_000).map(|number| span(number, vec![])).collect());
    let wants = [want("name", Layout::Words)];
    let calls = |rows: &[u32]| {
        let (mut starts, mut rest) = (Vec::new(), rows);
        while let Some(&first) = rest.first() {
            let count = fitting(&batch, rest, &wants);
            assert!(count <= MAX_ROWS as usize);
            starts.push(first);
            rest = &rest[count..];
        }
        starts
    };
    let every: Vec<u32> = (0..10_000).collect();
    assert_eq!(calls(&every), [0, 4096, 8192]);
    let some: Vec<u32> = (0..10_000).filter(|row| row % 3 == 1).collect();
    assert_eq!(calls(&some), [1, 4096, 8194]);
    assert_eq!(fitting(&batch, &[], &wants), 0);
    let mut cache = Cache::default();
    for rows in [&every[..4096], &every[4096..8192], &some[..1366], &every[..4096]] {
        same_as_built(&mut cache, &batch, rows, &wants);
    }
}

#[test]
fn calls_are_bounded_in_bytes_and_a_larger_span_comes_alone() {
    let large = "x".repeat(MAX_BYTES / 4);
    let larger = "x".repeat(MAX_BYTES + 1);
    let texts = [&large, &large, &large, &large, &large, &larger, &large];
    let own = fixture::spans(texts.iter().map(|value| span(1, vec![("k", text(value))])).collect());
    let wants = [want(r#"attributes["k"]"#, Layout::Text)];
    let counts = |batch: &Batch, wants: &[Want]| {
        let (mut counts, mut rows) = (Vec::new(), (0..batch.rows()).collect::<Vec<_>>());
        while !rows.is_empty() {
            let count = fitting(batch, &rows, wants);
            let size: usize = wants.iter().map(|want| build(batch, &rows[..count], want).size()).sum();
            assert!(count == 1 || size <= MAX_BYTES, "{count} rows of {size} bytes");
            counts.push(count);
            rows.drain(..count);
        }
        counts
    };
    assert_eq!(counts(&own, &wants), [3, 2, 1, 1]);
    assert_eq!(counts(&own, &[want("kind", Layout::Integers)]), [7]);
    // What spans share is repeated in a text column, and shown once in a column of words.
    let spans = || (0..10).map(|number| span(number, vec![])).collect();
    let shared =
        fixture::batch(vec![(RequestContext::default(), vec![resource_spans(vec![("r", text(&large))], "", spans())])]);
    assert_eq!(counts(&shared, &[want(r#"resource.attributes["r"]"#, Layout::Text)]), [3, 3, 3, 1]);
    assert_eq!(counts(&shared, &[want(r#"resource.attributes["r"]"#, Layout::Words)]), [10]);
}
