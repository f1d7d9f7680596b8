//! A back end in this process: takes OTLP of all signals over gRPC and HTTP on one port, records what arrives, and misbehaves on demand.

mod arrivals;
mod behaviour;
mod serve;

pub use arrivals::{Arrivals, Arrived, GENERATION, Keep, id, spans};
pub use behaviour::Behaviour;

use crate::wait;
use anyhow::{Context as _, Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The back end; gone when dropped.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    behaviour: watch::Sender<Behaviour>,
    server: JoinHandle<()>,
}

/// A sink as the setup knows it that exports to it.
#[derive(Debug)]
pub(crate) struct Watched(Arc<Shared>);

impl Watched {
    /// Whether all that came was OTLP, refused or not.
    pub fn check(&self) -> Result<()> {
        let arrivals = self.0.arrivals.lock();
        ensure!(arrivals.unreadable.is_empty(), "a sink got what is no OTLP: {:?}", arrivals.unreadable);
        Ok(())
    }
}

#[derive(Debug)]
struct Shared {
    keep: Keep,
    arrivals: Mutex<Arrivals>,
    behaviour: watch::Receiver<Behaviour>,
}

impl Sink {
    /// One that keeps the ids of what arrives.
    pub async fn start() -> Result<Self> {
        Self::keeping(Keep::Ids).await
    }

    /// One that keeps more, or less.
    pub async fn keeping(keep: Keep) -> Result<Self> {
        Self::at("127.0.0.1:0".parse()?, keep).await
    }

    /// One at a given address, as a back end that comes back after a restart.
    pub async fn at(address: SocketAddr, keep: Keep) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("binding the sink to {address}"))?;
        let address = listener.local_addr()?;
        let (behaviour, heard) = watch::channel(Behaviour::Accept);
        let shared = Arc::new(Shared { keep, arrivals: Mutex::default(), behaviour: heard });
        let server = tokio::spawn(serve::serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, behaviour, server })
    }

    /// `host:port`, for gRPC and HTTP alike.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it does with requests from now on; those that hang are released.
    pub fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// Looks at what has arrived.
    pub fn arrivals<T>(&self, look: impl FnOnce(&Arrivals) -> T) -> T {
        look(&self.shared.arrivals.lock())
    }

    /// An eye on what comes, that outlives the sink.
    pub(crate) fn watched(&self) -> Watched {
        Watched(Arc::clone(&self.shared))
    }

    /// Takes the requests that were kept so far out of its memory.
    pub fn take_requests(&self) -> Vec<ExportTraceServiceRequest> {
        let mut arrivals = self.shared.arrivals.lock();
        arrivals.messages.clear();
        std::mem::take(&mut arrivals.requests)
    }

    /// How many spans have arrived (and were accepted), doubles included.
    pub fn spans(&self) -> u64 {
        self.arrivals(|arrivals| arrivals.spans)
    }

    /// Waits until so many spans have arrived.
    pub async fn wait_for_spans(&self, spans: u64) -> Result<()> {
        let arrived = wait::until("spans at the sink", async || (self.spans() >= spans).then_some(())).await;
        arrived.with_context(|| format!("{} of {spans} spans arrived", self.spans()))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod tests;
