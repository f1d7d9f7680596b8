//! `tracemill run`: start, serve, and end in good order.

use std::time::Instant;

use anyhow::{Context as _, Result};
use control::config::{self, Config};
use control::telemetry;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::assemble::{self, Proxy};
use crate::cli;
use crate::command::complain;
use crate::end::End;

/// Runs until a signal says otherwise.
pub fn run(options: &cli::Run) -> End {
    let started = Instant::now();
    let config = match config::load(options.config.as_deref()) {
        Ok(config) => config,
        Err(report) => {
            complain(&report.to_string());
            return End::Usage;
        }
    };
    if let Err(error) = telemetry::log::start(&config.log) {
        complain(&format!("logging cannot be started (is {} right?): {error}", telemetry::log::VARIABLE));
        return End::Usage;
    }
    allow_files();
    let runtime = match runtime(&config) {
        Ok(runtime) => runtime,
        Err(error) => return not_started(&error),
    };
    runtime.block_on(serve(config, options, started)).unwrap_or_else(|error| not_started(&error))
}

/// Connections are open files, and so are queues on disk: as many as the system lets this process have, not as many as a shell gives it.
fn allow_files() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

fn not_started(error: &anyhow::Error) -> End {
    tracing::error!("tracemill cannot start: {error:#}");
    End::Failed
}

fn runtime(config: &Config) -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = config.threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().thread_name("net").build().context("starting the runtime")
}

async fn serve(config: Config, options: &cli::Run, started: Instant) -> Result<End> {
    // Before anything that takes time: a signal during the start is not lost.
    let mut signals = Signals::new().context("listening to signals")?;
    let mut proxy = assemble::start(config, options, started)?;
    loop {
        tokio::select! {
            () = proxy.opened() => proxy.open()?,
            asked = signals.next() => match asked {
                Asked::Reload => proxy.reload(),
                Asked::End => break,
            },
        }
    }
    tracing::info!("shutting down");
    tokio::select! {
        end = Proxy::shutdown(proxy) => Ok(end),
        () = signals.end() => {
            tracing::error!("a second signal: ended at once, what was queued is not delivered");
            Ok(End::Undelivered)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Reload,
    End,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.reload.recv() => Asked::Reload,
        }
    }

    async fn end(&mut self) {
        while self.next().await == Asked::Reload {}
    }
}
