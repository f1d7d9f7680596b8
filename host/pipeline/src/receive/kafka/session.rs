//! What one consumer does from poll to poll: takes messages, pauses, reads again what was lost, commits, and drains at the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::Offset;

use super::board::Place;
use super::committer::Committer;
use super::group::{Gather, Group};
use super::pauses::{Changes, Pauses};
use super::puller::{Client, Puller};
use crate::admit::Full;
use crate::kafka::{Files, Logs};

/// Of how many messages a request is joined at most.
const JOIN_MESSAGES: usize = 512;
/// So much of tenants without room is kept aside, in bytes; then nothing more is taken of anybody.
const MOST_WAITING: usize = 1 << 20;
/// How long a poll waits while there is nothing else to do, and while something waits for room.
const IDLE: Duration = Duration::from_millis(50);
const BUSY: Duration = Duration::from_millis(5);
/// How long a last commit may take beyond the bound.
const LAST_COMMIT: Duration = Duration::from_millis(300);
/// How long what was lost rests before it is read again, and how long looking for that place may take.
const REST: Duration = Duration::from_secs(1);
const SEEK: Duration = Duration::from_secs(5);

/// What one consumer remembers from poll to poll.
pub(super) struct Session<'p> {
    puller: &'p Puller,
    /// Goes before the client, whose last clone ends it.
    committer: Committer,
    client: Arc<Client>,
    /// What it was made with.
    files: Files,
    /// What waits for room, and where there is none.
    waiting: VecDeque<(Group, Full)>,
    pauses: Pauses,
    next_commit: Instant,
    /// When what was lost is read again.
    next_look: Instant,
}

impl<'p> Session<'p> {
    pub fn new(puller: &'p Puller, client: Client, files: Files) -> Self {
        let now = Instant::now();
        let client = Arc::new(client);
        let committer = Committer::start(&puller.common, &client);
        let (waiting, pauses) = (VecDeque::new(), Pauses::default());
        Self { puller, committer, client, files, waiting, pauses, next_commit: now, next_look: now }
    }

    /// Until the end, or until the client says that it cannot go on.
    pub fn run(&mut self) {
        while !self.puller.stop.is_cancelled() {
            self.start_waiting();
            self.pause_and_resume();
            self.read_again();
            self.commit();
            self.poll();
            if self.has_new_files() {
                tracing::info!("Kafka: brokers deny the consumer, and its files have changed: it is started anew");
                return;
            }
            if let Some((code, reason)) = self.client.client().fatal_error() {
                tracing::warn!(%code, "Kafka: the consumer cannot go on and is started anew: {reason}");
                return;
            }
        }
    }

    /// Whether it was denied with what its files held, and they hold something else now.
    fn has_new_files(&self) -> bool {
        let is_denied = self.puller.common.is_denied.swap(false, Ordering::Relaxed);
        is_denied && self.puller.read_files().is_some_and(|files| files != self.files)
    }

