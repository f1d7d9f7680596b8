//! How clients come in: as they are, or by a handshake, which holds nobody else up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use pipeline::tls::server::Tls;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// How many handshakes are made at once; further clients wait.
const HANDSHAKES: usize = 64;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long accepting pauses when the system has no file handle left.
const PAUSE: Duration = Duration::from_millis(50);

type Stream = Either<TcpStream, TlsStream<TcpStream>>;

#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    handshakes: JoinSet<Option<(Stream, SocketAddr)>>,
    /// Ends with this.
    _following: JoinSet<()>,
}

impl Door {
    /// Inside a runtime.
    pub fn new(listener: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        let following = tls.iter().map(|tls| Arc::clone(tls).follow()).collect();
        Self { listener, tls, handshakes: JoinSet::new(), _following: following }
    }
}

impl Listener for Door {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            tokio::select! {
                Some(made) = self.handshakes.join_next() => {
                    if let Ok(Some(client)) = made {
                        return client;
                    }
                }
                accepted = self.listener.accept(), if self.handshakes.len() < HANDSHAKES => match (accepted, &self.tls) {
                    (Ok((stream, peer)), None) => return (Either::Left(stream), peer),
                    (Ok((stream, peer)), Some(tls)) => {
                        let tls = Arc::clone(tls);
                        self.handshakes.spawn(async move {
                            let secured = tls.secure(stream, peer, Instant::now() + PATIENCE, || {}).await;
                            secured.map(|stream| (Either::Right(stream), peer))
                        });
                    }
                    (Err(error), _) => {
                        tracing::warn!(%error, "a client of the admin side could not be accepted");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
