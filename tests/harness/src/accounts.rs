//! Both sums of invariant 6: every span that came in is accounted for exactly once.
//!
//! received = refused + dropped by plugins + admitted; and for each destination,
//! admitted = sent + rejected by the back end + dropped by the queue + held.

use crate::metrics::Metrics;
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;

/// What happened to spans at the door and in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Spans in requests that were read.
    pub received: u64,
    /// Refused to their senders.
    pub refused: u64,
    /// Dropped by plugins.
    pub dropped: u64,
    /// Taken on.
    pub admitted: u64,
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
}

/// One reading of all accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// The first sum.
    pub door: Door,
    /// The second, for each destination.
    pub destinations: Vec<Destination>,
}

impl Accounts {
    /// Takes the accounts from a scrape. A series that is missing is an error: nothing is counted there, which is not zero.
    pub fn read(metrics: &Metrics) -> Result<Self> {
        let door = Door {
            received: whole(metrics, "tracemill_receive_spans_total", &[])?,
            refused: whole(metrics, "tracemill_refused_spans_total", &[])?,
            dropped: dropped(metrics)?,
            admitted: whole(metrics, "tracemill_admitted_spans_total", &[])?,
        };
        let names: BTreeSet<_> = OF_DESTINATIONS.iter().flat_map(|name| metrics.values(name, "destination")).collect();
        let destinations = names.into_iter().map(|name| destination(metrics, name)).collect::<Result<_>>()?;
        Ok(Self { door, destinations })
    }

    /// The account of one destination.
    pub fn destination(&self, name: &str) -> Option<&Destination> {
        self.destinations.iter().find(|destination| destination.name == name)
    }

    /// Whether every destination was given every admitted span; not so for those that were added or changed on the way.
    pub fn check_fan_out(&self) -> Result<()> {
        let admitted = self.door.admitted;
        for each in &self.destinations {
            ensure!(each.admitted == admitted, "destination {} was to get {admitted} spans, but {each:?}", each.name);
        }
        Ok(())
    }

    /// Whether both sums hold; the error shows the numbers.
    pub fn check(&self) -> Result<()> {
        let Door { received, refused, dropped, admitted } = self.door;
        ensure!(received == refused + dropped + admitted, "spans are not accounted for: {:?}", self.door);
        for each in &self.destinations {
            let accounted = each.sent + each.rejected + each.dropped + each.held;
            ensure!(each.admitted == accounted, "spans are not accounted for: {each:?}");
        }
        Ok(())
    }
}

/// The series of each destination, in the order of [`Destination`].
const OF_DESTINATIONS: [&str; 5] = [
    "tracemill_export_admitted_spans_total",
    "tracemill_export_sent_spans_total",
    "tracemill_export_rejected_spans_total",
    "tracemill_export_dropped_spans_total",
    "tracemill_export_held_spans",
];

fn destination(metrics: &Metrics, name: String) -> Result<Destination> {
    let of = |metric: &str| whole(metrics, metric, &[("destination", &name)]);
    let [admitted, sent, rejected, dropped, held] = OF_DESTINATIONS.map(of);
    let (admitted, sent, rejected) = (admitted?, sent?, rejected?);
    Ok(Destination { admitted, sent, rejected, dropped: dropped?, held: held?, name })
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
