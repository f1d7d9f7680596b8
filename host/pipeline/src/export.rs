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
use std::ops::Deref;
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
use crate::kafka::{Files, KafkaError};
use crate::log_gate::Gate;
use crate::request::Refusal;

mod answer;
mod backoff;
mod codec;
mod commit;
pub mod config;
mod destination;
mod dial;
mod folders;
mod frames;
#[cfg_attr(not(feature = "kafka"), path = "export/kafka/absent.rs")]
mod kafka;
mod link;
mod metrics;
mod queue;
mod resolve;
mod routes;
mod secrets;
mod sender;
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
pub use metrics::{DropReason, Metrics};
pub use secrets::SecretError;
pub use status::{AddressStatus, DestinationStatus, EndpointStatus};
pub use store::StoreError;

use commit::Share;
use destination::Destination;
use dial::Network;
use routes::Routes;
use secrets::Secrets;
use tls::Material;

/// How long a destination that a reload has taken out goes on with what it holds.
const REMOVAL_GRACE: Duration = Duration::from_secs(30);

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
    metrics: Metrics,
    runtime: Handle,
    network: Network,
    unrouted: Gate,
    /// One reload at a time, and none once the end has begun.
    reload: Mutex<Life>,
}

/// The destinations of one time.
#[derive(Default)]
struct Set {
    destinations: Vec<Arc<Destination>>,
    /// Who gets what; `None` where each gets everything.
    routes: Option<Routes>,
}

impl Deref for Set {
    type Target = [Arc<Destination>];

    fn deref(&self) -> &[Arc<Destination>] {
        &self.destinations
    }
}

