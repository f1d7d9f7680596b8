//! The last word of a process: what became of every item, as its own scrape would say it after the end.

use std::collections::BTreeMap;

use otlp::signal::Signal;
use prometheus_client::registry::Registry;

use super::encode;

/// What is counted of a signal's items at the door and in the chain, by the words of the metrics.
const DOOR: [&str; 4] = ["receive", "refused", "dropped", "admitted"];
/// Likewise of the trace buffer, which has spans only. What is held is a gauge.
const TAIL: [&str; 3] = ["replayed", "left", "held"];
/// Likewise for each destination. What is held is a gauge, the others are counters.
const DESTINATION: [&str; 7] = ["admitted", "replayed", "sent", "rejected", "dropped", "left", "held"];

/// The accounts of one signal: sums over whatever else a series tells apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Accounts {
    door: [i64; DOOR.len()],
    tail: [i64; TAIL.len()],
    destinations: BTreeMap<String, [i64; DESTINATION.len()]>,
}

/// Logs a line for each signal that came, and one for each destination of a signal.
pub fn log(registry: &Registry) {
    let Ok((_, text)) = encode(registry) else { return };
    for signal in Signal::ALL {
        let Accounts { door, tail, destinations } = Accounts::read(&text, signal);
        let [received, refused, dropped, admitted] = door;
        let [replayed, left, held] = tail;
        if signal == Signal::Traces {
            tracing::info!(%signal, received, replayed, refused, dropped, admitted, left, held, "final account");
        } else if received > 0 {
            tracing::info!(%signal, received, refused, dropped, admitted, "final account");
        }
        for (destination, counts) in destinations {
            let [admitted, replayed, sent, rejected, dropped, left, held] = counts;
            tracing::info!(
                destination,
                %signal,
                admitted,
                replayed,
                sent,
                rejected,
                dropped,
                left,
                held,
                "final account of a destination"
            );
        }
    }
}

impl Accounts {
    fn read(text: &str, signal: Signal) -> Self {
        let items = signal.items();
        let door = DOOR.map(|what| format!("tracemill_{what}_{items}_total"));
        let counted = |name: String| if name.contains("_held_") { name } else { name + "_total" };
        let tail = TAIL.map(|what| counted(format!("tracemill_tail_{what}_{items}")));
        let destination = DESTINATION.map(|what| counted(format!("tracemill_export_{what}_{items}")));
        let mut accounts = Self::default();
        for (name, labels, value) in text.lines().filter_map(sample) {
            if let Some(at) = door.iter().position(|known| known == name) {
                accounts.door[at] += value;
            } else if let Some(at) = tail.iter().position(|known| known == name) {
                accounts.tail[at] += value;
            } else if let Some(at) = destination.iter().position(|known| known == name)
                && let Some(of) = label(labels, "destination")
            {
                accounts.destinations.entry(of.to_owned()).or_default()[at] += value;
            }
        }
        accounts
    }
}

/// Name, labels and value of a line of the scrape, where the value is a whole number.
fn sample(line: &str) -> Option<(&str, &str, i64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Some((name, labels, value.parse().ok()?))
}

fn label<'l>(labels: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = labels.split_once(name)?;
    Some(rest.strip_prefix("=\"")?.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_for_each_signal_and_destination() {
        let text = "\
# HELP tracemill_receive_spans Spans.
tracemill_receive_spans_total 13
tracemill_refused_spans_total{reason=\"queue_full\"} 1
tracemill_refused_spans_total{reason=\"invalid_ids\"} 1
tracemill_dropped_spans_total{plugin=\"p\",reason=\"no such {route} = 1\"} 3
tracemill_admitted_spans_total 5
tracemill_tail_held_spans 4
tracemill_tail_replayed_spans_total 3
tracemill_tail_left_spans_total 2
tracemill_receive_log_records_total 7
tracemill_export_admitted_spans_total{destination=\"a\"} 5
tracemill_export_dropped_spans_total{destination=\"a\",reason=\"queue_full\"} 1
tracemill_export_dropped_spans_total{destination=\"a\",reason=\"shutdown\"} 1
tracemill_export_sent_spans_total{destination=\"a\"} 3
tracemill_export_held_spans{destination=\"a\"} 0
tracemill_export_sent_spans_total{destination=\"b\"} 0
tracemill_export_sent_log_records_total{destination=\"a\"} 7
tracemill_export_request_duration_seconds_sum{destination=\"a\"} 0.5
# EOF
";
        let spans = Accounts::read(text, Signal::Traces);
        assert_eq!((spans.door, spans.tail), ([13, 2, 3, 5], [3, 2, 4]));
        let destinations = [("a".to_owned(), [5, 0, 3, 0, 2, 0, 0]), ("b".to_owned(), [0; 7])];
        assert_eq!(spans.destinations, BTreeMap::from(destinations));
        let logs = Accounts::read(text, Signal::Logs);
        assert_eq!((logs.door, logs.tail, logs.destinations["a"][2]), ([7, 0, 0, 0], [0; 3], 7));
        assert_eq!(Accounts::read(text, Signal::Metrics), Accounts::default());
    }
}
