//! TLS in front of a back end that speaks none.

use crate::tls::Issued;
use anyhow::{Context as _, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// A port that speaks TLS, and HTTP/1.1 in it, and leads to another one on loopback; gone when dropped, with its connections.
#[derive(Debug)]
pub struct TlsDoor {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl TlsDoor {
    /// One that shows this certificate.
    pub async fn before(port: u16, shown: &Issued) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("binding the door")?;
        let address = listener.local_addr()?;
        let mut config = (*shown.server()?).clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { address, server: tokio::spawn(serve(listener, acceptor, port)) })
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, port: u16) {
    let mut connections = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            let mut near = acceptor.accept(near).await?;
            let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
            copy_bidirectional(&mut near, &mut far).await
        });
    }
}
