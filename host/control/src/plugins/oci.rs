//! Plugins that stand in a registry: `NAME.oci` in the folder says where, by a digest that pins every byte.
//!
//! What comes back from the network is looked at in this order: the manifest's digest, the layer that it names, its size, its digest. Then it is a plugin
//! like any other.
//!
//! Invariant: nothing is answered but the content whose digest the manifest of the wanted digest names, whoever sent it.

mod login;
mod manifest;
mod pull;
mod reference;
mod store;

pub use reference::Reference;
pub use store::Store;

use std::sync::LazyLock;

use crate::config::plugins::oci::Oci;

/// Why there is no plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// The digest pins something that is no plugin: nothing will change that.
    #[error("{0}")]
    Content(String),
    /// The registry, the network or what it takes to ask them failed: that may pass.
    #[error("{0}")]
    Passing(String),
}

/// Opens the place where plugins are kept; none where they cannot be.
type Open = Box<dyn FnOnce() -> Option<Store> + Send>;

/// Pulls plugins, and keeps them.
#[derive(Debug)]
pub struct Puller {
    /// Opened when it is needed first: most folders name no registry.
    store: LazyLock<Option<Store>, Open>,
}

impl Default for Puller {
    /// Keeps nothing.
    fn default() -> Self {
        Self::new(|| None)
    }
}

impl Puller {
    /// With a place to keep what was pulled, or without one.
    #[must_use]
    pub fn new(open: impl FnOnce() -> Option<Store> + Send + 'static) -> Self {
        Self { store: LazyLock::new(Box::new(open)) }
    }

    fn store(&self) -> Option<&Store> {
        LazyLock::force(&self.store).as_ref()
    }

    /// Whether a plugin is here already, so that nobody has to be asked.
    #[must_use]
    pub fn has(&self, reference: &Reference) -> bool {
        self.store().is_some_and(|store| store.has(reference.digest()))
    }

    /// The plugin, as it was kept or as the registry sends it now. May take as long as `settings` say.
    pub fn get(&self, reference: &Reference, settings: &Oci) -> Result<Vec<u8>, PullError> {
        if let Some(content) = self.store().and_then(|store| store.load(reference.digest())) {
            return Ok(content);
        }
        let content = pull::pull(reference, settings)?;
        tracing::info!(%reference, bytes = content.len(), "plugin pulled");
        if let Some(store) = self.store() {
            store.keep(reference.digest(), &content);
        }
        Ok(content)
    }
}
