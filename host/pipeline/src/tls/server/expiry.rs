//! Says when a certificate is not valid now. It is used all the same: clients decide, and clocks err.

use std::path::Path;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, RootCertStore};

/// Logs it, with the file.
pub(super) fn warn(file: &Path, certified: &CertifiedKey, provider: &CryptoProvider) {
    if let Some(reason) = of(certified, provider) {
        tracing::warn!(file = %file.display(), "clients will not trust the certificate: {reason}");
    }
}

fn of(certified: &CertifiedKey, provider: &CryptoProvider) -> Option<CertificateError> {
    let certificate = ParsedCertificate::try_from(certified.end_entity_cert().ok()?).ok()?;
    // Nobody is trusted here: the times are looked at before the issuer is looked for.
    let (nobody, algorithms) = (RootCertStore::empty(), provider.signature_verification_algorithms.all);
    let now = UnixTime::now();
    match verify_server_cert_signed_by_trust_anchor(&certificate, &nobody, &[], now, algorithms) {
        Err(Error::InvalidCertificate(
            reason @ (CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }),
        )) => Some(reason),
        _ => None,
    }
}
