//! Says to Kafka how far partitions are done, on a thread of its own: only who waits for a commit hears what became of it (librdkafka tells of others
//! through a callback that its binding does not set), and who polls must not wait.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::topic_partition_list::Offset;

use super::board::Place;
use super::context::Common;
use super::puller::Client;

/// Partitions, and the offset of the next message of each.
type Commits = Vec<(Place, i64)>;

/// Ends, when it is dropped, once what is under way has.
pub(super) struct Committer {
    begin: Option<Sender<Commits>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub fn start(common: &Arc<Common>, client: &Arc<Client>) -> Self {
        let (begin, begun) = channel();
        let (common, client) = (Arc::clone(common), Arc::clone(client));
        let thread =
            thread::Builder::new().name("kafka-commit".to_owned()).spawn(move || work(&common, &client, &begun));
        let thread =
            thread.inspect_err(|error| tracing::error!(%error, "Kafka: no thread for commits could be started"));
        Self { begin: Some(begin), thread: thread.ok() }
    }

    /// Has these made, one after the other with those before.
    pub fn begin(&self, common: &Common, commits: Commits) {
        if commits.is_empty() {
            return;
        }
        common.board.commits(&commits);
        let unsent = self.begin.as_ref().and_then(|begin| begin.send(commits).err());
        if let Some(unsent) = unsent {
            common.board.not_committed(&places(&unsent.0));
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.begin.take());
        // What it had to say of a panic is said.
        let _panicked = self.thread.take().map(JoinHandle::join);
    }
}

fn work(common: &Common, client: &Client, begun: &Receiver<Commits>) {
    while let Ok(commits) = begun.recv() {
        let list = common.list(commits.iter().map(|(place, position)| (*place, Offset::Offset(*position))));
        match client.commit(&list, CommitMode::Sync) {
            Ok(()) => {
                common.metrics.committed.inc();
                common.board.committed(&commits);
            }
            Err(error) => {
                common.metrics.not_committed.inc();
                common.board.not_committed(&places(&commits));
                common.logs.error_of("a commit has failed, to be made again", &error);
            }
        }
    }
}

fn places(commits: &Commits) -> Vec<Place> {
    commits.iter().map(|(place, _)| *place).collect()
}
