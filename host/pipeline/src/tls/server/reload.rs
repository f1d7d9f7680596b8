//! Certificates that are replaced while connections last: looked at every second, and on request. What cannot be used changes
//! nothing, and is logged once.

use std::sync::Arc;

use rustls::ServerConfig;

use super::{Material, Tls, TlsError};
use crate::followed::{self, Seen};

/// The certificates of all listeners that have TLS. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Certificates(Vec<Arc<Tls>>);

/// Certificates that were read and can be used.
#[must_use = "they take effect with `apply`"]
pub struct NewCertificates(Vec<(Arc<Tls>, Material, Arc<ServerConfig>)>);

impl Certificates {
    /// Those of these listeners.
    pub fn of(listeners: impl IntoIterator<Item = Arc<Tls>>) -> Self {
        Self(listeners.into_iter().collect())
    }

    /// Those of further listeners as well.
    #[must_use]
    pub fn and(mut self, listeners: impl IntoIterator<Item = Arc<Tls>>) -> Self {
        self.0.extend(listeners);
        self
    }

    /// Reads all files anew, and changes nothing yet. Blocks while it reads. The error says which file and why.
    pub fn read(&self) -> Result<NewCertificates, TlsError> {
        let read = |tls: &Arc<Tls>| {
            let material = Material::read(&tls.config)?;
            let server = material.server(tls.config.min_version, tls.protocols)?;
            Ok((Arc::clone(tls), material, server))
        };
        self.0.iter().map(read).collect::<Result<_, _>>().map(NewCertificates)
    }
}

impl NewCertificates {
    /// New connections are secured with them; those that are there go on with what they had.
    pub fn apply(self) {
        for (tls, material, server) in self.0 {
            let mut seen = tls.seen.lock();
            if !seen.is_settled(&material) {
                tls.take(server);
            }
            *seen = Seen::of(material);
        }
    }
}

impl Tls {
    /// Follows the files for ever.
    pub async fn follow(self: Arc<Self>) {
        followed::follow(move || {
            self.look();
            true
        })
        .await;
    }

    fn look(&self) {
        let read = Material::read(&self.config).map_err(|error| error.to_string());
        let mut seen = self.seen.lock();
        let Some(news) = seen.news(read) else { return };
        let server = match news {
            Ok(material) => material.server(self.config.min_version, self.protocols).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        match server {
            Ok(server) => self.take(server),
            Err(error) => tracing::error!("the new certificate is not taken, the old one stays: {error}"),
        }
    }

    fn take(&self, server: Arc<ServerConfig>) {
        self.server.store(server);
        tracing::info!(file = %self.config.cert_file.display(), "certificate read anew: new connections get it");
    }
}
