//! TLS of one listener, of a receiver or of the admin side: handshakes under whatever its files held last.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Pem, TlsError, TlsVersion};
use crate::followed::Seen;
use crate::log_gate::{APART, Gate};
use crate::tls;

mod advice;
mod expiry;
mod reload;

pub use reload::{Certificates, NewCertificates};

/// How a listener secures its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The server's certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its key, PEM and not encrypted.
    pub key_file: PathBuf,
    /// Authorities of which one must have signed the client's certificate. Without them none is asked for.
    pub client_ca_file: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

/// One listener's TLS.
pub struct Tls {
    config: TlsConfig,
    protocols: &'static [&'static [u8]],
    server: ArcSwap<ServerConfig>,
    /// What the files held when they were looked at last, whether or not it could be used.
    seen: Mutex<Seen<Material>>,
    warnings: Gate,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What the files say. Two that are equal make the same handshakes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Material {
    cert: Pem,
    key: Pem,
    client_ca: Option<Pem>,
}

impl Material {
    fn read(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self {
            cert: Pem::read(&config.cert_file)?,
            key: Pem::read(&config.key_file)?,
            client_ca: config.client_ca_file.as_deref().map(Pem::read).transpose()?,
        })
    }

    /// What handshakes are made with. No session outlives it: what was trusted before is asked again.
    fn server(&self, min_version: TlsVersion, protocols: &[&'static [u8]]) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = tls::provider();
        let certified = tls::certified(&self.cert, &self.key, &provider)?;
        expiry::warn(&self.cert.path, &certified, &provider);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(min_version.and_later())?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(file.roots()?.into(), provider).build();
                // Without roots or with revocation lists only.
                builder.with_client_cert_verifier(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
            }
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(server))
    }
}

impl Tls {
    /// Reads the files. `protocols` are the names of what is spoken over it (ALPN), the best first.
    pub fn new(config: TlsConfig, protocols: &'static [&'static [u8]]) -> Result<Self, TlsError> {
        let material = Material::read(&config)?;
        let server = material.server(config.min_version, protocols)?;
        Ok(Self {
            config,
            protocols,
            server: ArcSwap::new(server),
            seen: Mutex::new(Seen::of(material)),
            warnings: Gate::default(),
        })
    }

    /// Makes the handshake, until then at the latest. What fails is told to `failed`, and logged here.
    pub async fn secure(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        until: Instant,
        failed: impl FnOnce(),
    ) -> Option<TlsStream<TcpStream>> {
        // Who connects and says nothing, as load balancers do to see whether somebody is there, has not failed.
        match tokio::time::timeout_at(until, stream.peek(&mut [0])).await {
            Ok(Ok(1..)) => {}
            _ => return None,
        }
        let acceptor = TlsAcceptor::from(self.server.load_full());
        let failure = match tokio::time::timeout_at(until, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => self.told(&error),
            Err(_) => "the client did not finish it in time".to_owned(),
        };
        failed();
        self.log(peer, &failure);
        None
    }

    fn told(&self, error: &io::Error) -> String {
        format!("{error}{}", advice::on(error, &self.config))
    }

    fn log(&self, peer: SocketAddr, failure: &str) {
        if self.warnings.open().is_some() {
            tracing::warn!(%peer, "a TLS handshake failed: {failure}; those of the next {APART:?} are logged at debug");
        } else {
            tracing::debug!(%peer, "a TLS handshake failed: {failure}");
        }
    }
}
