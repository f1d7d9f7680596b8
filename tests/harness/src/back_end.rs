//! What real back ends have in common: a process with a folder of its own, two OTLP ends, a query API that gives back traces.

use crate::process::Process;
use crate::stored::Stored;
use crate::wait;
use anyhow::Result;
use tempfile::TempDir;

/// A running back end of the test's own; it ends with this.
#[derive(Debug)]
pub struct Ends {
    pub(crate) process: Process,
    pub(crate) folder: TempDir,
    pub(crate) grpc: u16,
    pub(crate) http: u16,
    pub(crate) query: u16,
}

/// A real back end.
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
