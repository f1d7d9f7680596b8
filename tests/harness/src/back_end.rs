//! What real back ends have in common: a process with a folder of its own, OTLP ends, a query API that gives back what came.

use crate::ports::FreePorts;
use crate::process::Process;
use crate::stored::Stored;
use crate::wait;
use anyhow::Result;
use backends::Obtained;
use std::path::Path;
use tempfile::TempDir;
use tokio::process::Command;

/// A running back end of the test's own; it ends with this.
#[derive(Debug)]
pub struct Ends {
    pub(crate) process: Process,
    pub(crate) folder: TempDir,
    pub(crate) grpc: u16,
    pub(crate) http: u16,
    pub(crate) query: u16,
    own: [u16; 2],
    /// Its own also while it is down.
    _ports: FreePorts<5>,
}

/// What one is started with: ports that are free, and a folder that ends with it.
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) grpc: u16,
    pub(crate) http: u16,
    pub(crate) query: u16,
    /// Whatever else it listens on.
    pub(crate) own: [u16; 2],
}

impl Ends {
    /// Starts a back end in a folder of its own and waits until it answers a GET of `ready`. Nothing where what builds it is
    /// missing and may be.
    pub(crate) async fn launch(
        name: &str,
        obtained: Obtained,
        ready: &str,
        prepare: impl FnOnce(&mut Command, &Place<'_>),
    ) -> Result<Option<Self>> {
        let Some(binary) = obtained.or_skip(&format!("tests against {name}"))? else { return Ok(None) };
        Self::start(name, &binary, ready, prepare).await.map(Some)
    }

    /// The same where the program is at hand.
    pub(crate) async fn start(
        name: &str,
        binary: &Path,
        ready: &str,
        prepare: impl FnOnce(&mut Command, &Place<'_>),
    ) -> Result<Self> {
        let ports = FreePorts::hold()?;
        let [grpc, http, query, one, other] = ports.numbers;
        let (folder, own) = (tempfile::tempdir()?, [one, other]);
        let place = Place { folder: folder.path(), grpc, http, query, own };
        let process = run(name, binary, &place, ready, prepare).await?;
        Ok(Self { process, folder, grpc, http, query, own, _ports: ports })
    }

    /// Ends it at once.
    pub(crate) async fn crash(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Starts it again, where it was before.
    pub(crate) async fn start_again(
        &mut self,
        name: &str,
        binary: &Path,
        ready: &str,
        prepare: impl FnOnce(&mut Command, &Place<'_>),
    ) -> Result<()> {
        let Self { folder, grpc, http, query, own, .. } = self;
        let place = Place { folder: folder.path(), grpc: *grpc, http: *http, query: *query, own: *own };
        self.process = run(name, binary, &place, ready, prepare).await?;
        Ok(())
    }
}

/// Starts the process of a back end and waits until it answers a GET of `ready`.
async fn run(
    name: &str,
    binary: &Path,
    place: &Place<'_>,
    ready: &str,
    prepare: impl FnOnce(&mut Command, &Place<'_>),
) -> Result<Process> {
    let mut command = Command::new(binary);
    command.current_dir(place.folder);
    prepare(&mut command, place);
    let mut process = Process::start(name, command, &place.folder.join("log"))?;
    process.until_it_answers(&format!("{name} to be ready"), &(url(place.query) + ready)).await?;
    Ok(process)
}

/// A real back end that keeps traces.
pub trait BackEnd {
    /// For people.
    const NAME: &'static str;

    /// Where it is.
    fn ends(&self) -> &Ends;

    /// A trace by its id in hex; empty where there is none.
    fn trace(&self, id: &str) -> impl Future<Output = Result<Vec<Stored>>>;

    /// Its OTLP/gRPC end.
    fn grpc_url(&self) -> String {
        url(self.ends().grpc)
    }

    /// The same as a port.
    fn grpc_port(&self) -> u16 {
        self.ends().grpc
    }

    /// Its OTLP/HTTP end.
    fn http_url(&self) -> String {
        url(self.ends().http)
    }

    /// Its query API.
    fn query_url(&self, path: &str) -> String {
        url(self.ends().query) + path
    }

    /// Waits until a trace has so many spans.
    fn trace_of(&self, id: &str, spans: usize) -> impl Future<Output = Result<Vec<Stored>>> {
        async move {
            let whole = async || self.trace(id).await.ok().filter(|found| found.len() >= spans);
            wait::until(&format!("{spans} spans of trace {id} in {}", Self::NAME), whole).await
        }
    }
}

pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
