//! Opens connections: a name's addresses, TCP, and TLS where the endpoint says `https`. Knows where each of them leads.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::config::Endpoint;
use super::resolve::{Resolve, System};
use super::tls::Tls;

mod race;

/// What HTTP is spoken over.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot find {to}: {error}")]
    Name { to: String, error: io::Error },
    #[error("cannot connect to {to}: {error}")]
    Tcp { to: String, error: io::Error },
    /// In words that end with what to do about it.
    #[error("no TLS with {to}: {reason}")]
    Tls { to: String, reason: String },
}

/// What connections are made with: tests put something else in its place.
#[derive(Clone)]
pub(super) struct Network {
    pub resolver: Arc<dyn Resolve>,
    /// Connections within this process, whose other ends come out of the channel of that host: for tests in paused time, which
    /// runs ahead while a real socket is waited for.
    #[cfg(test)]
    pub in_memory: std::collections::HashMap<String, tokio::sync::mpsc::Sender<tokio::io::DuplexStream>>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            resolver: Arc::new(System),
            #[cfg(test)]
            in_memory: std::collections::HashMap::new(),
        }
    }
}

/// Where to, and with what trust.
pub(super) struct Dialer {
    network: Network,
    host: Box<str>,
    port: u16,
    tls: Option<Arc<Tls>>,
    /// Where this one leads, if it stands for one of the name's addresses.
    only: Option<SocketAddr>,
    /// Where the name led when it was last asked for.
    known: Mutex<Vec<SocketAddr>>,
}

impl Dialer {
    pub fn new(endpoint: &Endpoint, tls: Option<Arc<Tls>>, network: Network) -> Self {
        let (host, port) = (endpoint.host().into(), endpoint.port());
        Self { network, host, port, tls, only: None, known: Mutex::default() }
    }

    /// To one of the name's addresses alone.
    pub fn only(&self, address: SocketAddr) -> Self {
        let Self { network, host, port, tls, .. } = self;
        let (network, host, tls) = (network.clone(), host.clone(), tls.clone());
        Self { network, host, port: *port, tls, only: Some(address), known: Mutex::default() }
    }

    /// Opens a connection, and says where it leads; `None` within this process.
    pub async fn dial(&self) -> Result<(Box<dyn Io>, Option<SocketAddr>), DialError> {
        #[cfg(test)]
        if let Some(peers) = self.network.in_memory.get(&*self.host) {
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            let refused = |_| self.tcp_error(io::ErrorKind::ConnectionRefused.into());
            peers.send(theirs).await.map_err(refused)?;
            return Ok((Box::new(ours), None));
        }
        let addresses = if let Some(address) = self.only {
            vec![address]
        } else {
            let found = self.look_up().await.map_err(|error| DialError::Name { to: self.to(), error })?;
            self.note(&found);
            found
        };
        let raced = race::first(&addresses, TcpStream::connect).await;
        let (peer, stream) = raced.map_err(|error| self.tcp_error(error))?;
        // Requests are written whole: there is nothing to wait for.
        stream.set_nodelay(true).map_err(|error| self.tcp_error(error))?;
        match &self.tls {
            None => Ok((Box::new(stream), Some(peer))),
            Some(tls) => match tls.secure(stream).await {
                Ok(secured) => Ok((Box::new(secured), Some(peer))),
                Err(reason) => Err(DialError::Tls { to: self.to(), reason }),
            },
        }
    }

    /// Keeps in mind where the name leads. Of what was known before, nothing is forgotten: a resolver may tell a part only, and
    /// each time another.
    fn note(&self, found: &[SocketAddr]) {
        let mut known = self.known.lock();
        for address in found {
            if !known.contains(address) {
                known.push(*address);
            }
        }
    }

    /// Whether the name may lead elsewhere some day.
    pub fn is_named(&self) -> bool {
        #[cfg(test)]
        if self.network.in_memory.contains_key(&*self.host) {
            return false;
        }
        self.host.parse::<std::net::IpAddr>().is_err()
    }

    /// Asks where the name leads now: at least somewhere.
    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let found = self.network.resolver.resolve(&self.host, self.port).await?;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(found)
    }

    /// Likewise, and forgets where it led before. An error says nothing about where it led: all of that stays.
    pub async fn look_up_anew(&self) -> io::Result<Vec<SocketAddr>> {
        let found = self.look_up().await?;
        self.known.lock().clone_from(&found);
        Ok(found)
    }

    /// Whether the name still leads where a connection goes, as far as is known.
    pub fn leads_to(&self, peer: Option<SocketAddr>) -> bool {
        let Some(peer) = peer else { return true };
        self.only.is_some() || self.known.lock().contains(&peer)
    }

    fn tcp_error(&self, error: io::Error) -> DialError {
        DialError::Tcp { to: self.to(), error }
    }

    /// Host and port, and which address where that was chosen: for messages.
    pub fn to(&self) -> String {
        let Self { host, port, only, .. } = self;
        let to = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        only.map_or_else(|| to.clone(), |address| format!("{to} ({address})"))
    }

    /// What may be wrong where a new connection was lost before any answer. Empty, or the end of a message.
    pub fn advice_on_loss(&self) -> String {
        self.tls.as_deref().map(Tls::advice_on_loss).unwrap_or_default()
    }
}
