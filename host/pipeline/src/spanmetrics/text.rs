//! Series as `OpenMetrics` text. Written here, because the library that writes the proxy's own metrics has no way to name exemplars of
//! histograms that it has not counted itself.

use std::fmt::Write as _;

use super::durations::Values;
use super::exemplar::{Candidate, Shown};
use super::key;
use super::schema::{Family, Schema};
use super::series::{Part, Series, is_overflow};

/// The label of the series of what was too much.
const OVERFLOW: &str = "otel_metric_overflow=\"true\"";

/// All series of all parts.
pub fn of<'p>(parts: impl Iterator<Item = &'p Part>) -> String {
    let mut out = String::new();
    for part in parts {
        let totals = part.totals();
        let mut series: Vec<_> = totals.iter().collect();
        series.sort_unstable_by_key(|(key, _)| *key);
        for family in &part.schema.families {
            let from = series.partition_point(|(key, _)| key[0] < family.byte);
            let upto = series.partition_point(|(key, _)| key[0] <= family.byte);
            put_family(&mut out, &part.schema, family, &series[from..upto], &part.config.buckets);
        }
    }
    out.push_str("# EOF\n");
    out
}

fn put_family(out: &mut String, schema: &Schema, family: &Family, series: &[(&[u8], &Series)], bounds: &[f64]) {
    let labels: Vec<String> = series.iter().map(|(key, _)| labels(schema, key)).collect();
    if let Some(name) = &family.counter {
        put(out, format_args!("# HELP {0} {1}.\n# TYPE {0} counter\n", name.text, name.help));
        for ((_, series), labels) in series.iter().zip(&labels) {
            put(out, format_args!("{}_total{{{labels}}} {}\n", name.text, series.total.count));
        }
    }
    if let Some(name) = &family.histogram {
        put(out, format_args!("# HELP {0} {1}.\n# TYPE {0} histogram\n# UNIT {0} seconds\n", name.text, name.help));
        for ((_, series), labels) in series.iter().zip(&labels) {
            put_histogram(out, &name.text, labels, &series.total, &series.exemplars, bounds);
        }
    }
}

fn put_histogram(out: &mut String, name: &str, labels: &str, values: &Values, exemplars: &Shown, bounds: &[f64]) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut sum = 0u64;
    for at in 0..=bounds.len() {
        sum = sum.saturating_add(values.explicit.get(at).copied().unwrap_or(0));
        put(out, format_args!("{name}_bucket{{{labels}{comma}le=\""));
        match bounds.get(at) {
            Some(bound) => put(out, format_args!("{bound:?}\"}} {sum}")),
            None => put(out, format_args!("+Inf\"}} {sum}")),
        }
        if let Some(exemplar) = exemplars.of(at) {
            put_exemplar(out, exemplar);
        }
        out.push('\n');
    }
    put(out, format_args!("{name}_sum{{{labels}}} {:?}\n{name}_count{{{labels}}} {}\n", values.sum, values.count));
}

fn put_exemplar(out: &mut String, exemplar: &Candidate) {
    out.push_str(" # {trace_id=\"");
    put_hex(out, &exemplar.trace);
    out.push_str("\",span_id=\"");
    put_hex(out, &exemplar.span);
    let (seconds, millis) = (exemplar.time / 1_000_000_000, exemplar.time / 1_000_000 % 1_000);
    put(out, format_args!("\"}} {:?} {seconds}.{millis:03}", exemplar.seconds));
}

fn put_hex(out: &mut String, id: &[u8]) {
    for byte in id {
        put(out, format_args!("{byte:02x}"));
    }
}

/// The labels of a series, without braces. What it does not have is left out, which Prometheus takes for empty.
fn labels(schema: &Schema, key: &[u8]) -> String {
    if is_overflow(key) {
        return OVERFLOW.to_owned();
    }
    let mut out = String::new();
    for (name, label) in schema.labels.iter().zip(key::labels(key)) {
        let Some(label) = label else { continue };
        let comma = if out.is_empty() { "" } else { "," };
        put(&mut out, format_args!("{comma}{}=\"", name.text));
        for char in label.to_string().chars() {
            match char {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
        out.push('"');
    }
    out
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string does not fail");
}
