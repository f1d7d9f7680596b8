//! Series over time, at given times: bounds, ends, beginnings.

use std::time::Duration;

use super::*;
use crate::spanmetrics::config::SpanConfig;
use crate::spanmetrics::schema::SpanKey;

const SECOND: u64 = 1_000_000_000;

fn part(config: SeriesConfig) -> Part {
    let schema = Schema::of_spans("x", &SpanKey::of(&SpanConfig::default()));
    Part::new(config, schema, 2, Now::after(1))
}

fn record(part: &Part, mill: usize, key: &[u8], weight: f64) {
    part.mill(mill).record(key, &Sample { weight, seconds: Some(0.5), exemplar: None }, &part.config);
}

fn collect(part: &Part, at: u64) {
    part.collect(Deltas::default(), Now::after(at), &Decisions::default(), &Kept::default());
}

fn counts(part: &Part) -> Vec<(Vec<u8>, u64, u64)> {
    let totals = part.totals();
    let mut counts: Vec<_> =
        totals.iter().map(|(key, series)| (key.to_vec(), series.total.count, series.start / SECOND)).collect();
    counts.sort();
    counts
}

#[test]
fn what_all_mills_have_seen_adds_up() {
    let part = part(SeriesConfig::default());
    record(&part, 0, b"ca", 1.0);
    record(&part, 1, b"ca", 4.0);
    record(&part, 1, b"cb", 1.0);
    collect(&part, 2);
    collect(&part, 3);
    record(&part, 0, b"ca", 1.0);
    record(&part, 0, b"cc", 1.0);
    collect(&part, 4);
    // A series is no older than when everything before was added up.
    let expected = [(b"ca".to_vec(), 6, 1), (b"cb".to_vec(), 1, 1), (b"cc".to_vec(), 1, 3)];
    assert_eq!(counts(&part), expected);
}

#[test]
fn what_is_too_much_is_counted_together_and_nothing_is_lost() {
    let part = part(SeriesConfig { max_series: 3, ..SeriesConfig::default() });
    for mill in 0..2 {
        for letter in b'a'..b'k' {
            record(&part, mill, &[b'c', letter, mill as u8], 1.0);
        }
        assert!(part.mill(mill).0.len() <= 4);
    }
    collect(&part, 2);
    let counts = counts(&part);
    assert_eq!((counts.len(), counts[0].0.as_slice()), (4, &b"c"[..]));
    assert_eq!(counts.iter().map(|(_, count, _)| count).sum::<u64>(), 20);
    assert_eq!(counts[0].1, 17);
}

#[test]
fn an_idle_series_is_forgotten_and_begins_anew() {
    let part = part(SeriesConfig { idle_after: Duration::from_secs(10), max_series: 1, ..SeriesConfig::default() });
    record(&part, 0, b"ca", 7.0);
    collect(&part, 2);
    collect(&part, 12);
    assert_eq!(counts(&part), [(b"ca".to_vec(), 7, 1)]);
    collect(&part, 13);
    assert!(counts(&part).is_empty());
    // There is room for another, and for the same: from 0.
    record(&part, 0, b"cb", 1.0);
    collect(&part, 14);
    collect(&part, 25);
    record(&part, 0, b"ca", 2.0);
    collect(&part, 26);
    assert_eq!(counts(&part), [(b"ca".to_vec(), 2, 25)]);
}

#[test]
fn a_clock_that_is_set_ends_no_series() {
    let part = part(SeriesConfig { idle_after: Duration::from_secs(10), ..SeriesConfig::default() });
    record(&part, 0, b"ca", 1.0);
    collect(&part, 100);
    for unix in [50 * SECOND, 10_000 * SECOND] {
        let now = Now { unix, ..Now::after(101) };
        part.collect(Deltas::default(), now, &Decisions::default(), &Kept::default());
        assert_eq!(counts(&part).len(), 1);
    }
}
