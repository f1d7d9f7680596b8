//! How it stands with each destination, for people: read from its queue and counters when somebody asks.

use std::net::SocketAddr;
use std::sync::Arc;

use otlp::signal::Signal;
use parking_lot::Mutex;

use super::config::{Endpoint, Protocol};
use super::destination::Destination;
use super::target::{Site, Target};

/// One destination at one time, of one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationStatus {
    /// Its name in the configuration.
    pub name: String,
    /// What it is sent.
    pub signal: Signal,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// The endpoints that requests go to, in the order of the configuration.
    pub endpoints: Vec<EndpointStatus>,
    /// Bytes reserved, waiting and being sent.
    pub queue_bytes: u64,
    /// The queue's bound.
    pub queue_limit: u64,
    /// Where the queue keeps what waits: `memory`, `spill` or `durable`.
    pub queue_mode: &'static str,
    /// Bytes of its files, where it has some.
    pub disk_bytes: Option<u64>,
    /// Items that the back end has accepted.
    pub sent: u64,
    /// Items that wait or are being sent.
    pub held: u64,
    /// Items that the back end has refused for good.
    pub rejected: u64,
    /// Items that were given up.
    pub dropped: u64,
    /// What went wrong with the queue's disk or the last request, if something did.
    pub trouble: Option<String>,
}

/// One of its endpoints at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// The URL that requests go to.
    pub uri: String,
    /// The addresses behind its name, where each counts as a back end of its own; empty before they are known.
    pub addresses: Vec<AddressStatus>,
    /// Whether it is left alone because it failed or asked for that.
    pub resting: bool,
    /// What went wrong with the last request to it, if it did.
    pub trouble: Option<String>,
}

/// One of the addresses behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressStatus {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether it is left alone.
    pub resting: bool,
}

/// What went wrong with the last request. Written once a request, read by whoever looks at the status.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<Arc<str>>>);

impl Trouble {
    /// The back end has taken a request.
    pub fn is_over(&self) {
        self.0.lock().take();
    }

    /// It has not.
    pub fn is(&self, reason: &str) {
        let mut known = self.0.lock();
        if known.as_deref() != Some(reason) {
            *known = Some(reason.into());
        }
    }

    fn get(&self) -> Option<String> {
        self.0.lock().as_deref().map(str::to_owned)
    }
}

pub(super) fn of(destination: &Destination) -> DestinationStatus {
    let (config, queue) = (destination.config(), destination.queue());
    let counters = queue.counters();
    let whole = |gauge: i64| u64::try_from(gauge).unwrap_or(0);
    DestinationStatus {
        name: config.name.clone(),
        signal: destination.signal(),
        protocol: config.endpoints.protocol(),
        endpoints: endpoints(destination),
        queue_bytes: whole(counters.queue_bytes.get()),
        queue_limit: config.queue.max_bytes as u64,
        queue_mode: config.queue.mode.name(),
        disk_bytes: queue.disk().map(|disk| disk.store().disk_bytes()),
        sent: counters.sent.get(),
        held: whole(counters.held.get()),
        rejected: counters.rejected.get(),
        dropped: counters.all_dropped(),
        trouble: queue.disk_trouble().or_else(|| queue.trouble().get()),
    }
}

fn endpoints(destination: &Destination) -> Vec<EndpointStatus> {
    let targets = destination.targets().current();
    let sites = destination.targets().sites().iter().zip(destination.config().endpoints.iter());
    let one = |(site, endpoint): (&Arc<Site>, &Endpoint)| {
        let own = || targets.iter().filter(|target| Arc::ptr_eq(&target.site, site));
        let address = |target: &Arc<Target>| {
            target.address.map(|address| AddressStatus { address, resting: target.is_resting() })
        };
        EndpointStatus {
            uri: endpoint.shown(),
            addresses: own().filter_map(address).collect(),
            resting: own().all(|target| target.is_resting()),
            trouble: site.trouble.get(),
        }
    };
    sites.map(one).collect()
}
