//! What leaves: parcels of spans, data points and log records, the queues of all destinations, and what sends them.
//!
//! The way: [`Exports::reserve`] takes room in every queue or refuses; [`Reservation::commit`] hands the parcel to all of them.
//! Where a queue is durable, that takes a while ([`Commit`]).
//! From there each destination goes its own way: [`queue`] joins parcels to batches, [`sender`] sends them over its [`link`]
//! until there is an [`answer`] for good.
//!
//! A destination that takes several signals has a queue, senders and connections for each: no signal holds another up, and none
//! are joined in a request.
//!
//! Invariant: a refusal leaves nothing in any queue; an acknowledged item is sent, rejected by the back end, or counted as
//! dropped with a reason, for each destination.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use otlp::batch::RequestContext;
use otlp::signal::Signal;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::compact;
use crate::custody::Custody;
use crate::kafka::KafkaError;
use crate::log_gate::Gate;
use crate::request::Refusal;

mod answer;
mod apart;
mod backoff;
mod circle;
mod codec;
mod commit;
pub mod config;
mod destination;
mod dial;
#[cfg(test)]
mod flat;
mod folders;
mod followed;
mod frames;
#[cfg_attr(not(feature = "kafka"), path = "export/kafka/absent.rs")]
mod kafka;
mod link;
pub(crate) mod log;
mod members;
mod metrics;
mod mover;
mod queue;
mod reload;
mod resolve;
mod ring;
mod routes;
mod secrets;
mod sender;
mod set;
mod sizes;
mod split;
mod status;
mod store;
mod target;
mod targets;
mod tls;
mod wire;

pub use crate::tls::TlsError;
pub use commit::{Commit, Taken};
pub use config::{DestinationConfig, Endpoint, Endpoints};
pub(crate) use metrics::disk::DiskCounters;
pub use metrics::{DropReason, Metrics};
pub use secrets::SecretError;
pub use status::{AddressStatus, DestinationStatus, EndpointStatus};
pub use store::StoreError;

use commit::Share;
use destination::Destination;
use dial::Network;
use reload::State;
use set::{Division, Set};

/// When senders come back whose signal's last destination has just gone. Then they are told that there is nobody.
const GONE: Duration = Duration::from_secs(1);

/// Items of one signal on their way to the back ends: spans, data points or log records.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// What it holds.
    pub signal: Signal,
    /// An `ExportTraceServiceRequest`, or what metrics or logs have in its place. Parcels are joined by joining their bytes.
    pub body: Bytes,
    /// How many items it holds.
    pub items: u32,
    /// What came with the request (or with all requests that were joined: they agree in tenant and kept headers).
    pub context: Arc<RequestContext>,
    /// Who hears when it is delivered, on a disk, or given up by a rule.
    pub custody: Option<Arc<Custody>>,
}

impl Parcel {
    /// A parcel with a part of the items.
    fn part(&self, body: Bytes, items: u32) -> Self {
        Self { body, items, ..self.clone() }
    }
}

/// All destinations. Clones are handles to the same.
///
/// Without any destination, parcels are taken and let go, uncounted: nobody is there for whom they could be counted.
#[derive(Clone)]
pub struct Exports(Arc<Inner>);

struct Inner {
    /// Those of each signal.
    current: [ArcSwap<Set>; Signal::ALL.len()],
    /// Destinations that a reload has taken out and that still send.
    retiring: Mutex<Vec<Arc<Destination>>>,
    /// Queues of endpoints that have gone, which are being moved to the others.
    leaving: Mutex<Vec<Arc<Destination>>>,
    metrics: Metrics,
    runtime: Handle,
    network: Network,
    unrouted: Gate,
    unresolved: Gate,
    /// One change at a time, and none once the end has begun.
    reload: Mutex<State>,
}

/// Why destinations cannot be started. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Two have one name.
    #[error("there are two destinations `{0}`: names must differ")]
    SameName(String),
    /// TLS cannot be set up.
    #[error("destination `{name}`: {error}")]
    Tls {
        /// Of which destination.
        name: String,
        /// Why.
        error: TlsError,
    },
    /// Conditions that decide where spans go cannot be used.
    #[error("a destination's `when`: {0}")]
    When(#[from] config::WhenError),
    /// A header cannot be had from its file.
    #[error("destination `{name}`: {error}")]
    Secret {
        /// Of which destination.
        name: String,
        /// Why.
        error: SecretError,
    },
    /// Kafka cannot be spoken to as configured.
    #[error("destination `{name}`: {error}")]
    Kafka {
        /// Of which destination.
        name: String,
        /// Why.
        error: KafkaError,
    },
    /// A folder cannot be used.
    #[error("destination `{name}`: {error}")]
    Store {
        /// Of which destination.
        name: String,
        /// Why.
        error: StoreError,
    },
    /// Two keep their queues in one folder.
    #[error("the destinations `{0}` and `{1}` have the same `queue.folder`: give each one of its own")]
    SameFolder(String, String),
    /// A reload would leave a queue behind.
    #[error(
        "destination `{0}`: the folder of its queue cannot change, nor its mode become `memory`, while it runs: restart with an empty queue, or add a destination of another name"
    )]
    FolderChanged(String),
    /// The exports are shut down.
    #[error("the exports are shut down")]
    Ended,
}

