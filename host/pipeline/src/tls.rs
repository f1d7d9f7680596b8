//! Certificates and keys, from PEM files to what rustls needs: for whoever listens and whoever connects.

pub mod client;
pub mod server;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, SupportedProtocolVersion};

/// Why TLS cannot be set up.
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
    /// The certificate and key cannot be used together.
    #[error("cannot use the certificate in {} with the key in {}: {error}", .cert.display(), .key.display())]
    Identity {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        error: Box<rustls::Error>,
    },
    /// The other side and this one do not agree.
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    /// rustls does not like it.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

/// A version of TLS. Older ones than these are not spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TlsVersion {
    /// 1.2
    #[default]
    Tls12,
    /// 1.3
    Tls13,
}

impl TlsVersion {
    /// This one and those that came after it, the best first.
    pub(crate) fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        static ALL: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &ALL,
            Self::Tls13 => &ALL[..1],
        }
    }
}

/// A file as it was read. Keys are not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pem {
    pub path: PathBuf,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pem").field(&self.path).finish()
    }
}

impl Pem {
    pub fn read(path: &Path) -> Result<Self, TlsError> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Self { path: path.to_owned(), bytes }),
            Err(error) => Err(TlsError::Read { path: path.to_owned(), error }),
        }
    }

    fn empty(&self, what: &'static str) -> TlsError {
        TlsError::Empty { path: self.path.clone(), what }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        let certificates = certificates.ok().filter(|certificates| !certificates.is_empty());
        certificates.ok_or_else(|| self.empty("certificate"))
    }

    /// Authorities to trust: all that the file holds.
    pub fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|error| TlsError::Authority { path: self.path.clone(), error })?;
        }
        Ok(roots)
    }
}

/// Adds the system's authorities. One that cannot be read is as good as none; that there is none at all is told.
pub(crate) fn add_system_roots(roots: &mut RootCertStore) -> Result<(), TlsError> {
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 { Err(TlsError::NoSystemRoots) } else { Ok(()) }
}

/// A certificate chain with its key, of which it is known that they belong together.
pub(crate) fn certified(cert: &Pem, key: &Pem, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = cert.certificates()?;
    let private = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|_| key.empty("private key"))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| TlsError::Identity {
        cert: cert.path.clone(),
        key: key.path.clone(),
        error: Box::new(error),
    })
}

/// The cryptography that is used everywhere.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
