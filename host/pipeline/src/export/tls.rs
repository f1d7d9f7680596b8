//! Trust and identity, from the files that the configuration names to what rustls needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::config::{DestinationConfig, Protocol, TlsConfig};

/// Why a destination's TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no {what}: it must be PEM", .path.display())]
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
    /// rustls does not like it.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
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
pub(super) fn client(
    config: &DestinationConfig,
    material: &Material,
) -> Result<Option<(Arc<ClientConfig>, ServerName<'static>)>, TlsError> {
    if !config.endpoint.is_tls() {
        return Ok(None);
    }
    let host = config.endpoint.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let name = config.tls.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(&config.tls, material)?);
    let mut client = match (&material.cert, &material.key) {
        (Some((cert_path, cert)), Some((key_path, key))) => {
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|_| TlsError::Empty { path: key_path.clone(), what: "private key" })?;
            builder.with_client_auth_cert(certificates(cert_path, cert)?, key)?
        }
        _ => builder.with_no_client_auth(),
    };
    client.alpn_protocols = match config.endpoint.protocol() {
        Protocol::Grpc => vec![b"h2".to_vec()],
        Protocol::Http => vec![b"http/1.1".to_vec()],
    };
    Ok(Some((Arc::new(client), name)))
}

fn roots(tls: &TlsConfig, material: &Material) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some((path, pem)) = &material.ca {
        for certificate in certificates(path, pem)? {
            roots.add(certificate)?;
        }
    }
    if material.ca.is_none() || tls.include_system_roots {
        // One that cannot be read is as good as none; that there is none at all is told.
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(TlsError::NoSystemRoots);
        }
    }
    Ok(roots)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty { path: path.to_owned(), what: "certificate" };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(empty)
}
