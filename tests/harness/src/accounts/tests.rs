//! The sums hold or the error says where they do not.

use super::*;

const GOOD: &str = "
tracemill_receive_spans_total 10
tracemill_refused_spans_total{reason=\"malformed\"} 1
tracemill_dropped_spans_total{plugin=\"p\",reason=\"health\"} 2
tracemill_admitted_spans_total 7
tracemill_export_admitted_spans_total{destination=\"a\"} 7
tracemill_export_sent_spans_total{destination=\"a\"} 3
tracemill_export_rejected_spans_total{destination=\"a\"} 1
tracemill_export_dropped_spans_total{destination=\"a\",reason=\"oldest\"} 1
tracemill_export_held_spans{destination=\"a\"} 2
";

fn check(text: &str) -> Result<()> {
    let accounts = Accounts::read(&Metrics::parse(text).unwrap());
    accounts.check()?;
    accounts.check_fan_out()
}

#[test]
fn sums_that_hold_pass() {
    check(GOOD).unwrap();
}

#[test]
fn a_span_missing_anywhere_fails() {
    for line in GOOD.lines().filter(|line| !line.is_empty()) {
        assert!(check(&GOOD.replace(line, "")).is_err() || line.contains("export_admitted"), "{line}");
    }
    assert!(
        check(&GOOD.replace(
            "export_admitted_spans_total{destination=\"a\"} 7",
            "export_admitted_spans_total{destination=\"a\"} 6"
        ))
        .is_err()
    );
}