/// What could not be delivered before the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DrainReport {
    /// Each destination with items that were given up, of which signal, and how many.
    pub undelivered: Vec<(String, Signal, u64)>,
}

impl Exports {
    /// Starts destinations, whose senders run on the given runtime.
    pub fn start(configs: Vec<DestinationConfig>, metrics: Metrics, runtime: Handle) -> Result<Self, StartError> {
        Self::start_over(Network::default(), configs, metrics, runtime)
    }

    fn start_over(
        network: Network,
        configs: Vec<DestinationConfig>,
        metrics: Metrics,
        runtime: Handle,
    ) -> Result<Self, StartError> {
        let exports = Self(Arc::new(Inner {
            current: <[ArcSwap<_>; Signal::ALL.len()]>::default(),
            retiring: Mutex::default(),
            leaving: Mutex::default(),
            metrics,
            runtime,
            network,
            unrouted: Gate::default(),
            unresolved: Gate::default(),
            reload: Mutex::default(),
        }));
        exports.reconfigure(configs)?;
        Ok(exports)
    }

    /// Hands a parcel to the destinations, to each what it gets of it, or refuses it for all.
    pub fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal> {
        let set = self.0.of(parcel.signal)?;
        if set.is_plain() {
            return Ok(Reservation::take(set, parcel.body.len(), parcel.items)?.commit(parcel));
        }
        let parcel = Parcel { body: compact::alone(parcel.body), ..parcel };
        self.0.share_out(&set, &parcel)
    }

    /// Takes room for a parcel of so many bytes and items in all queues of all destinations that take the signal, whatever they will get
    /// of it, or in none. A parcel that is larger than a whole queue is refused as too large, never to be sent again. Queues
    /// that drop by policy never refuse.
    pub fn reserve(&self, signal: Signal, bytes: usize, items: u32) -> Result<Reservation, Refusal> {
        Reservation::take(self.0.of(signal)?, bytes, items)
    }

    /// Whether there is a destination for this signal.
    #[must_use]
    pub fn takes(&self, signal: Signal) -> bool {
        !self.0.current[signal as usize].load().is_empty()
    }

    /// Why the next parcel of spans would be refused, if that is known already: cheap, to be asked before a chain runs in vain.
    #[must_use]
    pub fn is_full(&self) -> Option<Refusal> {
        self.0.current[Signal::Traces as usize].load().is_full()
    }

    /// How many bytes the largest parcel of spans may have that all queues would take now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.0.current[Signal::Traces as usize].load().room()
    }

    /// How it stands with each destination, signal by signal.
    #[must_use]
    pub fn status(&self) -> Vec<DestinationStatus> {
        let leaving = self.0.leaving.lock().clone();
        let of_signal = |set: &ArcSwap<Set>| -> Vec<_> {
            let set = set.load();
            let status = |group: &[Arc<Destination>]| {
                let is_ours =
                    |one: &&Arc<Destination>| one.name() == group[0].name() && one.signal() == group[0].signal();
                status::of(group, &leaving.iter().filter(is_ours).cloned().collect::<Vec<_>>())
            };
            set.groups().filter_map(status).collect()
        };
        self.0.current.iter().flat_map(of_signal).collect()
    }

    /// Takes another set of destinations. Those that are unchanged go on with queue and connections; a changed one hands
    /// what it holds to its successor; one that is gone sends what it holds for a while, in the background. Where each endpoint has a queue
    /// of its own, what waits for one that is gone goes to the others.
    pub fn reconfigure(&self, configs: Vec<DestinationConfig>) -> Result<(), StartError> {
        let mut state = self.0.reload.lock();
        if state.has_ended {
            return Err(StartError::Ended);
        }
        let mut seen = HashSet::new();
        if let Some(twice) = configs.iter().find(|config| !seen.insert(config.name.as_str())) {
            return Err(StartError::SameName(twice.name.clone()));
        }
        if let Some((one, other)) = folders::shared(&configs) {
            return Err(StartError::SameFolder(one, other));
        }
        let found = state.found.clone();
        self.apply(&mut state, &configs, &found, None)?;
        state.configs = configs;
        self.follow_names(&mut state);
        drop(state);
        Ok(())
    }

    /// Takes nothing more, sends what is held within the bound, and gives up the rest, counted.
    pub async fn drain(&self, within: Duration) -> DrainReport {
        {
            let mut state = self.0.reload.lock();
            state.has_ended = true;
            state.followed.clear();
        }
        let begun = Instant::now();
        let deadline = begun + within;
        let (retiring, leaving) = (std::mem::take(&mut *self.0.retiring.lock()), self.0.leaving.lock().clone());
        let all = self.0.all();
        let finish = async |some: &[Arc<Destination>], deadline| {
            let endings = some.iter().map(|destination| destination.finish(DropReason::Shutdown, deadline));
            futures_util::future::join_all(endings).await
        };
        let mut lost = Vec::new();
        // What comes back from requests under way is moved, and what is moved is sent: one after another, where there is anything to move.
        if leaving.is_empty() {
            let both: Vec<_> = retiring.iter().chain(&all).cloned().collect();
            lost.extend(both.iter().cloned().zip(finish(&both, deadline).await));
        } else {
            lost.extend(retiring.iter().cloned().zip(finish(&retiring, begun + within / 4).await));
            lost.extend(leaving.iter().cloned().zip(finish(&leaving, deadline).await));
            lost.extend(all.iter().cloned().zip(finish(&all, deadline).await));
        }
        let mut report = DrainReport::default();
        for (destination, lost) in lost.into_iter().filter(|(_, lost)| *lost > 0) {
            let (name, signal) = (destination.name(), destination.signal());
            match report.undelivered.iter_mut().find(|known| known.0 == name && known.1 == signal) {
                Some(known) => known.2 += lost,
                None => report.undelivered.push((name.to_owned(), signal, lost)),
            }
        }
        report
    }
}

