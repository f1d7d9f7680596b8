//! The OpenTelemetry Collector as a process: on ports of its own, with the configuration of whoever starts it.

use crate::ports::FreePorts;
use crate::process::Process;
use crate::wait;
use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

/// How long it may take to end: its own patience with back ends, and some more.
const GRACE: Duration = Duration::from_secs(40);

/// A running Collector; it ends with this.
#[derive(Debug)]
pub struct Collector {
    process: Process,
    grpc: String,
    http: String,
    _folder: TempDir,
    _ports: FreePorts<2>,
}

impl Collector {
    /// Starts the binary that [`backends::collector`] builds, and waits until its ports are open. The addresses of the receiver
    /// `otlp` are filled into the configuration.
    pub async fn start(binary: &Path, config: Value) -> Result<Self> {
        Self::start_with(binary, config, &[]).await
    }

    /// The same with further arguments.
    pub async fn start_with(binary: &Path, mut config: Value, arguments: &[&str]) -> Result<Self> {
        let ports = FreePorts::hold()?;
        let [grpc, http] = ports.numbers.map(|port| format!("127.0.0.1:{port}"));
        let protocols = &mut config["receivers"]["otlp"]["protocols"];
        protocols["grpc"]["endpoint"] = grpc.clone().into();
        protocols["http"]["endpoint"] = http.clone().into();
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("collector.yaml");
        // JSON is YAML too.
        fs::write(&file, serde_json::to_string_pretty(&config)?)?;
        let mut command = Command::new(binary);
        command.arg("--config").arg(&file).args(arguments);
        let mut process = Process::start("collector", command, &folder.path().join("log"))?;
        wait::until("the Collector's ports", async || match process.still_running() {
            Err(error) => Some(Err(error)),
            Ok(()) => (is_open(&grpc).await && is_open(&http).await).then_some(Ok(())),
        })
        .await
        .with_context(|| process.output())??;
        Ok(Self { process, grpc, http, _folder: folder, _ports: ports })
    }

    /// OTLP/gRPC, `host:port`.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// OTLP/HTTP, `host:port`.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.process.ended(GRACE).await
    }

    /// Ends it at once.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }
}

async fn is_open(address: &str) -> bool {
    TcpStream::connect(address).await.is_ok()
}
