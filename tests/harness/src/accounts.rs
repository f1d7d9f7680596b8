//! Both sums of invariant 6: every span, data point and log record that came in is accounted for exactly once.
//!
//! received + replayed by the trace buffer = refused + dropped by plugins and the trace buffer + admitted + left on its disk + held in it; and for
//! each destination,
//! admitted + replayed = sent + rejected by the back end + dropped by the queue + left on disk + held.

mod log;

use crate::metrics::Metrics;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;

/// What happened to spans at the door, in the chain and in the trace buffer.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Spans in requests that were read.
    pub received: u64,
    /// Refused to their senders.
    pub refused: u64,
    /// Dropped by plugins, and by the trace buffer for them.
    pub dropped: u64,
    /// Taken on.
    pub admitted: u64,
    /// In the trace buffer: their trace is not decided, or has yet to leave.
    pub held: u64,
    /// Back in the trace buffer from its disk, since the start.
    pub replayed: u64,
    /// Left on the trace buffer's disk.
    pub left: u64,
}

/// What happened to spans for one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its name in the configuration.
    pub name: String,
    /// Spans that its queue took, or would have without its policy.
    pub admitted: u64,
    /// Acknowledged by the back end.
    pub sent: u64,
    /// Rejected by the back end for good.
    pub rejected: u64,
    /// Dropped by the queue's policy.
    pub dropped: u64,
    /// In the queue or on the way.
    pub held: u64,
    /// Found on disk at the start.
    pub replayed: u64,
    /// Left on disk.
    pub left: u64,
}

/// One reading of all accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// The first sum, of spans.
    pub door: Door,
    /// The second, for each destination that takes spans.
    pub destinations: Vec<Destination>,
    /// Both of data points, and of log records.
    pub forwarded: [Account; 2],
}

/// Both sums of another signal's items, of which no plugin drops any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What the items are called in names of metrics.
    pub items: &'static str,
    /// The first sum.
    pub door: Door,
    /// The second, for each destination that takes the signal.
    pub destinations: Vec<Destination>,
}

/// The signals that are forwarded, by their names in configurations and their items in names of metrics.
const FORWARDED: [(&str, &str); 2] = [("metrics", "metric_points"), ("logs", "log_records")];

impl Accounts {
    /// Takes the accounts from a scrape. A series that is missing is an error: nothing is counted there, which is not zero.
    pub fn read(metrics: &Metrics) -> Result<Self> {
        let (mut door, destinations) = (door(metrics, "spans")?, destinations(metrics, "spans")?);
        door.dropped = dropped(metrics)?;
        door.held = whole(metrics, "tracemill_tail_held_spans", &[])?;
        door.replayed = whole(metrics, "tracemill_tail_replayed_spans_total", &[])?;
        door.left = whole(metrics, "tracemill_tail_left_spans_total", &[])?;
        let [(_, points), (_, records)] = FORWARDED;
        Ok(Self { door, destinations, forwarded: [account(metrics, points)?, account(metrics, records)?] })
    }

    /// The account of one destination, of spans.
    pub fn destination(&self, name: &str) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.name == name)
    }

    /// The account of one destination, of a signal by its name in configurations.
    pub fn destination_of(&self, signal: &str, name: &str) -> Option<&Destination> {
        let Some(at) = FORWARDED.iter().position(|(known, _)| *known == signal) else { return self.destination(name) };
        self.forwarded[at].destinations.iter().find(|destination| destination.name == name)
    }

    /// Whether nothing is held: in the trace buffer, nor for any destination.
    pub fn is_idle(&self) -> bool {
        self.door.held == 0 && self.is_delivered()
    }

    /// Whether no destination holds anything.
    pub fn is_delivered(&self) -> bool {
        let forwarded = self.forwarded.iter().flat_map(|account| &account.destinations);
        self.destinations.iter().chain(forwarded).all(|each| each.held == 0)
    }

    /// Whether every destination was given everything admitted of what it takes; not so for those that were added or changed on the way.
    pub fn check_fan_out(&self) -> Result<()> {
        self.each(|items, door, destinations| {
            let admitted = door.admitted;
            for each in destinations {
                ensure!(
                    each.admitted == admitted,
                    "destination {} was to get {admitted} {items}, but {each:?}",
                    each.name
                );
            }
            Ok(())
        })
    }

    /// Whether both sums hold; the error shows the numbers.
    pub fn check(&self) -> Result<()> {
        self.each(|items, door, destinations| {
            let Door { received, replayed, refused, dropped, admitted, left, held } = *door;
            let accounted = refused + dropped + admitted + left + held;
            ensure!(received + replayed == accounted, "{items} are not accounted for: {door:?}");
            for each in destinations {
                let accounted = each.sent + each.rejected + each.dropped + each.left + each.held;
                ensure!(each.admitted + each.replayed == accounted, "{items} are not accounted for: {each:?}");
            }
            Ok(())
        })
    }

    fn each(&self, check: impl Fn(&str, &Door, &[Destination]) -> Result<()>) -> Result<()> {
        check("spans", &self.door, &self.destinations)?;
        self.forwarded.iter().try_for_each(|account| check(account.items, &account.door, &account.destinations))
    }
}

fn account(metrics: &Metrics, items: &'static str) -> Result<Account> {
    Ok(Account { items, door: door(metrics, items)?, destinations: destinations(metrics, items)? })
}

fn door(metrics: &Metrics, items: &str) -> Result<Door> {
    let of = |what: &str| whole(metrics, &format!("tracemill_{what}_{items}_total"), &[]);
    Ok(Door { received: of("receive")?, refused: of("refused")?, admitted: of("admitted")?, ..Door::default() })
}

fn destinations(metrics: &Metrics, items: &str) -> Result<Vec<Destination>> {
    let series = ["admitted_I_total", "sent_I_total", "rejected_I_total", "dropped_I_total", "held_I"];
    let series = series.map(|name| format!("tracemill_export_{}", name.replace('I', items)));
    let names: BTreeSet<_> = series.iter().flat_map(|name| metrics.values(name, "destination")).collect();
    let destination = |name: String| {
        let [admitted, sent, rejected, dropped, held] =
            series.each_ref().map(|series| whole(metrics, series, &[("destination", &name)]));
        let (admitted, sent, rejected) = (admitted?, sent?, rejected?);
        // Only queues on disk have these.
        let on_disk = |what: &str| {
            metrics.sum(&format!("tracemill_export_{what}_{items}_total"), &[("destination", &name)]) as u64
        };
        let (replayed, left) = (on_disk("replayed"), on_disk("left"));
        Ok(Destination { admitted, sent, rejected, dropped: dropped?, held: held?, replayed, left, name })
    };
    names.into_iter().map(destination).collect()
}

/// Without plugins there is nothing to count; with them, each has a series.
fn dropped(metrics: &Metrics) -> Result<u64> {
    const DROPPED: &str = "tracemill_dropped_spans_total";
    for plugin in metrics.values("tracemill_plugin_calls_total", "plugin") {
        whole(metrics, DROPPED, &[("plugin", &plugin)])?;
    }
    Ok(metrics.sum(DROPPED, &[]) as u64)
}

fn whole(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
    let sum = metrics.sum_of_some(name, labels).with_context(|| format!("no series {name} {labels:?}"))?;
    Ok(sum as u64)
}

#[cfg(test)]
mod tests;