    /// Takes what is there, joins it, and begins to deliver it.
    fn poll(&mut self) {
        let mut gather = Gather::new(self.puller.join_bytes);
        let mut wait = if self.waiting.is_empty() && self.pauses.count() == 0 { IDLE } else { BUSY };
        while gather.bytes() < self.puller.join_bytes && gather.messages() < JOIN_MESSAGES {
            match self.client.poll(wait) {
                None => break,
                Some(Ok(message)) => self.take(&message, &mut gather),
                Some(Err(error)) => {
                    self.puller.common.logs.error_of("messages cannot be taken", &error);
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        if gather.messages() > 0 {
            self.puller.common.logs.all_is_well();
        }
        for group in gather.finish() {
            self.waiting.extend(self.puller.way.start(group).err());
        }
    }

    fn take(&self, message: &BorrowedMessage<'_>, gather: &mut Gather) {
        let common = &self.puller.common;
        let Some(place) = common.place(message.topic(), message.partition()) else { return };
        let offset = message.offset();
        if common.board.begins_anew(place, offset) {
            let (topic, partition) = (message.topic(), message.partition());
            tracing::warn!(topic, partition, offset, "Kafka: offsets go back, and are taken as those of new messages");
        }
        let Some(taken) = common.board.take(place, offset) else { return };
        let topic = &self.puller.way.topics[place.0];
        let payload = message.payload().unwrap_or_default();
        topic.messages.inc();
        topic.bytes.inc_by(payload.len() as u64);
        self.puller.way.shared.metrics.of_kafka(self.puller.signals[place.0]).bytes(payload.len());
        if payload.is_empty() {
            // It holds nothing: it is settled.
            drop(common.board.custody(vec![taken]));
            return;
        }
        gather.add(self.puller.signals[place.0], self.puller.context_of(message.headers()), payload, taken);
    }

    fn start_waiting(&mut self) {
        // Whoever has the partition now reads it again.
        self.waiting.retain(|(group, _)| group.parts.iter().all(|(taken, _)| self.puller.common.board.has(taken)));
        let mut of_tenants = VecDeque::new();
        while let Some((group, _)) = self.waiting.pop_front() {
            match self.puller.way.start(group) {
                Ok(()) => {}
                // Another tenant's may have room.
                Err(waits @ (_, Full::Tenant)) => of_tenants.push_back(waits),
                Err(waits) => {
                    self.waiting.push_front(waits);
                    break;
                }
            }
        }
        of_tenants.append(&mut self.waiting);
        self.waiting = of_tenants;
    }

    /// Takes nothing of a partition while what was taken of it is refused, has no room, or is too much; nothing at all while there is no room for anybody.
    fn pause_and_resume(&mut self) {
        let common = &self.puller.common;
        self.pauses.came(std::mem::take(&mut *common.came.lock()));
        common.flow.set_has_no_room(!self.waiting.is_empty());
        let all = self.waits_for_all();
        let mut held_up = common.flow.refused();
        held_up.extend(self.waiting.iter().map(|(group, _)| group.place));
        let most = self.puller.config.max_uncommitted;
        let (mut wanted, mut full) = (BTreeMap::new(), None);
        common.board.each(|place, offsets| {
            // Half of it has to end first, so that it is not paused and resumed for each message.
            let bound = if self.pauses.is_paused(place) { most.div_ceil(2) } else { most };
            let (is_held_up, is_full) = (all || held_up.contains(&place), offsets.is_full(bound));
            wanted.insert(place, is_held_up || is_full);
            if is_full && !is_held_up && !self.pauses.is_paused(place) {
                full = Some(place);
            }
        });
        if let Some((topic, partition)) = full
            && let Some(unsaid) = self.puller.full.open()
        {
            let topic = &common.topics[topic];
            tracing::warn!(
                topic,
                partition,
                most,
                unsaid,
                "Kafka: a partition is paused, so many of its messages are on their way; where they wait for their traces to be decided, these are \
                 decided without what is not read yet: raise receive.kafka.max_uncommitted"
            );
        }
        let Changes { stop, go_on } = self.pauses.changes(&wanted);
        let list = |places: &[Place]| common.list(places.iter().map(|place| (*place, Offset::Invalid)));
        if !stop.is_empty() && self.client.pause(&list(&stop)).is_ok() {
            self.pauses.told(&stop, true);
        }
        if !go_on.is_empty() && self.client.resume(&list(&go_on)).is_ok() {
            self.pauses.told(&go_on, false);
        }
    }

    /// Whether there is no room for anybody, or much waits already.
    fn waits_for_all(&self) -> bool {
        let bytes: usize = self.waiting.iter().map(|(group, _)| group.body.len()).sum();
        bytes > MOST_WAITING || self.waiting.iter().any(|(_, full)| *full != Full::Tenant)
    }

    /// Goes back to what was lost here, after a rest. What stands behind it and is on its way or done is passed over when it comes again.
    fn read_again(&mut self) {
        if Instant::now() < self.next_look {
            return;
        }
        self.next_look = Instant::now() + REST;
        let common = &self.puller.common;
        let mut lost = Vec::new();
        common.board.each(|place, offsets| lost.extend(offsets.lowest_failed().map(|offset| (place, offset))));
        if lost.is_empty() {
            return;
        }
        // Also where that comes to nothing: it may do so late.
        common.board.reads_again(&lost);
        let list = common.list(lost.iter().map(|(place, offset)| (*place, Offset::Offset(*offset))));
        match self.client.seek_partitions(list, SEEK) {
            Ok(_) => drop(common.metrics.again.inc_by(lost.len() as u64)),
            Err(error) => common.logs.error_of("what was lost cannot be read again yet", &error),
        }
    }

    /// Says how far it is, when that is due.
    fn commit(&mut self) {
        let now = Instant::now();
        if now < self.next_commit {
            return;
        }
        self.next_commit = now + self.puller.config.commit_interval;
        let common = &self.puller.common;
        common.metrics.partitions.set(common.board.places().len() as i64);
        common.metrics.paused.set(self.pauses.count() as i64);
        common.metrics.uncommitted.set(common.board.open() as i64);
        // Another waits until it is known what became of the last one.
        if !common.board.is_committing() {
            self.committer.begin(common, common.board.to_commit(None));
        }
    }

    /// Commits what is settled, and waits until it is known what became of it; no longer than that.
    fn commit_last(&self, until: Instant) {
        let common = &self.puller.common;
        self.committer.begin(common, common.board.to_commit(None));
        while common.board.is_committing() && Instant::now() < until {
            drop(self.client.poll(BUSY));
        }
    }

    /// Takes nothing more, and waits for what is under way within the bound. What is not settled by then comes again to whoever reads on.
    pub fn drain(&mut self) {
        let common = &self.puller.common;
        let until = Instant::now() + self.puller.drain;
        let all: Vec<Place> = common.board.places();
        let list = common.list(all.iter().map(|place| (*place, Offset::Invalid)));
        if let Err(error) = self.client.pause(&list) {
            tracing::debug!(%error, "Kafka: partitions cannot be paused");
        }
        common.flow.stop.cancel();
        // Traces are not to be decided without what is not read any more.
        common.board.leave(&all);
        // What has no room is not to be waited for.
        for (group, _) in self.waiting.drain(..) {
            common.board.custody(group.parts.into_iter().map(|(taken, _)| taken).collect()).fail();
        }
        while common.board.open() > 0 && Instant::now() < until {
            // Signs of life, and partitions that go. A message that comes all the same was never taken.
            drop(self.client.poll(BUSY));
        }
        self.commit_last(until.max(Instant::now() + LAST_COMMIT));
        let unsettled = common.board.open();
        // Whatever is not settled is another's from now on.
        for place in common.board.places() {
            common.board.forget(place);
        }
        // The group hears of it when the client is dropped.
        self.client.unsubscribe();
        tracing::info!(unsettled, "Kafka: the consumer leaves its group");
    }
}

impl Logs {
    /// What the consumer itself could not do.
    pub fn error_of(&self, what: &str, error: &RdError) {
        if matches!(error, RdError::PartitionEOF(_)) {
            return;
        }
        let code = error.rdkafka_error_code();
        // A client that looks for its brokers says so itself.
        if code != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.note(format!("{what}: {error}"));
        }
    }
}
