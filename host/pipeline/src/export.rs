//! What leaves: parcels of encoded spans, the queues of all destinations, and what sends them.
//!
//! The way: [`Exports::reserve`] takes room in every queue or refuses; [`Reservation::commit`] hands the parcel to all of them.
//! From there each destination goes its own way: [`queue`] joins parcels to batches, [`sender`] sends them over its [`link`]
//! until there is an [`answer`] for good.
//!
//! Invariant: a refusal leaves nothing in any queue; an acknowledged span is sent, rejected by the back end, or counted as
//! dropped with a reason, for each destination.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use otlp::batch::RequestContext;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::compact;
use crate::request::Refusal;

mod answer;
mod backoff;
mod codec;
pub mod config;
mod destination;
mod dial;
mod frames;
use crate::log_gate as gate;
mod link;
mod metrics;
mod queue;
mod sender;
mod split;
mod status;
mod tls;
mod wire;

pub use crate::tls::TlsError;
pub use config::{DestinationConfig, Endpoint};
pub use metrics::{DropReason, Metrics};
pub use status::DestinationStatus;

use destination::Destination;
use tls::Material;

/// How long a destination that a reload has taken out goes on with what it holds.
const REMOVAL_GRACE: Duration = Duration::from_secs(30);

/// Encoded spans on their way to the back ends.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// An `ExportTraceServiceRequest`. Parcels are joined by joining their bytes.
    pub body: Bytes,
    /// How many spans it holds.
    pub spans: u32,
    /// What came with the request (or with all requests that were joined: they agree in tenant and kept headers).
    pub context: Arc<RequestContext>,
}

/// All destinations. Clones are handles to the same.
///
/// Without any destination, parcels are taken and let go, uncounted: nobody is there for whom they could be counted.
#[derive(Clone)]
pub struct Exports(Arc<Inner>);

struct Inner {
    current: ArcSwap<Vec<Arc<Destination>>>,
    /// Destinations that a reload has taken out and that still send.
    retiring: Mutex<Vec<Arc<Destination>>>,
    metrics: Metrics,
    runtime: Handle,
    /// One reload at a time, and none once the end has begun.
    reload: Mutex<Life>,
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
    /// The exports are shut down.
    #[error("the exports are shut down")]
    Ended,
}

/// What could not be delivered before the end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DrainReport {
    /// Each destination with spans that were given up, and how many.
    pub undelivered: Vec<(String, u64)>,
}

impl Exports {
    /// Starts destinations, whose senders run on the given runtime.
    pub fn start(configs: Vec<DestinationConfig>, metrics: Metrics, runtime: Handle) -> Result<Self, StartError> {
        let exports = Self(Arc::new(Inner {
            current: ArcSwap::default(),
            retiring: Mutex::default(),
            metrics,
            runtime,
            reload: Mutex::new(Life::Running),
        }));
        exports.reconfigure(configs)?;
        Ok(exports)
    }

    /// Takes room for a parcel of so many bytes and spans in the queues of all destinations, or in none. A parcel that is larger than
    /// a whole queue is refused as too large, never to be sent again. Queues that drop by policy never refuse.
    pub fn reserve(&self, bytes: usize, spans: u32) -> Result<Reservation, Refusal> {
        let mut reservation = Reservation { destinations: self.0.current.load_full(), taken: 0, bytes };
        while let Some(destination) = reservation.destinations.get(reservation.taken) {
            destination.queue().reserve(bytes, spans)?;
            reservation.taken += 1;
        }
        Ok(reservation)
    }

    /// Why the next parcel would be refused, if that is known already: cheap, to be asked before a chain runs in vain.
    #[must_use]
    pub fn is_full(&self) -> Option<Refusal> {
        self.0.current.load().iter().find_map(|destination| destination.queue().is_full())
    }