#[derive(PartialEq)]
enum Life {
    Running,
    Ended,
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
            metrics,
            runtime,
            network,
            unrouted: Gate::default(),
            reload: Mutex::new(Life::Running),
        }));
        exports.reconfigure(configs)?;
        Ok(exports)
    }

    /// Hands a parcel to the destinations, to each what it gets of it, or refuses it for all.
    pub fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal> {
        let set = self.0.of(parcel.signal)?;
        if set.routes.is_none() {
            return Ok(set.reserve(parcel.body.len(), parcel.items)?.commit(parcel));
        }
        let parcel = Parcel { body: compact::alone(parcel.body), ..parcel };
        self.0.share_out(&set, &parcel)
    }

    /// Takes room for a parcel of so many bytes and items in the queues of all destinations that take the signal, whatever their
    /// conditions, or in none. A parcel that is larger than a whole queue is refused as too large, never to be sent again. Queues
    /// that drop by policy never refuse.
    pub fn reserve(&self, signal: Signal, bytes: usize, items: u32) -> Result<Reservation, Refusal> {
        self.0.of(signal)?.reserve(bytes, items)
    }

    /// Whether there is a destination for this signal.
    #[must_use]
    pub fn takes(&self, signal: Signal) -> bool {
        !self.0.current[signal as usize].load().is_empty()
    }

    /// Why the next parcel of spans would be refused, if that is known already: cheap, to be asked before a chain runs in vain.
    #[must_use]
    pub fn is_full(&self) -> Option<Refusal> {
        let set = self.0.current[Signal::Traces as usize].load();
        let Some(routes) = &set.routes else { return set.iter().find_map(|destination| destination.queue().is_full()) };
        // Of those that get a part only, a full one may get nothing of it.
        let mut every = true;
        let mut first = None;
        for (at, destination) in set.iter().enumerate() {
            let full = destination.queue().is_full();
            if full.is_some() && routes.is_everything(at) {
                return full;
            }
            every &= full.is_some();
            first = first.or(full);
        }
        first.filter(|_| every)
    }

    /// How many bytes the largest parcel of spans may have that all queues would take now.
    #[must_use]
    pub fn room(&self) -> usize {
        let set = self.0.current[Signal::Traces as usize].load();
        set.iter().map(|destination| destination.queue().room()).min().unwrap_or(usize::MAX)
    }

    /// How it stands with each destination, signal by signal.
    #[must_use]
    pub fn status(&self) -> Vec<DestinationStatus> {
        self.0.all().iter().map(|destination| status::of(destination)).collect()
    }

    /// Takes another set of destinations. Those that are unchanged go on with queue and connections; a changed one hands
    /// what it holds to its successor; one that is gone sends what it holds for a while, in the background.
    pub fn reconfigure(&self, configs: Vec<DestinationConfig>) -> Result<(), StartError> {
        let life = self.0.reload.lock();
        if *life == Life::Ended {
            return Err(StartError::Ended);
        }
        let mut seen = HashSet::new();
        if let Some(twice) = configs.iter().find(|config| !seen.insert(config.name.as_str())) {
            return Err(StartError::SameName(twice.name.clone()));
        }
        let routes_of = |signal| {
            let takers = configs.iter().filter(|config| config.signals.contains(&signal));
            Routes::new(takers.map(|config| config.when.as_ref()))
        };
        let [traces, metrics, logs] = Signal::ALL.map(routes_of);
        let routes = [traces?, metrics?, logs?];
        if let Some((one, other)) = folders::shared(&configs) {
            return Err(StartError::SameFolder(one, other));
        }
        let old = self.0.all();
        let mut new = Vec::new();
        let mut made = Vec::new();
        // Everything that can fail comes before anything is changed.
        let mut ready = Vec::new();
        for config in configs.into_iter().flat_map(DestinationConfig::by_signal) {
            let tls = |error| StartError::Tls { name: config.name.clone(), error };
            let material = Material::read(&config).map_err(tls)?;
            let kafka = |error| StartError::Kafka { name: config.name.clone(), error };
            let files = config.kafka.as_ref().map(|kafka| Files::read(&kafka.connect)).transpose().map_err(kafka)?;
            let material = material.with_kafka(files);
            for endpoint in config.endpoints.iter() {
                tls::client(&config.tls, endpoint, &material).map_err(tls)?;
            }
            let secrets = Secrets::read(&config.name, config.file_headers.clone());
            let secrets = secrets.map_err(|error| StartError::Secret { name: config.name.clone(), error })?;
            let known =
                old.iter().find(|known| known.name() == config.name && known.signal() == config.signal()).cloned();
            let spool = folders::spool(&config, known.as_deref(), &self.0.metrics)?;
            ready.push((config, material, secrets, known, spool));
        }
        for (config, material, secrets, known, (spool, is_new)) in ready {
            if let Some(known) = known.as_ref().filter(|known| known.is(&config, &material)) {
                new.push(Arc::clone(known));
                continue;
            }
            let name = config.name.clone();
            let Inner { network, metrics, runtime, .. } = &*self.0;
            let destination = Destination::new(config, material, secrets, network, spool, metrics, runtime)
                .map_err(|error| error.of(name))?;
            made.push((is_new, known, Arc::clone(&destination)));
            new.push(destination);
        }
        // Invariant: nobody reads back what is on disk before its account is where it is read to: a sender, or a commit that makes room.
        for (is_new, known, destination) in &made {
            if *is_new {
                destination.queue().restore();
            }
            if let Some(known) = known {
                known.queue().replace(destination.queue());
            }
            destination.begin(&self.0.runtime);
        }
        let stays = |gone: &Arc<Destination>| new.iter().any(|kept| Arc::ptr_eq(kept, gone));
        let gone: Vec<_> = old.iter().filter(|known| !stays(known)).cloned().collect();
        self.0.metrics.show_limits(new.iter().map(|kept| (kept.name(), kept.signal(), kept.config().queue.max_bytes)));
        let shown: HashSet<_> = new.iter().flat_map(|kept| kept.endpoints()).collect();
        for (destination, endpoint) in old.iter().flat_map(|known| known.endpoints()) {
            if !shown.contains(&(destination, endpoint)) {
                self.0.metrics.forget_endpoint(destination, endpoint);
            }
        }
        for (signal, routes) in Signal::ALL.into_iter().zip(routes) {
            let destinations = new.iter().filter(|kept| kept.signal() == signal).cloned().collect();
            self.0.current[signal as usize].store(Arc::new(Set { destinations, routes }));
        }
        self.retire(gone);
        drop(life);
        Ok(())
    }

    fn retire(&self, gone: Vec<Arc<Destination>>) {
        let mut retiring = self.0.retiring.lock();
        retiring.retain(|known| !known.is_finished());
        for destination in gone {
            destination.queue().close(DropReason::Removed);
            retiring.push(Arc::clone(&destination));
            let deadline = Instant::now() + REMOVAL_GRACE;
            let exports = self.clone();
            self.0.runtime.spawn(async move {
                let lost = destination.finish(DropReason::Removed, deadline).await;
                if lost > 0 {
                    tracing::warn!(
                        destination = destination.name(),
                        signal = %destination.signal(),
                        items = lost,
                        "dropped: the destination was removed and its back end did not take them in time"
                    );
                }
                // Its folder is free now. Closing that may wait for the disk.
                let closing = tokio::task::spawn_blocking(move || {
                    exports.0.retiring.lock().retain(|known| !Arc::ptr_eq(known, &destination));
                    drop(destination);
                });
                drop(closing);
            });
        }
    }

    /// Takes nothing more, sends what is held within the bound, and gives up the rest, counted.
    pub async fn drain(&self, within: Duration) -> DrainReport {
        *self.0.reload.lock() = Life::Ended;
        let deadline = Instant::now() + within;
        let mut all = std::mem::take(&mut *self.0.retiring.lock());
        all.extend(self.0.all());
        let endings = all.iter().map(|destination| destination.finish(DropReason::Shutdown, deadline));
        let lost = futures_util::future::join_all(endings).await;
        let mut report = DrainReport::default();
        for (destination, lost) in all.iter().zip(lost).filter(|(_, lost)| *lost > 0) {
            report.undelivered.push((destination.name().to_owned(), destination.signal(), lost));
        }
        report
    }
}

