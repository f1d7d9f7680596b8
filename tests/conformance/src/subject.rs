//! The server under test: an address, or a tracemill of our own with a sink behind it.

use crate::trace::Ids;
use anyhow::{Context as _, Result};
use harness::proxy::Setup;
use harness::sink::Keep;
use harness::{Proxy, Sink, wait};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;

/// What OTLP recommends as the largest request.
pub const DEFAULT_LIMIT: usize = 64 << 20;

/// What is tested.
#[derive(Debug)]
pub struct Subject {
    /// OTLP/gRPC, `host:port`.
    pub grpc: String,
    /// OTLP/HTTP, `host:port`.
    pub http: String,
    /// The largest request that it takes, bytes.
    pub limit: usize,
    own: Option<Own>,
}

/// A tracemill that the suite has started.
#[derive(Debug)]
pub struct Own {
    /// The proxy.
    pub proxy: Proxy,
    /// What is behind it.
    pub sink: Sink,
}

impl Own {
    /// Starts one with a sink behind it.
    pub async fn start(set: impl FnOnce(Setup) -> Result<Setup>) -> Result<Self> {
        let sink = Sink::keeping(Keep::Requests).await?;
        let setup = Proxy::setup()?
            .export_grpc("sink", &sink)
            .set("export.sink.signals", json!(["traces", "metrics", "logs"]))
            .set("export.sink.batch.timeout", "10ms");
        let proxy = set(setup)?.start().await?;
        Ok(Self { proxy, sink })
    }
}

impl Subject {
    /// A server that runs already.
    pub fn at(grpc: String, http: String, limit: usize) -> Self {
        Self { grpc, http, limit, own: None }
    }

    /// tracemill with its defaults, but for a queue that has room for several of the largest requests. Two plugins make it take requests apart and put them together again: one drops health
    /// checks, one writes an attribute on every span and resource.
    pub async fn start() -> Result<Self> {
        let enrich =
            json!({ "settings": { "attributes": { "conformance": true }, "resource": { "conformance": true } } });
        let own = Own::start(|setup| {
            let setup = setup.set("export.sink.queue.size", "512MiB");
            setup.plugin("10-drop-health", "drop-health")?.plugin("20-enrich", "enrich")?.sidecar("20-enrich", &enrich)
        });
        let own = own.await?;
        let ports = own.proxy.ports().clone();
        Ok(Self { grpc: ports.grpc, http: ports.http, limit: DEFAULT_LIMIT, own: Some(own) })
    }

    /// Whether faults can be made: the suite has started the server itself.
    pub fn own(&self) -> Option<&Own> {
        self.own.as_ref()
    }

    /// The sink behind the server, where there is one.
    pub fn sink(&self) -> Option<&Sink> {
        self.own.as_ref().map(|own| &own.sink)
    }

    /// Waits for a span at the sink, found by its span id.
    pub async fn arrived(sink: &Sink, ids: &Ids) -> Result<Span> {
        Ok(Self::arrived_with(sink, ids).await?.1)
    }

    /// The same with the request that it came in.
    pub async fn arrived_with(sink: &Sink, ids: &Ids) -> Result<(ExportTraceServiceRequest, Span)> {
        let find = |request: &ExportTraceServiceRequest| {
            let span = harness::sink::spans(request).find(|span| span.span_id == ids.span)?.clone();
            Some((request.clone(), span))
        };
        let arrived = async || sink.arrivals(|all| all.requests.iter().rev().find_map(find));
        wait::until("the span at the sink", arrived).await.context("what was answered with success did not arrive")
    }

    /// Ends what was started; it must end in good order.
    pub async fn stop(self) -> Result<()> {
        if let Some(mut own) = self.own {
            let status = own.proxy.stop().await?;
            anyhow::ensure!(status.success(), "tracemill ended with {status}:\n{}", own.proxy.log());
        }
        Ok(())
    }
}
