//! A real registry of the test's own (CNCF Distribution), its images in a temporary folder, and what pushes plugins to it.

use crate::back_end::{Ends, Place};
use anyhow::{Context as _, Result, ensure};
use oci_client::client::{Client, ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::manifest::{OciImageManifest, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Reference, RegistryOperation};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// The layer's type of a Wasm OCI artifact.
pub const WASM: &str = "application/wasm";
/// The type of its configuration.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const NAME: &str = "the registry";
/// It answers so to everybody.
const READY: &str = "/";

/// A running registry; it ends with this handle.
pub struct Registry {
    ends: Ends,
    binary: PathBuf,
    /// The only user, and the password.
    user: Option<(String, String)>,
}

impl Registry {
    /// Builds it if needed, starts it and waits until it is ready. Nothing where Go is missing and may be.
    pub async fn start() -> Result<Option<Self>> {
        Self::start_for(None).await
    }

    /// The same for one user only.
    pub async fn start_for(user: Option<(&str, &str)>) -> Result<Option<Self>> {
        let Some(binary) = backends::registry()?.or_skip("tests against a registry")? else { return Ok(None) };
        let user = user.map(|(name, password)| (name.to_owned(), password.to_owned()));
        let passwords = match &user {
            Some((name, password)) => Some(format!("{name}:{}\n", bcrypt::hash(password, 4)?)),
            None => None,
        };
        let prepare = |command: &mut Command, place: &Place<'_>| prepare(command, place, passwords.as_deref());
        let ends = Ends::start(NAME, &binary, READY, prepare).await?;
        Ok(Some(Self { ends, binary, user }))
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.ends.query)
    }

    /// Its port, on loopback.
    pub fn port(&self) -> u16 {
        self.ends.query
    }

    /// Ends it, as a crash does.
    pub async fn stop(&mut self) -> Result<()> {
        self.ends.crash().await
    }

    /// Starts it again at the same address, with what it had.
    pub async fn start_again(&mut self) -> Result<()> {
        ensure!(self.user.is_none(), "only one that is open to all is started again");
        let prepare = |command: &mut Command, place: &Place<'_>| prepare(command, place, None);
        self.ends.start_again(NAME, &self.binary, READY, prepare).await
    }

    /// Pushes a plugin, and answers where it is: `oci://HOST/REPOSITORY@sha256:DIGEST`.
    pub async fn push(&self, repository: &str, layer: &[u8], media_type: &str) -> Result<String> {
        let (client, at, auth) = self.client(repository)?;
        let layers = [ImageLayer::new(layer.to_vec(), media_type.to_owned(), None)];
        let config = Config::new(b"{}".to_vec(), CONFIG.to_owned(), None);
        client.push(&at, &layers, config, &auth, None).await.context("pushing a plugin")?;
        let digest = client.fetch_manifest_digest(&at, &auth).await?;
        Ok(format!("oci://{}/{repository}@{digest}", self.host()))
    }

    /// Pushes a manifest that says something else than the truth about a plugin that is there.
    pub async fn push_changed(&self, repository: &str, change: impl FnOnce(&mut OciImageManifest)) -> Result<String> {
        let (client, at, auth) = self.client(repository)?;
        let (manifest, _) = client.pull_manifest(&at, &auth).await?;
        let OciManifest::Image(mut manifest) = manifest else { anyhow::bail!("it is an index") };
        change(&mut manifest);
        client.auth(&at, &auth, RegistryOperation::Push).await?;
        client.push_manifest(&at, &OciManifest::Image(manifest)).await.context("pushing a manifest")?;
        let digest = client.fetch_manifest_digest(&at, &auth).await?;
        Ok(format!("oci://{}/{repository}@{digest}", self.host()))
    }

    /// Where it keeps the bytes of a digest, so that a test can damage them.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.trim_start_matches("sha256:");
        let blobs = self.ends.folder.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    fn client(&self, repository: &str) -> Result<(Client, Reference, RegistryAuth)> {
        // Plain HTTP needs none, but the client wants it.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let protocol = ClientProtocol::Http;
        let client = Client::try_from(ClientConfig { protocol, ..ClientConfig::default() })?;
        let auth = match &self.user {
            Some((name, password)) => RegistryAuth::Basic(name.clone(), password.clone()),
            None => RegistryAuth::Anonymous,
        };
        Ok((client, Reference::with_tag(self.host(), repository.to_owned(), "latest".to_owned()), auth))
    }
}

fn prepare(command: &mut Command, place: &Place<'_>, passwords: Option<&str>) {
    let config: &Path = &backends::root().join("tests/backends/registry/registry.yml");
    command.arg("serve").arg(config);
    command.env("REGISTRY_HTTP_ADDR", format!("127.0.0.1:{}", place.query));
    command.env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", place.folder.join("data"));
    command.env("OTEL_TRACES_EXPORTER", "none");
    if let Some(passwords) = passwords {
        let file = place.folder.join("passwords");
        std::fs::write(&file, passwords).expect("a temporary folder can be written to");
        command.env("REGISTRY_AUTH_HTPASSWD_REALM", "tests").env("REGISTRY_AUTH_HTPASSWD_PATH", file);
    }
}