impl Set {
    fn reserve(self: Arc<Self>, bytes: usize, items: u32) -> Result<Reservation, Refusal> {
        let mut reservation = Reservation { destinations: self, taken: 0, bytes };
        while let Some(destination) = reservation.destinations.get(reservation.taken) {
            destination.queue().reserve(bytes, items)?;
            reservation.taken += 1;
        }
        Ok(reservation)
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
        let Some(shares) = set.routes.as_ref().map(|routes| routes.share(whole)) else { return Ok(Taken::Whole) };
        let mut taken = Vec::new();
        for (destination, share) in set.iter().zip(shares.each) {
            let Some((body, items)) = share else { continue };
            // Room that is not used is given back.
            let parcel = whole.part(body, items);
            taken.push(Share::take(destination, parcel)?);
        }
        if shares.unrouted > 0 {
            self.metrics.unrouted(whole.signal).inc_by(u64::from(shares.unrouted));
            if let Some(unsaid) = self.unrouted.open() {
                tracing::warn!(
                    signal = %whole.signal,
                    items = shares.unrouted,
                    unsaid,
                    "dropped: no destination's `when` takes them; give one `when: otherwise` if they are wanted"
                );
            }
        }
        if taken.iter().any(Share::is_durable) {
            return Ok(Taken::Later(Commit::new(taken)));
        }
        taken.into_iter().for_each(Share::fill);
        Ok(Taken::Whole)
    }
}

/// Room in all queues. Given back when it is dropped without a commit.
#[must_use = "room that is not used is given back"]
pub struct Reservation {
    destinations: Arc<Set>,
    /// How many of them have given room.
    taken: usize,
    bytes: usize,
}

impl Reservation {
    /// Hands the parcel to all destinations. From here on the items are the exports' to account for, unless a queue is durable: then
    /// nothing has happened yet, and the answer says how to go on. A parcel larger than what was reserved is taken too, beyond
    /// the queues' bounds by the difference.
    pub fn commit(mut self, parcel: Parcel) -> Taken {
        let parcel = Parcel { body: compact::alone(parcel.body), ..parcel };
        if self.destinations[..self.taken].iter().any(|destination| destination.queue().is_durable()) {
            let shares = self.destinations[..std::mem::take(&mut self.taken)].iter();
            return Taken::Later(Commit::new(shares.map(|one| Share::of(one, self.bytes, parcel.clone())).collect()));
        }
        let taken = std::mem::take(&mut self.taken);
        for destination in &self.destinations[..taken] {
            destination.queue().commit(self.bytes, parcel.clone());
        }
        Taken::Whole
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        for destination in &self.destinations[..self.taken] {
            destination.queue().cancel(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