impl Inner {
    /// The destinations of a signal. Without any, spans are taken and let go; metrics and logs are refused: the last one has gone
    /// since somebody asked whether there was any.
    fn of(&self, signal: Signal) -> Result<Arc<Set>, Refusal> {
        let set = self.current[signal as usize].load_full();
        if set.is_empty() && signal != Signal::Traces {
            return Err(Refusal::unavailable(GONE, format!("no destination takes {signal} any more")));
        }
        Ok(set)
    }

    /// Those of all signals.
    fn all(&self) -> Vec<Arc<Destination>> {
        self.current.iter().flat_map(|of_signal| of_signal.load().to_vec()).collect()
    }

    /// Hands each destination its share, or refuses for all.
    fn share_out(&self, set: &Set, whole: &Parcel) -> Result<Taken, Refusal> {
        let Division { shares, unrouted } = set.divide(whole);
        let mut taken = Vec::with_capacity(shares.len());
        for (at, parcel) in shares {
            // Room that is not used is given back.
            taken.push(Share::take(&set[at], parcel)?);
        }
        if unrouted > 0 {
            self.metrics.unrouted(whole.signal).inc_by(u64::from(unrouted));
            if let Some(unsaid) = self.unrouted.open() {
                tracing::warn!(
                    signal = %whole.signal,
                    items = unrouted,
                    unsaid,
                    "dropped: no destination's `when` takes them; give one `when: otherwise` if they are wanted"
                );
            }
        }
        Ok(Taken::of(taken))
    }
}

/// Room in all queues. Given back when it is dropped without a commit.
#[must_use = "room that is not used is given back"]
pub struct Reservation {
    set: Arc<Set>,
    /// How many of them have given room.
    taken: usize,
    bytes: usize,
}

impl Reservation {
    fn take(set: Arc<Set>, bytes: usize, items: u32) -> Result<Self, Refusal> {
        let mut reservation = Self { set, taken: 0, bytes };
        while let Some(destination) = reservation.set.get(reservation.taken) {
            destination.queue().reserve(bytes, items)?;
            reservation.taken += 1;
        }
        Ok(reservation)
    }

    /// Hands the parcel to all destinations, whatever their conditions. From here on the items are the exports' to account for, unless a queue is
    /// durable: then nothing has happened yet, and the answer says how to go on. A parcel larger than what was reserved is taken too, beyond
    /// the queues' bounds by the difference.
    pub fn commit(mut self, parcel: Parcel) -> Taken {
        let parcel = Parcel { body: compact::alone(parcel.body), ..parcel };
        let (set, bytes) = (Arc::clone(&self.set), self.bytes);
        let taken = std::mem::take(&mut self.taken);
        if set.is_plain() && !set.iter().any(|destination| destination.queue().is_durable()) {
            for destination in &set[..taken] {
                destination.queue().commit(bytes, parcel.clone());
            }
            return Taken::Whole;
        }
        let none = || parcel.part(Bytes::new(), 0);
        let mut shares: Vec<_> = set.iter().map(|one| Share::of(one, bytes, none())).collect();
        for (at, part) in set.share_all(&parcel) {
            shares[at].holds(part);
        }
        // Of those that get nothing, the room is given back.
        shares.retain(|share| !share.is_empty());
        Taken::of(shares)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for destination in &self.set[..self.taken] {
            destination.queue().cancel(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
