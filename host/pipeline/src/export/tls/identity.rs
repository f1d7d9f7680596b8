//! The client's certificate, and whether the back end has ever asked for one: that is what explains a lost connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// What the back end is shown when it asks.
#[derive(Debug, Default)]
pub(in super::super) struct ClientIdentity {
    shown: Option<(PathBuf, Arc<CertifiedKey>)>,
    asked: AtomicBool,
}

impl ClientIdentity {
    /// Shows this certificate, which was read from a file.
    pub fn new(cert_file: PathBuf, key: CertifiedKey) -> Self {
        Self { shown: Some((cert_file, Arc::new(key))), asked: AtomicBool::new(false) }
    }

    /// What a back end that gave no answer may have against this client, for the end of a message; empty where it has
    /// asked for nothing. With TLS 1.3 a client learns of it only after its handshake, and often only by being cut off.
    pub fn advice(&self) -> String {
        match &self.shown {
            _ if !self.asked.load(Ordering::Relaxed) => String::new(),
            Some((file, _)) => {
                format!("; the back end was shown the client certificate in {}: does it trust it?", file.display())
            }
            None => "; the back end asks for a client certificate: set `tls.cert_file` and `tls.key_file`".to_owned(),
        }
    }
}

impl ResolvesClientCert for ClientIdentity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.shown.as_ref().map(|(_, key)| Arc::clone(key))
    }

    fn has_certs(&self) -> bool {
        self.shown.is_some()
    }
}
