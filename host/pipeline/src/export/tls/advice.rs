//! What to do about a handshake that failed: rustls says what is wrong, but knows neither files nor settings.

use std::io;
use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::Tls;
use crate::tls::TlsVersion;

/// Which authorities are trusted, in words.
#[derive(Debug)]
pub(super) enum Trusted {
    System,
    File(PathBuf),
    FileAndSystem(PathBuf),
}

/// The end of a message on a handshake that failed so; empty where the error says it all.
pub(super) fn on(error: &io::Error, tls: &Tls) -> String {
    let Tls { trusted, identity, .. } = tls;
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        // Cut off without a word.
        return identity.advice();
    };
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => match trusted {
            Trusted::System => {
                "; it is not signed by an authority that the system trusts: set `tls.ca_file`".to_owned()
            }
            Trusted::File(file) => format!("; it is not signed by an authority in {}", file.display()),
            Trusted::FileAndSystem(file) => {
                format!("; it is signed neither by an authority in {} nor by one of the system's", file.display())
            }
        },
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "; if this is the right back end, set `tls.server_name` to a name in its certificate".to_owned(),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "; the back end does not speak TLS on this port: is it http:// instead of https://?".to_owned()
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            "; the back end does not speak this protocol here: are `grpc` and `http`, or their ports, mixed up?"
                .to_owned()
        }
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig)
            if tls.min_version == TlsVersion::Tls13 =>
        {
            "; the back end speaks TLS 1.2 at most, and `tls.min_version` is 1.3".to_owned()
        }
        Error::AlertReceived(_) => identity.advice(),
        _ => String::new(),
    }
}
