//! Opens connections: TCP, and TLS where the endpoint says `https`.

use std::io;

use http::Uri;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::Tls;

/// What HTTP is spoken over.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot connect to {to}: {error}")]
    Tcp { to: String, error: io::Error },
    /// In words that end with what to do about it.
    #[error("no TLS with {to}: {reason}")]
    Tls { to: String, reason: String },
}

/// Where to, and with what trust.
pub(super) struct Dialer {
    host: Box<str>,
    port: u16,
    tls: Option<Tls>,
    #[cfg(test)]
    in_memory: Option<tokio::sync::mpsc::Sender<tokio::io::DuplexStream>>,
}

impl Dialer {
    pub fn new(uri: &Uri, tls: Option<Tls>) -> Self {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Self {
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            port,
            tls,
            #[cfg(test)]
            in_memory: None,
        }
    }

    /// Connections within this process, whose other ends come out of the channel: for tests in paused time, which
    /// runs ahead while a real socket is waited for.
    #[cfg(test)]
    pub fn in_memory(peers: tokio::sync::mpsc::Sender<tokio::io::DuplexStream>) -> Self {
        Self { host: "test".into(), port: 0, tls: None, in_memory: Some(peers) }
    }

    /// Opens a connection.
    pub async fn dial(&self) -> Result<Box<dyn Io>, DialError> {
        #[cfg(test)]
        if let Some(peers) = &self.in_memory {
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            let refused = |_| self.tcp_error(io::ErrorKind::ConnectionRefused.into());
            peers.send(theirs).await.map_err(refused)?;
            return Ok(Box::new(ours));
        }
        let stream = self.tcp().await.map_err(|error| self.tcp_error(error))?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => match tls.secure(stream).await {
                Ok(secured) => Ok(Box::new(secured)),
                Err(reason) => Err(DialError::Tls { to: self.to(), reason }),
            },
        }
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        // Requests are written whole: there is nothing to wait for.
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    fn tcp_error(&self, error: io::Error) -> DialError {
        DialError::Tcp { to: self.to(), error }
    }

    /// Host and port, for messages.
    pub fn to(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// What may be wrong where a new connection was lost before any answer. Empty, or the end of a message.
    pub fn advice_on_loss(&self) -> String {
        self.tls.as_ref().map(Tls::advice_on_loss).unwrap_or_default()
    }
}
