//! The text format, with the escapes that label values may have.

use super::*;

#[test]
fn names_labels_and_values_are_read() {
    let text = "# HELP a about\n# TYPE a counter\na_total{plugin=\"x\",reason=\"a \\\"b\\\\c\\n\"} 3\na_total{plugin=\"y\",reason=\"\"} 4\nplain 1.5\n# EOF\n";
    let metrics = Metrics::parse(text).unwrap();
    assert_eq!(metrics.0.len(), 3);
    assert_eq!(metrics.0[0].label("reason"), Some("a \"b\\c\n"));
    assert!((metrics.sum("a_total", &[]) - 7.0).abs() < f64::EPSILON);
    assert!((metrics.sum("a_total", &[("plugin", "y")]) - 4.0).abs() < f64::EPSILON);
    assert!((metrics.sum("plain", &[]) - 1.5).abs() < f64::EPSILON);
    assert_eq!(metrics.values("a_total", "plugin"), ["x", "y"]);
}

#[test]
fn unreadable_lines_are_errors() {
    for text in ["novalue", "a{b=\"c} 1", "a x", "a{b} 1"] {
        assert!(Metrics::parse(text).is_err(), "{text}");
    }
}
