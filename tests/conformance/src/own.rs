//! Servers that the suite starts itself, with sinks behind them: tracemill and the Collector, as an item wants them.

mod collector;
mod shape;
mod tracemill;

pub use shape::{Chain, Mode, Over, Shape, service};

use anyhow::{Context as _, Result, ensure};
use harness::sink::Keep;
use harness::{Behaviour, Collector, Proxy, Sink};
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::ExitStatus;

/// What the suite can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Make {
    /// This project.
    Tracemill,
    /// The OpenTelemetry Collector: the binary that [`backends::collector`] builds.
    Collector(PathBuf),
}

impl Make {
    /// For tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tracemill => "tracemill",
            Self::Collector(_) => "Collector",
        }
    }

    /// Whether it bounds the bytes of requests under way, so that who is cancelled has some to give back.
    pub fn has_budget(&self) -> bool {
        *self == Self::Tracemill
    }
}

/// A server that the suite has started.
#[derive(Debug)]
pub struct Own {
    process: Process,
    /// OTLP/gRPC, `host:port`.
    pub grpc: String,
    /// OTLP/HTTP, `host:port`.
    pub http: String,
    /// What is behind it.
    pub sink: Sink,
    /// Its other destination, where the shape has one.
    pub second: Option<Sink>,
}

#[derive(Debug)]
enum Process {
    Tracemill(Box<Proxy>),
    Collector(Box<Collector>),
}

impl Own {
    /// Starts one, with sinks behind it.
    pub async fn start(make: &Make, shape: &Shape) -> Result<Self> {
        let sink = Sink::keeping(Keep::Requests).await?;
        let second = if shape.second { Some(Sink::keeping(Keep::Requests).await?) } else { None };
        let sinks: Vec<(&str, &Sink)> = [("sink", Some(&sink)), ("second", second.as_ref())]
            .into_iter()
            .filter_map(|(name, sink)| Some((name, sink?)))
            .collect();
        let (process, grpc, http) = match make {
            Make::Tracemill => {
                let proxy = tracemill::setup(shape, &sinks)?.start().await?;
                let ports = proxy.ports().clone();
                (Process::Tracemill(Box::new(proxy)), ports.grpc, ports.http)
            }
            Make::Collector(binary) => {
                let collector = Collector::start(binary, collector::configuration(shape, &sinks)).await?;
                let (grpc, http) = (collector.grpc().to_owned(), collector.http().to_owned());
                (Process::Collector(Box::new(collector)), grpc, http)
            }
        };
        Ok(Self { process, grpc, http, sink, second })
    }

    /// Its process id.
    pub fn id(&self) -> Result<u32> {
        let id = match &self.process {
            Process::Tracemill(proxy) => proxy.id(),
            Process::Collector(collector) => collector.id(),
        };
        id.context("it has ended")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        match &self.process {
            Process::Tracemill(proxy) => proxy.log(),
            Process::Collector(collector) => collector.log(),
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match &self.process {
            Process::Tracemill(proxy) => proxy.signal(signal),
            Process::Collector(collector) => collector.signal(signal),
        }
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        match &mut self.process {
            Process::Tracemill(proxy) => proxy.ended().await,
            Process::Collector(collector) => collector.ended().await,
        }
    }

    /// Lets it deliver what it holds, and end; it must end in good order.
    pub async fn stop(mut self) -> Result<()> {
        for sink in [Some(&self.sink), self.second.as_ref()].into_iter().flatten() {
            sink.behave(Behaviour::Accept);
        }
        let status = match &mut self.process {
            // Its sums are checked first.
            Process::Tracemill(proxy) => proxy.stop().await?,
            Process::Collector(collector) => {
                collector.signal(Signal::SIGTERM)?;
                collector.ended().await?
            }
        };
        ensure!(status.success(), "it ended with {status}:\n{}", self.log());
        Ok(())
    }
}
