//! Certificates that are replaced while connections last: looked at every second, and on request. What cannot be used changes
//! nothing, and is logged once.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::{Material, Tls, TlsError};

/// How often the files are looked at. A change is taken once two looks have seen the same, as files are written one by one.
const LOOK: Duration = Duration::from_secs(1);

/// Files as they were seen, or why not.
type Look = Result<Material, String>;

#[derive(Debug)]
pub(super) struct Seen {
    /// What was acted upon last.
    settled: Look,
    /// What the last look saw.
    latest: Look,
}

impl Seen {
    pub fn of(material: Material) -> Self {
        Self { settled: Ok(material.clone()), latest: Ok(material) }
    }

    /// Whether there is something new that stands still.
    fn is_news(&mut self, look: Look) -> bool {
        let stands_still = look == self.latest;
        self.latest = look;
        stands_still && self.latest != self.settled
    }
}

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
            if seen.settled.as_ref() != Ok(&material) {
                tls.take(server);
            }
            *seen = Seen::of(material);
        }
    }
}

impl Tls {
    /// Follows the files for ever.
    pub async fn follow(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let this = Arc::clone(&self);
            // Files may be on a network that does not answer.
            if let Err(error) = tokio::task::spawn_blocking(move || this.look()).await {
                tracing::error!(%error, "looking at certificates failed");
            }
        }
    }

    fn look(&self) {
        let read = Material::read(&self.config);
        let mut seen = self.seen.lock();
        if !seen.is_news(read.map_err(|error| error.to_string())) {
            return;
        }
        let server = match &seen.latest {
            Ok(material) => material.server(self.config.min_version, self.protocols).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        match server {
            Ok(server) => self.take(server),
            Err(error) => tracing::error!("the new certificate is not taken, the old one stays: {error}"),
        }
        let latest = seen.latest.clone();
        seen.settled = latest;
    }

    fn take(&self, server: Arc<ServerConfig>) {
        self.server.store(server);
        tracing::info!(file = %self.config.cert_file.display(), "certificate read anew: new connections get it");
    }
}
