//! What a proxy is started with.

use super::{Ports, Proxy};
use crate::ledger::Ledger;
use crate::plugins;
use crate::process::Process;
use crate::sink::{Sink, Watched};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// Where a proxy's files are.
#[derive(Debug)]
pub(super) enum Place {
    /// Gone with the proxy.
    Temporary(TempDir),
    /// Left behind.
    Lasting(PathBuf),
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Lasting(folder) => folder,
        }
    }
}

/// A configuration, a plugin folder and an environment, before the start.
#[derive(Debug)]
pub struct Setup {
    place: Place,
    config: Value,
    /// The configuration as text, instead of what was set.
    text: Option<String>,
    env: Vec<(String, String)>,
    sinks: Vec<Watched>,
}

impl Setup {
    pub(super) fn new() -> Result<Self> {
        Self::at(Place::Temporary(tempfile::tempdir()?))
    }

    pub(super) fn in_folder(folder: &Path) -> Result<Self> {
        Self::at(Place::Lasting(folder.to_owned()))
    }

    fn at(place: Place) -> Result<Self> {
        let plugins = place.path().join("plugins");
        fs::create_dir_all(&plugins).with_context(|| format!("creating {}", plugins.display()))?;
        let config = json!({
            "receive": { "grpc": { "listen": "127.0.0.1:0" }, "http": { "listen": "127.0.0.1:0" } },
            // What one test has had compiled no other waits for; those that are about that have a folder of their own.
            "plugins": { "folder": plugins, "cache": { "folder": backends::root().join("target/compiled") } },
            "admin": { "listen": "127.0.0.1:0" },
        });
        Ok(Self { place, config, text: None, env: Vec::new(), sinks: Vec::new() })
    }

    /// Sets one key of the configuration: `a.b.c`.
    #[must_use]
    pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        set(&mut self.config, path, value.into());
        self
    }

    /// Starts with this configuration instead of what is set.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Exports to a sink over gRPC, to be set further under `export.NAME`.
    #[must_use]
    pub fn export_grpc(mut self, name: &str, sink: &Sink) -> Self {
        self.sinks.push(sink.watched());
        self.set(&format!("export.{name}.grpc"), sink.url())
    }

    /// Exports to a sink over HTTP.
    #[must_use]
    pub fn export_http(mut self, name: &str, sink: &Sink) -> Self {
        self.sinks.push(sink.watched());
        self.set(&format!("export.{name}.http"), sink.url())
    }

    /// An official plugin under this name in the folder, `10-drop-health` say.
    pub fn plugin(self, name: &str, official: &str) -> Result<Self> {
        let bytes = fs::read(plugins::official(official)?)?;
        self.file(&format!("{name}.wasm"), &bytes)
    }

    /// The sidecar of a plugin.
    pub fn sidecar(self, name: &str, content: &Value) -> Result<Self> {
        self.file(&format!("{name}.yaml"), content.to_string().as_bytes())
    }

    /// Any file in the plugin folder.
    pub fn file(self, file: &str, bytes: &[u8]) -> Result<Self> {
        plugins::install(&self.place.path().join("plugins"), file, bytes)?;
        Ok(self)
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A place for files of the test, gone with the proxy.
    pub fn folder(&self) -> &Path {
        self.place.path()
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Result<Proxy> {
        let mut proxy = self.start_unready().await?;
        proxy.ready().await?;
        Ok(proxy)
    }

    /// Starts it and waits until it says where it listens, ready or not.
    pub async fn start_unready(self) -> Result<Proxy> {
        let ports_file = self.ports_file();
        // An earlier run in the same folder had other ports.
        let _none = fs::remove_file(&ports_file);
        let mut proxy = self.launch()?;
        proxy.wait_until_open(&ports_file).await?;
        Ok(proxy)
    }

    /// Starts it, runs the test on it, checks both sums of invariant 6 and stops it. A failure comes with its log.
    /// Only the proxy's own clients may send to it, unless the test tells of the others.
    pub async fn run(self, test: impl AsyncFnOnce(&mut Proxy) -> Result<()>) -> Result<()> {
        checked(self.start().await?, test).await
    }

    /// The same for a proxy that is not expected to become ready by itself.
    pub async fn run_unready(self, test: impl AsyncFnOnce(&mut Proxy) -> Result<()>) -> Result<()> {
        checked(self.start_unready().await?, test).await
    }

    fn ports_file(&self) -> PathBuf {
        self.place.path().join("ports.json")
    }

    fn launch(self) -> Result<Proxy> {
        let config_file = self.place.path().join("tracemill.yaml");
        match &self.text {
            Some(text) => fs::write(&config_file, text)?,
            None => write_config(&config_file, &self.config)?,
        }
        let mut command = Command::new(binary()?);
        command.arg("run").arg("--config").arg(&config_file).arg("--ports-file").arg(self.ports_file());
        command.current_dir(self.place.path()).envs(self.env).env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        let process = Process::start("tracemill", command, &self.place.path().join("log"))?;
        let ports = Ports { grpc: String::new(), http: String::new(), admin: String::new() };
        Ok(Proxy {
            process,
            ports,
            place: self.place,
            config: self.config,
            reconfigured: false,
            ledger: None,
            sinks: self.sinks,
            stopped: false,
        })
    }
}

async fn checked(mut proxy: Proxy, test: impl AsyncFnOnce(&mut Proxy) -> Result<()>) -> Result<()> {
    proxy.ledger = Some(Ledger::default());
    let outcome = match test(&mut proxy).await {
        Ok(()) => proxy.finish().await,
        failed => failed,
    };
    outcome.with_context(|| format!("--- log of the proxy ---\n{}", proxy.log()))
}

/// The binary under test: `TRACEMILL_BIN`, or the one that `cargo build` has left.
pub fn binary() -> Result<PathBuf> {
    let path = std::env::var_os("TRACEMILL_BIN")
        .map_or_else(|| backends::root().join("target/debug/tracemill"), PathBuf::from);
    anyhow::ensure!(path.exists(), "{} is not there: run `cargo build`", path.display());
    Ok(path)
}

/// Replaces the file whole. JSON is YAML too.
pub(super) fn write_config(path: &Path, config: &Value) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, serde_json::to_string_pretty(config)?)?;
    fs::rename(&unfinished, path).context("writing the configuration")
}

pub(super) fn set(config: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(config, |inside, key| &mut inside[key]);
    *place = value;
}
