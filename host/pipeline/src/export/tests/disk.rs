//! Queues on disk: what is acknowledged survives, and goes when it is delivered.

use std::path::Path;

use tempfile::TempDir;

use super::super::config::{QueueConfig, QueueMode};
use super::*;

mod age;
mod apart;
mod durable;
mod failures;
mod spill;

const HANG: Reply = Reply::Hang;
const BUSY: Reply = Reply::Status(503, 14, None);

/// How a queue uses the disk, by its folder.
type Mode = fn(std::path::PathBuf) -> QueueMode;

const MODES: [Mode; 2] = [QueueMode::Durable, QueueMode::Spill];

/// A destination with a queue in this folder.
async fn on_disk(name: &str, sink: &Sink, mode: Mode, folder: &Path) -> DestinationConfig {
    let mut config = quick(name, endpoint(Protocol::Http, sink.listen().await));
    config.batch.max_items = 10;
    // A successor waits for requests that hang.
    config.timeout = Duration::from_secs(2);
    config.queue = QueueConfig { mode: mode(folder.to_owned()), max_bytes: 1 << 30, ..QueueConfig::default() };
    config
}

async fn durable(name: &str, sink: &Sink, folder: &Path) -> DestinationConfig {
    on_disk(name, sink, QueueMode::Durable, folder).await
}

/// Spans with these numbers that do not compress.
fn noise(numbers: Range<u64>, bytes: usize) -> Parcel {
    named(numbers, || (0..bytes).map(|_| char::from(rand::random_range(b' '..b'~'))).collect())
}

/// A folder as a crash now would leave it.
fn crashed(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("traces")).unwrap();
    for entry in std::fs::read_dir(folder.join("traces")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, copy.path().join("traces").join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

impl Bench {
    /// Sends as queues of this mode take it.
    async fn send_to_disk(&self, mode: Mode, parcel: Parcel) -> Result<(), Refusal> {
        match mode(std::path::PathBuf::new()) {
            QueueMode::Durable(_) => self.send_durably(parcel).await,
            _ => self.send(parcel),
        }
    }

    /// The records of a destination.
    fn spool(&self, destination: usize) -> Arc<queue::Spool> {
        Arc::clone(self.exports.0.current[Signal::Traces as usize].load()[destination].queue().disk().unwrap().spool())
    }

    /// What is written from now on meets a full disk, or does not.
    fn disk_is_full(&self, destination: usize, is_full: bool) {
        *self.spool(destination).store().faults().room.lock() = is_full.then_some(0);
    }

    /// Waits until its files take no space.
    async fn until_disk_is_free(&self, destination: &str) {
        until(async || self.of_traces("queue_disk_bytes", destination) == 0).await;
    }
}
