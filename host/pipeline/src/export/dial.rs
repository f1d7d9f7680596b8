//! Opens connections: TCP, and TLS where the endpoint says `https`.

use std::io;
use std::sync::Arc;

use http::Uri;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What HTTP is spoken over.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Where to, and with what trust.
pub(super) struct Dialer {
    host: Box<str>,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    #[cfg(test)]
    in_memory: Option<tokio::sync::mpsc::Sender<tokio::io::DuplexStream>>,
}

impl Dialer {
    pub fn new(uri: &Uri, tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>) -> Self {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if tls.is_some() { 443 } else { 80 });
        Self {
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            port,
            tls: tls.map(|(config, name)| (TlsConnector::from(config), name)),
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

    pub async fn dial(&self) -> io::Result<Box<dyn Io>> {
        #[cfg(test)]
        if let Some(peers) = &self.in_memory {
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            peers.send(theirs).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            return Ok(Box::new(ours));
        }
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        // Requests are written whole: there is nothing to wait for.
        stream.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
        }
    }
}
