//! The thread that takes messages: polls, pauses, reads again what was lost, commits.

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use otlp::batch::RequestContext;
use otlp::signal::Signal;
use parking_lot::Mutex;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError as RdError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::Offset;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::super::Shared;
use super::board::{Board, Place};
use super::context::{Common, Context};
use super::delivery::Way;
use super::flow::Flow;
use super::group::{Gather, Group};
use super::{Config, InitialOffset, PartitionStatus, Status};
use crate::admit::Payer;
use crate::kafka::{Files, KafkaError, Logs, configure};
use crate::log_gate::Gate;

/// How large a request of joined messages gets, and of how many. So much is taken beside the budget before it is asked for room.
const JOIN_BYTES: usize = 256 << 10;
const JOIN_MESSAGES: usize = 512;
/// How long a poll waits while there is nothing else to do, and while something waits for room.
const IDLE: Duration = Duration::from_millis(50);
const BUSY: Duration = Duration::from_millis(5);
/// How long what was lost rests before it is read again, and how long looking for that place may take.
const REST: Duration = Duration::from_secs(1);
const SEEK: Duration = Duration::from_secs(5);
/// How soon a consumer that cannot go on is started anew.
const ANEW: Duration = Duration::from_secs(2);
/// How often the lag is asked for.
const STATISTICS: &str = "10000";

type Client = BaseConsumer<Context>;

