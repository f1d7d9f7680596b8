//! What real back ends have in common: a process with a folder of its own, OTLP ends, a query API that gives back what came.

use crate::process::{Process, free_ports};
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
        let [grpc, http, query, one, other] = free_ports()?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(binary);
        command.current_dir(folder.path());
        prepare(&mut command, &Place { folder: folder.path(), grpc, http, query, own: [one, other] });
        let mut process = Process::start(name, command, &folder.path().join("log"))?;
        process.until_it_answers(&format!("{name} to be ready"), &(url(query) + ready)).await?;
        Ok(Some(Self { process, folder, grpc, http, query }))
    }
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