    /// How many bytes the largest parcel may have that all queues would take now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.0.current.load().iter().map(|destination| destination.queue().room()).min().unwrap_or(usize::MAX)
    }

    /// How it stands with each destination.
    #[must_use]
    pub fn status(&self) -> Vec<DestinationStatus> {
        self.0.current.load().iter().map(|destination| status::of(destination)).collect()
    }

    /// Takes another set of destinations. Those that are unchanged go on with queue and connections; a changed one hands
    /// what it holds to its successor; one that is gone sends what it holds for a while, in the background.
    pub fn reconfigure(&self, configs: Vec<DestinationConfig>) -> Result<(), StartError> {
        let life = self.0.reload.lock();
        if *life == Life::Ended {
            return Err(StartError::Ended);
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = configs.iter().find(|config| !seen.insert(config.name.as_str())) {
            return Err(StartError::SameName(twice.name.clone()));
        }
        let old = self.0.current.load_full();
        let mut new = Vec::with_capacity(configs.len());
        let mut replaced = Vec::new();
        // Everything that can fail comes before anything is changed. Started destinations that are let go have nothing to do.
        let mut ready = Vec::with_capacity(configs.len());
        for config in configs {
            let tls = |error| StartError::Tls { name: config.name.clone(), error };
            let material = Material::read(&config).map_err(tls)?;
            tls::client(&config, &material).map_err(tls)?;
            ready.push((config, material));
        }
        for (config, material) in ready {
            let known = old.iter().find(|known| known.name() == config.name);
            if let Some(known) = known.filter(|known| known.is(&config, &material)) {
                new.push(Arc::clone(known));
                continue;
            }
            let name = config.name.clone();
            let destination = Destination::start(config, material, &self.0.metrics, &self.0.runtime)
                .map_err(|error| StartError::Tls { name, error })?;
            if let Some(known) = known {
                replaced.push((Arc::clone(known), Arc::clone(&destination)));
            }
            new.push(destination);
        }
        let stays = |gone: &Arc<Destination>| new.iter().any(|kept| Arc::ptr_eq(kept, gone));
        let gone: Vec<_> = old.iter().filter(|known| !stays(known)).cloned().collect();
        self.0.metrics.show_limits(new.iter().map(|kept| (kept.name(), kept.config().queue.max_bytes)));
        self.0.current.store(Arc::new(new));
        for (known, successor) in replaced {
            known.queue().replace(successor.queue());
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
            self.0.runtime.spawn(async move {
                let lost = destination.finish(DropReason::Removed, deadline).await;
                if lost > 0 {
                    tracing::warn!(
                        destination = destination.name(),
                        spans = lost,
                        "spans dropped: the destination was removed and its back end did not take them in time"
                    );
                }
            });
        }
    }

    /// Takes nothing more, sends what is held within the bound, and gives up the rest, counted.
    pub async fn drain(&self, within: Duration) -> DrainReport {
        *self.0.reload.lock() = Life::Ended;
        let deadline = Instant::now() + within;
        let mut all = std::mem::take(&mut *self.0.retiring.lock());
        all.extend(self.0.current.load().iter().cloned());
        let endings = all.iter().map(|destination| destination.finish(DropReason::Shutdown, deadline));
        let lost = futures_util::future::join_all(endings).await;
        let mut report = DrainReport::default();
        for (destination, lost) in all.iter().zip(lost).filter(|(_, lost)| *lost > 0) {
            report.undelivered.push((destination.name().to_owned(), lost));
        }
        report
    }
}

/// Room in all queues. Given back when it is dropped without a commit.
#[must_use = "room that is not used is given back"]
pub struct Reservation {
    destinations: Arc<Vec<Arc<Destination>>>,
    /// How many of them have given room.
    taken: usize,
    bytes: usize,
}

impl Reservation {
    /// Hands the parcel to all destinations. Never fails: from here on the spans are the exports' to account for. A parcel
    /// larger than what was reserved is taken too, beyond the queues' bounds by the difference.
    pub fn commit(mut self, parcel: Parcel) {
        let parcel = Parcel { body: compact::alone(parcel.body), ..parcel };
        let taken = std::mem::take(&mut self.taken);
        for destination in &self.destinations[..taken] {
            destination.queue().commit(self.bytes, parcel.clone());
        }
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
