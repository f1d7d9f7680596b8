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
    /// The endpoints that requests go to, in the order of the configuration; then those that have gone.
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
    /// Bytes of its own queue, where it has one.
    pub queue_bytes: Option<u64>,
    /// Whether it is an endpoint no more, and what waits for it is being handed to the others.
    pub leaving: bool,
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

/// Of the queues of one destination, and those that its endpoints have left behind.
pub(super) fn of(queues: &[Arc<Destination>], leaving: &[Arc<Destination>]) -> Option<DestinationStatus> {
    let first = queues.first()?;
    let (config, counters) = (first.config(), first.queue().counters());
    let whole = |gauge: i64| u64::try_from(gauge).unwrap_or(0);
    let disks = queues.iter().chain(leaving).filter_map(|one| Some(one.queue().disk()?.store().disk_bytes()));
    Some(DestinationStatus {
        name: config.name.clone(),
        signal: first.signal(),
        protocol: config.endpoints.protocol(),
        endpoints: queues.iter().flat_map(endpoints).chain(leaving.iter().filter_map(left)).collect(),
        queue_bytes: whole(counters.queue_bytes.get()),
        queue_limit: queues.iter().map(|one| one.config().queue.max_bytes as u64).sum(),
        queue_mode: config.queue.mode.name(),
        disk_bytes: config.queue.mode.folder().map(|_| disks.sum()),
        sent: counters.sent.get(),
        held: whole(counters.held.get()),
        rejected: counters.rejected.get(),
        dropped: counters.all_dropped(),
        trouble: queues.iter().chain(leaving).find_map(trouble),
    })
}

/// What is wrong with one queue, and of which endpoint, if there are several.
fn trouble(one: &Arc<Destination>) -> Option<String> {
    let queue = one.queue();
    let trouble = queue.disk_trouble().or_else(|| queue.trouble().get())?;
    Some(one.member().map_or_else(|| trouble.clone(), |member| format!("{}: {trouble}", member.name)))
}

/// An endpoint that has gone.
fn left(one: &Arc<Destination>) -> Option<EndpointStatus> {
    let queue_bytes = one.queue().held_bytes() as u64;
    let uri = one.member()?.name.clone();
    let (addresses, trouble) = (Vec::new(), one.queue().disk_trouble());
    Some(EndpointStatus { uri, addresses, resting: true, trouble, queue_bytes: Some(queue_bytes), leaving: true })
}

fn endpoints(destination: &Arc<Destination>) -> Vec<EndpointStatus> {
    let Some(all) = destination.targets() else {
        // Nobody knows any yet.
        let one = |endpoint: &Endpoint| EndpointStatus {
            uri: endpoint.shown(),
            addresses: Vec::new(),
            resting: true,
            trouble: destination.queue().trouble().get(),
            queue_bytes: None,
            leaving: false,
        };
        return destination.config().endpoints.iter().map(one).collect();
    };
    let targets = all.current();
    let queue_bytes = destination.member().map(|_| destination.queue().held_bytes() as u64);
    let one = |site: &Arc<Site>| {
        let own = || targets.iter().filter(|target| Arc::ptr_eq(&target.site, site));
        let address = |target: &Arc<Target>| {
            target.address.map(|address| AddressStatus { address, resting: target.is_resting() })
        };
        EndpointStatus {
            uri: site.name.clone(),
            addresses: own().filter_map(address).collect(),
            // One that has no other beside it is tried all the time.
            resting: own().all(|target| target.is_resting()) || (queue_bytes.is_some() && site.trouble.get().is_some()),
            trouble: site.trouble.get(),
            queue_bytes,
            leaving: false,
        }
    };
    all.sites().iter().map(one).collect()
}
