//! What is counted of queues on disk.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::SignalOf;

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct DiskMetrics {
    disk_bytes: Family<SignalOf, Gauge>,
    commits: Family<SignalOf, Counter>,
    failed_commits: Family<SignalOf, Counter>,
    commit_duration: Family<SignalOf, Histogram, fn() -> Histogram>,
    quarantined: Family<SignalOf, Counter>,
}

fn histogram() -> Histogram {
    Histogram::new([0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0])
}

impl DiskMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let new = Self {
            disk_bytes: Family::default(),
            commits: Family::default(),
            failed_commits: Family::default(),
            commit_duration: Family::new_with_constructor(histogram),
            quarantined: Family::default(),
        };
        let mut add = |name: &str, help: &str, metric: &Family<SignalOf, Counter>| {
            registry.register(format!("tracemill_export_{name}"), help, metric.clone());
        };
        add("queue_commits", "Groups of records that were written to a queue's disk", &new.commits);
        add("queue_failed_commits", "Groups of records that could not be written", &new.failed_commits);
        add("quarantined_records", "Damaged records that were found on disk and set aside", &new.quarantined);
        registry.register("tracemill_export_queue_disk_bytes", "Bytes of a queue's files", new.disk_bytes.clone());
        registry.register(
            "tracemill_export_queue_commit_duration_seconds",
            "How long it took to write a group of records, and to sync it where the queue is durable",
            new.commit_duration.clone(),
        );
        new
    }

    pub fn of(&self, of: &SignalOf, replayed: Counter, left: Counter) -> DiskCounters {
        DiskCounters {
            disk_bytes: self.disk_bytes.get_or_create_owned(of),
            commits: self.commits.get_or_create_owned(of),
            failed_commits: self.failed_commits.get_or_create_owned(of),
            commit_duration: self.commit_duration.get_or_create_owned(of),
            quarantined: self.quarantined.get_or_create_owned(of),
            replayed,
            left,
        }
    }
}

/// One queue's.
#[derive(Debug, Clone)]
pub(crate) struct DiskCounters {
    pub disk_bytes: Gauge,
    pub commits: Counter,
    pub failed_commits: Counter,
    pub commit_duration: Histogram,
    pub quarantined: Counter,
    pub replayed: Counter,
    pub left: Counter,
}
