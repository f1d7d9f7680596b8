//! What to do about a handshake that failed: rustls says what is wrong, but knows neither files nor settings.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::TlsConfig;
use crate::tls::TlsVersion;

/// The end of a message on a handshake that failed so; empty where the error says it all.
pub(super) fn on(error: &io::Error, config: &TlsConfig) -> String {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return String::new();
    };
    let client_ca = config.client_ca_file.as_deref().unwrap_or("`client_ca_file`".as_ref()).display();
    match error {
        Error::NoCertificatesPresented => {
            format!("; the client must show a certificate that is signed by an authority in {client_ca}")
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            format!("; the client's certificate is not signed by an authority in {client_ca}")
        }
        Error::InvalidCertificate(_) => "; it is the client's certificate".to_owned(),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "; the client does not speak TLS: is its endpoint http:// instead of https://?".to_owned()
        }
        Error::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) if config.min_version == TlsVersion::Tls13 => {
            "; the client speaks TLS 1.2 at most, and `min_version` is 1.3".to_owned()
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate,
        ) => format!(
            "; the client does not trust the certificate in {}: its authority, its name or its time",
            config.cert_file.display()
        ),
        Error::NoApplicationProtocol => "; the client wants neither HTTP/2 nor HTTP/1.1".to_owned(),
        _ => String::new(),
    }
}
