//! Trust and identity, from the files that the configuration names to what rustls needs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::config::{DestinationConfig, Protocol, TlsConfig};

mod advice;
mod identity;

use advice::Trusted;
use identity::ClientIdentity;

/// Why a destination's TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what}: it must be PEM, and not encrypted", .path.display())]
    Empty {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The system has no certificate authorities.
    #[error("the system has no certificate authorities to trust: set `tls.ca_file`")]
    NoSystemRoots,
    /// The name to expect in the certificate is none.
    #[error("`{0}` is not a server name: set `tls.server_name`")]
    ServerName(String),
    /// An authority's certificate cannot be used.
    #[error("cannot trust what {} holds: {error}", .path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: rustls::Error,
    },
    /// The client's certificate and key cannot be used together.
    #[error("cannot use the certificate in {} with the key in {}: {error}", .cert.display(), .key.display())]
    Identity {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        error: Box<rustls::Error>,
    },
    /// rustls does not like it.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

/// What connections to one back end are secured with.
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    trusted: Trusted,
    identity: Arc<ClientIdentity>,
}

impl Tls {
    /// Makes the handshake. The error ends with what to do about it, where that is known.
    pub async fn secure(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
        let secured = self.connector.connect(self.name.clone(), stream).await;
        secured.map_err(|error| format!("{error}{}", advice::on(&error, &self.trusted, &self.identity)))
    }

    /// What may be wrong where the handshake went well, and yet no answer came. Empty, or the end of a message.
    pub fn advice_on_loss(&self) -> String {
        self.identity.advice()
    }
}

/// What the files say. Two that are equal make the same connections.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Material {
    ca: Option<(PathBuf, Vec<u8>)>,
    cert: Option<(PathBuf, Vec<u8>)>,
    key: Option<(PathBuf, Vec<u8>)>,
}

impl Material {
    /// Reads the files of a destination that needs them.
    pub fn read(config: &DestinationConfig) -> Result<Self, TlsError> {
        if !config.endpoint.is_tls() {
            return Ok(Self::default());
        }
        let read = |path: &Path| match std::fs::read(path) {
            Ok(bytes) => Ok((path.to_owned(), bytes)),
            Err(error) => Err(TlsError::Read { path: path.to_owned(), error }),
        };
        Ok(Self {
            ca: config.tls.ca_file.as_deref().map(read).transpose()?,
            cert: config.tls.identity.as_ref().map(|identity| read(&identity.cert_file)).transpose()?,
            key: config.tls.identity.as_ref().map(|identity| read(&identity.key_file)).transpose()?,
        })
    }
}

/// What to connect with; `None` for an endpoint without TLS.
pub(super) fn client(config: &DestinationConfig, material: &Material) -> Result<Option<Tls>, TlsError> {
    if !config.endpoint.is_tls() {
        return Ok(None);
    }
    let host = config.endpoint.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let name = config.tls.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let identity = Arc::new(identity(material, &provider)?);
    let (roots, trusted) = roots(&config.tls, material)?;
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::clone(&identity) as _);
    client.alpn_protocols = match config.endpoint.protocol() {
        Protocol::Grpc => vec![b"h2".to_vec()],
        Protocol::Http => vec![b"http/1.1".to_vec()],
    };
    Ok(Some(Tls { connector: TlsConnector::from(Arc::new(client)), name, trusted, identity }))
}

fn identity(material: &Material, provider: &CryptoProvider) -> Result<ClientIdentity, TlsError> {
    let (Some((cert_path, cert)), Some((key_path, key))) = (&material.cert, &material.key) else {
        return Ok(ClientIdentity::default());
    };
    let chain = certificates(cert_path, cert)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| TlsError::Empty { path: key_path.clone(), what: "private key" })?;
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| TlsError::Identity {
        cert: cert_path.clone(),
        key: key_path.clone(),
        error: Box::new(error),
    })?;
    Ok(ClientIdentity::new(cert_path.clone(), certified))
}

fn roots(tls: &TlsConfig, material: &Material) -> Result<(RootCertStore, Trusted), TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some((path, pem)) = &material.ca {
        for certificate in certificates(path, pem)? {
            roots.add(certificate).map_err(|error| TlsError::Authority { path: path.clone(), error })?;
        }
    }
    let trusted = match &material.ca {
        None => Trusted::System,
        Some((path, _)) if tls.include_system_roots => Trusted::FileAndSystem(path.clone()),
        Some((path, _)) => Trusted::File(path.clone()),
    };
    if !matches!(trusted, Trusted::File(_)) {
        // One that cannot be read is as good as none; that there is none at all is told.
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(TlsError::NoSystemRoots);
        }
    }
    Ok((roots, trusted))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty { path: path.to_owned(), what: "certificate" };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(empty)
}