/// A consumer that does not consume yet.
pub(in super::super) struct Consumer {
    settings: rdkafka::ClientConfig,
    config: Config,
    common: Arc<Common>,
    shared: Arc<Shared>,
    payer: Payer,
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Consumer {
    pub fn new(config: Config, shared: &Arc<Shared>) -> Result<Self, KafkaError> {
        let settings = settings(&config, &Files::read(&config.connect)?)?;
        let common = Arc::new(Common {
            topics: config.topics.iter().map(|(topic, _)| topic.clone()).collect(),
            board: Arc::new(Board::default()),
            flow: Arc::new(Flow::default()),
            metrics: shared.metrics.kafka().clone(),
            logs: Logs::of("receive.kafka"),
            lag: Mutex::default(),
            came: Mutex::default(),
        });
        // One sender among others: nobody is at that address.
        let payer = shared.admission.connection(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Ok(Self { settings, config, common, shared: Arc::clone(shared), payer })
    }

    /// Says, whenever it is asked, how it stands.
    pub fn status(&self) -> Box<dyn Fn() -> Status + Send + Sync> {
        let (common, group) = (Arc::clone(&self.common), self.config.group.clone());
        Box::new(move || status(&common, &group))
    }

    /// Consumes until `shutdown`, and then for as long as `drain` waits for what is under way; commits that, and leaves the group.
    pub async fn run(self, drain: Duration, shutdown: CancellationToken) {
        let (ended, end) = oneshot::channel();
        let Self { settings, config, common, shared, payer } = self;
        let way = Way {
            topics: common.topics.iter().map(|topic| common.metrics.of(topic)).collect(),
            shared,
            common: Arc::clone(&common),
            runtime: Handle::current(),
            payer,
            refused: Gate::default(),
            skipped: Gate::default(),
        };
        let join_bytes = JOIN_BYTES.min(way.shared.limits.request_bytes);
        let puller = Puller {
            common,
            way: Arc::new(way),
            signals: config.topics.iter().map(|(_, signal)| *signal).collect(),
            plain: Arc::default(),
            config,
            join_bytes,
            stop: shutdown,
            drain,
        };
        let work = move || {
            puller.run(&settings);
            // Whoever waited may have gone.
            let _gone = ended.send(());
        };
        match thread::Builder::new().name("kafka".to_owned()).spawn(work) {
            Ok(_) => drop(end.await),
            Err(error) => tracing::error!(%error, "Kafka: no thread for the consumer could be started"),
        }
    }
}

fn settings(config: &Config, files: &Files) -> Result<rdkafka::ClientConfig, KafkaError> {
    let mut client = configure(&config.connect, files)?;
    let reset = match config.initial_offset {
        InitialOffset::Earliest => "earliest",
        InitialOffset::Latest => "latest",
    };
    let session = config.session_timeout.as_millis();
    client
        .set("group.id", &config.group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", reset)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session.to_string())
        .set("heartbeat.interval.ms", (session / 6).clamp(1, 3000).to_string())
        .set("max.poll.interval.ms", session.max(300_000).to_string())
        .set("queued.max.messages.kbytes", (config.fetch_bytes / 1024).max(1).to_string())
        .set("fetch.max.bytes", config.fetch_bytes.max(1 << 20).to_string())
        // The first message of a fetch comes however large it is.
        .set("fetch.message.max.bytes", config.fetch_bytes.min(1 << 20).to_string())
        // New partitions, and topics that were not there, are noticed so soon.
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("statistics.interval.ms", STATISTICS);
    Ok(client)
}

fn status(common: &Common, group: &str) -> Status {
    let lag = common.lag.lock().clone();
    let mut partitions = Vec::new();
    let mut uncommitted = 0;
    common.board.each(|place, offsets| {
        uncommitted += offsets.open() as u64;
        partitions.push(PartitionStatus {
            topic: common.topics[place.0].clone(),
            partition: place.1,
            committed: offsets.committed(),
            lag: lag.get(&place).copied(),
        });
    });
    let paused = common.flow.is_refused();
    Status { group: group.to_owned(), partitions, uncommitted, paused, trouble: common.logs.last() }
}

/// What one consumer after another works with.
struct Puller {
    common: Arc<Common>,
    way: Arc<Way>,
    config: Config,
    /// By the places of the topics.
    signals: Vec<Signal>,
    /// The context of messages that bring nothing which is kept.
    plain: Arc<RequestContext>,
    join_bytes: usize,
    stop: CancellationToken,
    drain: Duration,
}

/// What one consumer remembers from poll to poll.
struct Session<'p> {
    puller: &'p Puller,
    client: Client,
    /// What waits for room.
    waiting: VecDeque<Group>,
    paused: BTreeSet<Place>,
    next_commit: Instant,
    /// When what was lost is read again.
    next_look: Instant,
}

impl Puller {
    fn run(&self, settings: &rdkafka::ClientConfig) {
        while !self.stop.is_cancelled() {
            match self.start(settings) {
                Ok(client) => {
                    let now = Instant::now();
                    let mut session = Session {
                        puller: self,
                        client,
                        waiting: VecDeque::new(),
                        paused: BTreeSet::new(),
                        next_commit: now,
                        next_look: now,
                    };
                    session.run();
                    if self.stop.is_cancelled() {
                        session.drain();
                    }
                }
                Err(error) => self.common.logs.error_of("the consumer cannot be started", &error),
            }
            // What it had comes again to the next.
            self.common.board.places().into_iter().for_each(|place| self.common.board.forget(place));
            let again = Instant::now() + ANEW;
            while !self.stop.is_cancelled() && Instant::now() < again {
                thread::sleep(IDLE);
            }
        }
        self.common.flow.stop.cancel();
    }

    fn start(&self, settings: &rdkafka::ClientConfig) -> Result<Client, RdError> {
        let client = Client::from_config_and_context(settings, Context(Arc::clone(&self.common)))?;
        let topics: Vec<&str> = self.common.topics.iter().map(String::as_str).collect();
        client.subscribe(&topics)?;
        Ok(client)
    }

    /// A message's context: what the configuration keeps of its headers, which are named as those of HTTP are.
    fn context_of(&self, headers: Option<&BorrowedHeaders>) -> Arc<RequestContext> {
        let keep = &self.way.shared.keep;
        let Some(headers) = headers.filter(|_| keep.tenant.is_some() || !keep.headers.is_empty()) else {
            return Arc::clone(&self.plain);
        };
        let of = |name: &http::HeaderName| -> Vec<Box<str>> {
            let named = headers.iter().filter(|header| header.key.eq_ignore_ascii_case(name.as_str()));
            named.filter_map(|header| header.value).map(text).collect()
        };
        let tenant = keep.tenant.as_ref().and_then(|name| of(name).into_iter().next());
        let kept: Vec<_> = keep
            .headers
            .iter()
            .flat_map(|name| of(name).into_iter().map(|value| (name.as_str().into(), value)))
            .collect();
        if tenant.is_none() && kept.is_empty() {
            return Arc::clone(&self.plain);
        }
        Arc::new(RequestContext { tenant, headers: kept, ..RequestContext::default() })
    }
}

/// Header values need not be UTF-8.
fn text(value: &[u8]) -> Box<str> {
    String::from_utf8_lossy(value).into_owned().into()
}

impl Session<'_> {
    /// Until the end, or until the client says that it cannot go on.
    fn run(&mut self) {
        while !self.puller.stop.is_cancelled() {
            self.start_waiting();
            self.pause_and_resume();
            self.read_again();
            self.commit();
            self.poll();
            if let Some((code, reason)) = self.client.client().fatal_error() {
                tracing::warn!(%code, "Kafka: the consumer cannot go on and is started anew: {reason}");
                return;
            }
        }
    }

    /// Takes what is there, joins it, and begins to deliver it.
    fn poll(&mut self) {
        let mut gather = Gather::new(self.puller.join_bytes);
        let mut wait = if self.waiting.is_empty() && self.paused.is_empty() { IDLE } else { BUSY };
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
        let Some(taken) = common.board.take(place, message.offset()) else { return };
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
        while let Some(group) = self.waiting.pop_front() {
            if let Err(group) = self.puller.way.start(group) {
                self.waiting.push_front(group);
                return;
            }
        }
    }

    /// Takes nothing while what was taken has no room, or is refused; nothing of a partition of which too much is on its way.
    fn pause_and_resume(&mut self) {
        let common = &self.puller.common;
        for place in common.came.lock().drain(..) {
            self.paused.remove(&place);
        }
        let all = !self.waiting.is_empty() || common.flow.is_refused();
        let most = self.puller.config.max_uncommitted;
        let (mut stop, mut go_on, mut here) = (Vec::new(), Vec::new(), BTreeSet::new());
        common.board.each(|place, offsets| {
            here.insert(place);
            let is_paused = self.paused.contains(&place);
            // Half of it has to end first, so that it is not paused and resumed for each message.
            let bound = if is_paused { most.div_ceil(2) } else { most };
            match all || offsets.is_full(bound) {
                true if !is_paused => stop.push(place),
                false if is_paused => go_on.push(place),
                _ => {}
            }
        });
        self.paused.retain(|place| here.contains(place));
        let list = |places: &[Place]| common.list(places.iter().map(|place| (*place, Offset::Invalid)));
        if !stop.is_empty() && self.client.pause(&list(&stop)).is_ok() {
            self.paused.extend(stop);
        }
        if !go_on.is_empty() && self.client.resume(&list(&go_on)).is_ok() {
            self.paused.retain(|place| !go_on.contains(place));
        }
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
        common.metrics.paused.set(self.paused.len() as i64);
        common.metrics.uncommitted.set(common.board.open() as i64);
        let commits = common.board.to_commit(None);
        if commits.is_empty() {
            return;
        }
        let list = common.list(commits.iter().map(|(place, position)| (*place, Offset::Offset(*position))));
        // Before it is begun: it may fail before this returns.
        common.board.committed(&commits);
        if let Err(error) = self.client.commit(&list, CommitMode::Async) {
            let places: Vec<Place> = commits.iter().map(|(place, _)| *place).collect();
            common.board.not_committed(&places);
            common.logs.error_of("a commit cannot be made", &error);
        }
    }

    /// Takes nothing more, and waits for what is under way within the bound. What is not settled by then comes again to whoever reads on.
    fn drain(&mut self) {
        let common = &self.puller.common;
        let until = Instant::now() + self.puller.drain;
        let all: Vec<Place> = common.board.places();
        let list = common.list(all.iter().map(|place| (*place, Offset::Invalid)));
        if let Err(error) = self.client.pause(&list) {
            tracing::debug!(%error, "Kafka: partitions cannot be paused");
        }
        common.flow.stop.cancel();
        // What has no room is not to be waited for.
        for group in self.waiting.drain(..) {
            common.board.custody(group.parts.into_iter().map(|(taken, _)| taken).collect()).fail();
        }
        while common.board.open() > 0 && Instant::now() < until {
            // Signs of life, and partitions that go. A message that comes all the same was never taken.
            drop(self.client.poll(BUSY));
        }
        common.commit_now(&self.client, None);
        // The group hears of it when the client is dropped.
        self.client.unsubscribe();
        tracing::info!(unsettled = common.board.open(), "Kafka: the consumer leaves its group");
    }
}

impl Logs {
    /// What the consumer itself could not do.
    fn error_of(&self, what: &str, error: &RdError) {
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
