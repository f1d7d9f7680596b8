//! The sums hold or the error says where they do not.

use super::*;

const GOOD: &str = "
tracemill_receive_spans_total 12
tracemill_refused_spans_total{reason=\"malformed\"} 1
tracemill_dropped_spans_total{plugin=\"p\",reason=\"health\"} 2
tracemill_admitted_spans_total 7
tracemill_tail_held_spans 3
tracemill_tail_replayed_spans_total 5
tracemill_tail_left_spans_total 4
tracemill_plugin_calls_total{plugin=\"p\"} 4
tracemill_export_admitted_spans_total{destination=\"a\"} 7
tracemill_export_sent_spans_total{destination=\"a\"} 3
tracemill_export_rejected_spans_total{destination=\"a\"} 1
tracemill_export_dropped_spans_total{destination=\"a\",reason=\"oldest\"} 1
tracemill_export_held_spans{destination=\"a\"} 2
tracemill_receive_metric_points_total 0
tracemill_refused_metric_points_total{reason=\"queue_full\"} 0
tracemill_admitted_metric_points_total 0
tracemill_receive_log_records_total 9
tracemill_refused_log_records_total{reason=\"queue_full\"} 4
tracemill_admitted_log_records_total 5
tracemill_export_admitted_log_records_total{destination=\"b\"} 5
tracemill_export_sent_log_records_total{destination=\"b\"} 1
tracemill_export_rejected_log_records_total{destination=\"b\"} 1
tracemill_export_dropped_log_records_total{destination=\"b\",reason=\"shutdown\"} 1
tracemill_export_held_log_records{destination=\"b\"} 2
";

fn read(text: &str) -> Result<Accounts> {
    Accounts::read(&Metrics::parse(text).unwrap())
}

fn check(text: &str) -> Result<()> {
    let accounts = read(text)?;
    accounts.check()?;
    accounts.check_fan_out()
}

#[test]
fn sums_that_hold_pass() {
    check(GOOD).unwrap();
}

#[test]
fn a_series_that_is_missing_fails_whatever_its_value() {
    let zeros: String = GOOD.lines().filter_map(|line| Some(format!("{} 0\n", line.rsplit_once(' ')?.0))).collect();
    check(&zeros).unwrap();
    for text in [GOOD, &zeros] {
        for line in text.lines().filter(|line| !line.is_empty() && !line.contains("plugin_calls")) {
            let why = format!("{:#}", read(&text.replace(line, "")).expect_err(line));
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(why.contains(name), "{name}: {why}");
        }
    }
    assert!(read("").is_err(), "a scrape without any account");
}

#[test]
fn plugins_and_destinations_count_only_where_there_are_any() {
    let without = |word: &str| GOOD.lines().filter(|line| !line.contains(word)).collect::<Vec<_>>().join("\n");
    assert_eq!(read(&without("plugin=")).unwrap().door.dropped, 0);
    let none = read(&without("destination=")).unwrap();
    assert!(none.destinations.is_empty() && none.forwarded.iter().all(|account| account.destinations.is_empty()));
    let logs = read(GOOD).unwrap();
    assert_eq!(logs.destination_of("logs", "b").map(|destination| destination.held), Some(2));
    assert!(logs.destination_of("metrics", "b").is_none() && !logs.is_idle());
}

#[test]
fn a_sum_that_does_not_hold_fails() {
    for line in GOOD.lines().filter(|line| !line.is_empty() && !line.contains("plugin_calls")) {
        let more = format!("{line}9");
        assert!(check(&GOOD.replace(line, &more)).is_err(), "{line}");
    }
}
