//! Real SDKs that go on sending until they are told to stop, and say what they were told about every span.
//!
//! The programs are in tests/system/clients, with a README.md that has the lines they speak in.

mod app;
mod report;

pub use app::App;
pub use report::{Report, SpanId};

use crate::client::Protocol;
use crate::proxy::Ports;
use crate::{sdk, wait};
use anyhow::{Context as _, Result, bail, ensure};
use parking_lot::Mutex;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

/// How long it may take until an SDK has done something: some wait half a minute before they try again, and a JVM with an
/// agent takes its time to start on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running program with an SDK; it ends with this handle.
#[derive(Debug)]
pub struct Sender {
    name: String,
    child: Child,
    /// Its end tells the program to stop.
    stdin: Option<ChildStdin>,
    report: Arc<Mutex<Report>>,
    reading: JoinHandle<Result<()>>,
    complaints: NamedTempFile,
}

impl Sender {
    /// Starts one that sends to a proxy; an error where its tool chain is missing.
    pub async fn start(app: App, protocol: Protocol, ports: &Ports, service: &str) -> Result<Self> {
        let name = format!("{app:?} over {protocol:?}");
        ensure!(app.protocols().contains(&protocol), "there is no {name}");
        let mut command = tokio::task::spawn_blocking(move || app.command()).await??;
        let address = if protocol == Protocol::Grpc { &ports.grpc } else { &ports.http };
        sdk::environment(&mut command, protocol, address, service);
        let complaints = NamedTempFile::new()?;
        command
            .env("OTEL_BSP_SCHEDULE_DELAY", "200")
            .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "128")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints.reopen()?)
            .kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("starting {name}: {:?}", command.as_std()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("standard output was asked for")?;
        let report = Arc::<Mutex<Report>>::default();
        let reading = tokio::spawn(read(stdout, Arc::clone(&report)));
        Ok(Self { name, child, stdin, report, reading, complaints })
    }

    /// How many spans it was told are accepted so far.
    pub fn accepted(&self) -> usize {
        self.report.lock().accepted.len()
    }

    /// Waits until so many more spans were accepted.
    pub async fn accepted_more(&mut self, spans: usize) -> Result<()> {
        let enough = self.accepted() + spans;
        self.until(&format!("{spans} more spans to be accepted"), |report| report.accepted.len() >= enough).await
    }

    /// Waits until an export is under way, or has been since this was asked: some are over in no time.
    pub async fn exporting(&mut self) -> Result<()> {
        let answered = self.report.lock().answered;
        self.until("an export to be under way", |report| report.begun > answered).await
    }

    /// Waits until an export has failed, so that its SDK has given up its spans.
    pub async fn failed(&mut self) -> Result<()> {
        self.until("an export to fail", |report| !report.failed.is_empty()).await
    }

    /// Has it stop in good order, and gives what it said.
    pub async fn finish(mut self) -> Result<Report> {
        drop(self.stdin.take());
        let Ok(status) = tokio::time::timeout(PATIENCE, self.child.wait()).await else {
            bail!("{} did not end within {PATIENCE:?}\n{}", self.name, self.complaints());
        };
        let status = status?;
        ensure!(status.success(), "{} ended with {status}\n{}", self.name, self.complaints());
        (&mut self.reading).await??;
        let report = std::mem::take(&mut *self.report.lock());
        ensure!(report.ended.is_some(), "{} did not say how many spans it ended\n{}", self.name, self.complaints());
        Ok(report)
    }

    async fn until(&mut self, what: &str, mut so: impl FnMut(&Report) -> bool) -> Result<()> {
        let report = Arc::clone(&self.report);
        let waited = wait::until_within(PATIENCE, what, async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(Err(anyhow::anyhow!("it has ended with {status}")));
            }
            so(&report.lock()).then_some(Ok(()))
        });
        waited.await.flatten().with_context(|| {
            let report = self.report.lock();
            let counts = format!("{} accepted, {} failed", report.accepted.len(), report.failed.len());
            format!("{}: {counts}\n{}", self.name, self.complaints())
        })
    }

    fn complaints(&self) -> String {
        std::fs::read_to_string(self.complaints.path()).unwrap_or_default()
    }
}

async fn read(stdout: ChildStdout, report: Arc<Mutex<Report>>) -> Result<()> {
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        report.lock().read(&line)?;
    }
    Ok(())
}
