//! What surrounds the work: TLS, a queue on disk, tail sampling. The same for both sides, as each writes it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use harness::client::{Client, Protocol};
use harness::proxy::Setup;
use harness::sink::{Keep, Sink};
use harness::tls::{Authority, Issued};
use rustls::{ClientConfig, ServerConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Tail;

/// Attempts while the back end is away are so far apart at most, so that both sides notice when it is back.
const RETRY: &str = "500ms";
/// The Collector's default is 10. Where it batches in its queue, one reads and so many send.
pub const CONSUMERS: usize = 32;

/// Plain text and a queue in memory, unless something is set.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Both ways speak TLS.
    pub tls: Option<Arc<Tls>>,
    /// What is acknowledged is on the disk.
    pub durable: Option<Durable>,
    /// Whole traces are decided.
    pub tail: Option<Tail>,
}

/// A queue on disk.
#[derive(Debug, Clone)]
pub struct Durable {
    /// Where it is; empty at the start.
    pub folder: PathBuf,
    /// How much it takes, in bytes.
    pub size: u64,
}

/// Certificates for both ways.
#[derive(Debug)]
pub struct Tls {
    files: TempDir,
    authority: Authority,
    sink: Arc<ServerConfig>,
}

impl Tls {
    /// New ones.
    pub fn new() -> Result<Self> {
        let authority = Authority::new("tracemill bench")?;
        let files = tempfile::tempdir()?;
        let Issued { cert, key } = authority.issue(&["127.0.0.1", "localhost"])?;
        std::fs::write(files.path().join("ca.pem"), &authority.pem)?;
        std::fs::write(files.path().join("cert.pem"), cert)?;
        std::fs::write(files.path().join("key.pem"), key)?;
        let sink = authority.issue(&["127.0.0.1", "localhost"])?.server()?;
        Ok(Self { files, authority, sink })
    }

    fn client(&self, protocol: Protocol) -> Result<Arc<ClientConfig>> {
        self.authority.client(protocol == Protocol::Grpc)
    }

    fn file(&self, name: &str) -> Value {
        json!(self.files.path().join(name))
    }

    /// The keys of a server's certificate, which both sides call the same.
    fn server(&self) -> Value {
        json!({ "cert_file": self.file("cert.pem"), "key_file": self.file("key.pem") })
    }
}

impl Setting {
    /// A back end that counts.
    pub async fn sink(&self) -> Result<Sink> {
        match &self.tls {
            None => Sink::keeping(Keep::Counts).await,
            Some(tls) => Sink::over_tls(Keep::Counts, Arc::clone(&tls.sink)).await,
        }
    }

    pub(super) fn client(&self, protocol: Protocol, address: &str) -> Result<Client> {
        Ok(match &self.tls {
            None => Client::new(protocol, address),
            Some(tls) => Client::over_tls(protocol, address, &tls.client(protocol)?),
        })
    }

    pub(super) fn of_tracemill(&self, mut setup: Setup) -> Result<Setup> {
        if let Some(tls) = &self.tls {
            setup = setup
                .set("receive.grpc.tls", tls.server())
                .set("receive.http.tls", tls.server())
                .set("export.sink.tls", json!({ "ca_file": tls.file("ca.pem") }));
        }
        if let Some(Durable { folder, size }) = &self.durable {
            setup = setup
                .set("export.sink.queue", json!({ "mode": "durable", "folder": folder, "size": format!("{size}B") }))
                .set("export.sink.retry", json!({ "initial": RETRY, "max": RETRY }));
        }
        match &self.tail {
            Some(tail) => tail.of_tracemill(setup),
            None => Ok(setup),
        }
    }

    /// Changes the Collector's configuration. Answers where its metrics are, if it has any then.
    pub(super) fn of_collector(&self, config: &mut Value) -> Result<Option<String>> {
        if let Some(tls) = &self.tls {
            for protocol in ["grpc", "http"] {
                config["receivers"]["otlp"]["protocols"][protocol]["tls"] = tls.server();
            }
            for exporter in exporters(config) {
                exporter["tls"] = json!({ "ca_file": tls.file("ca.pem") });
            }
        }
        if let Some(Durable { folder, size }) = &self.durable {
            // The batch processor would acknowledge before anything is written, so batches are made behind the queue.
            config["processors"] = json!({});
            config["service"]["pipelines"]["traces"]["processors"] = json!([]);
            let compaction = json!({ "on_rebound": true, "directory": folder });
            config["extensions"] =
                json!({ "file_storage": { "directory": folder, "fsync": true, "compaction": compaction } });
            config["service"]["extensions"] = json!(["file_storage"]);
            for exporter in exporters(config) {
                exporter["sending_queue"] = json!({
                    "storage": "file_storage", "sizer": "bytes", "queue_size": size, "num_consumers": CONSUMERS,
                    "batch": { "sizer": "items", "min_size": 8192, "flush_timeout": "200ms" },
                });
                let retry = json!({ "initial_interval": RETRY, "max_interval": RETRY, "max_elapsed_time": "0s" });
                exporter["retry_on_failure"] = retry;
            }
        }
        self.tail.as_ref().map(|tail| tail.of_collector(config)).transpose()
    }
}

fn exporters(config: &mut Value) -> impl Iterator<Item = &mut Value> {
    config["exporters"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut)
}
