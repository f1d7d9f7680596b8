//! The server under test: an address, or a server of the suite's own with a sink behind it.

use crate::own::{Chain, Make, Own, Shape};
use crate::trace::Ids;
use anyhow::{Context as _, Result};
use harness::{Sink, wait};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;

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
    own: Option<(Make, Own)>,
}

impl Subject {
    /// A server that runs already.
    pub fn at(grpc: String, http: String, limit: usize) -> Self {
        Self { grpc, http, limit, own: None }
    }

    /// A server of the suite, with its defaults but for a queue that has room for several of the largest requests. It takes
    /// requests apart and puts them together again: it drops health checks, and writes an attribute on every span.
    pub async fn start(make: Make) -> Result<Self> {
        let shape = Shape { chain: Chain::Edits, queue: Some(512 << 20), ..Shape::default() };
        let own = Own::start(&make, &shape).await.with_context(|| format!("starting {}", make.name()))?;
        let (grpc, http) = (own.grpc.clone(), own.http.clone());
        Ok(Self { grpc, http, limit: DEFAULT_LIMIT, own: Some((make, own)) })
    }

    /// Whether faults can be made: the suite has started the server itself.
    pub fn own(&self) -> Option<&Own> {
        self.own.as_ref().map(|(_, own)| own)
    }

    /// What it is, where the suite has started it.
    pub fn make(&self) -> Option<&Make> {
        self.own.as_ref().map(|(make, _)| make)
    }

    /// Another of the same make and of this shape; nothing where the suite cannot start one.
    pub async fn another(&self, shape: Shape) -> Result<Option<Own>> {
        match self.make() {
            Some(make) => {
                Own::start(make, &shape).await.with_context(|| format!("starting one of {shape:?}")).map(Some)
            }
            None => Ok(None),
        }
    }

    /// The sink behind the server, where there is one.
    pub fn sink(&self) -> Option<&Sink> {
        self.own().map(|own| &own.sink)
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
        match self.own {
            Some((_, own)) => own.stop().await,
            None => Ok(()),
        }
    }
}
