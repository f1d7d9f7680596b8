//! Puts the proxy together, from the back to the front: exports, chain, plugins, receivers, admin side. Start-up and shutdown are the same
//! list, read in either direction.

mod kept;
mod outlet;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use arc_swap::ArcSwap;
use control::admin::view::{Listeners, View};
use control::admin::{self, Admin, Guard};
use control::config::Config;
use control::plugins::folder::{self, Folder, Ground};
use control::plugins::load::Loader;
use control::plugins::status::now;
use control::reload::{self, Reload};
use control::tables::{self, Tables};
use control::telemetry;
use pipeline::auth::Auth;
use pipeline::chain::gate::Gate;
use pipeline::chain::intake::Intake;
use pipeline::chain::live::Chains;
use pipeline::chain::metrics::Metrics as ChainMetrics;
use pipeline::export::{self, Exports};
use pipeline::fork::Fork;
use pipeline::forward::{self, Forward};
use pipeline::receive::{self, Receivers};
use pipeline::spanmetrics::send::Sender;
use pipeline::tail::{self, Tail};
use pipeline::tls::server::{Certificates, Tls};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::end::End;
use crate::ports;
use outlet::{Queues, consumer, destinations, trace_buffer};

/// The running proxy.
pub struct Proxy {
    receivers: Option<Receivers>,
    serving: Option<JoinHandle<()>>,
    stop_receiving: CancellationToken,
    opened: watch::Receiver<bool>,
    /// What the admin side calls ready.
    receiving: watch::Sender<bool>,
    reload: Option<Reload>,
    /// Shared with the reload, which gives it other settings.
    folder: Arc<Folder>,
    /// Likewise.
    tables: Arc<Tables>,
    /// Of spans: the plugins close it too.
    gate: Gate,
    /// Of what passes no plugin: closed at the end only.
    end: Gate,
    tail: Tail,
    exports: Exports,
    /// Of what is counted of spans.
    span_metrics: Sender,
    /// In milliseconds; a reload may change it.
    shutdown_timeout: Arc<AtomicU64>,
    admin: Admin,
    /// What the admin side shows; at the end it has the last word.
    view: Arc<View>,
}

/// Starts everything but the receivers, which have their ports and wait for the plugins.
pub fn start(config: Config, options: &cli::Run, started: Instant) -> Result<Proxy> {
    let mut registry = telemetry::registry();
    let counters = ChainMetrics::default();
    counters.register(&mut registry);
    let forward_metrics = forward::Metrics::register(&mut registry, &counters);
    let export_metrics = export::Metrics::register(&mut registry);
    let plugin_metrics = wasm::Metrics::register(&mut registry);
    let table_metrics = tables::Metrics::register(&mut registry);
    let tail_metrics = tail::Metrics::register(&mut registry);
    let receive_metrics = Arc::new(receive::Metrics::register(&mut registry));

    let exports = Exports::start(config.export.clone(), export_metrics, Handle::current())?;
    let gate = Gate::new();
    let mills = config.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let chains = Chains::new(mills, counters.clone());
    chains.quarantine().limit(config.plugins.quarantine);
    let outlet = Arc::new(Queues(exports.clone()));
    let tail = Tail::start(config.tail.clone(), chains.clone(), outlet.clone(), tail_metrics)?;
    let note_generation = config.plugins.note_generation;
    let intake = Intake::start(chains.clone(), Some(tail.clone()), outlet.clone(), gate.clone(), note_generation);
    let intake = Arc::new(intake.context("starting the mills")?);
    let end = Gate::new();
    let span_metrics = chains.span_metrics();
    span_metrics.metrics().register(&mut registry);
    span_metrics.reconfigure(config.span_metrics.clone(), config.service_graph.clone());
    let span_metrics = Sender::start(span_metrics.clone(), outlet.clone(), forward_metrics.clone());
    let span_metrics = span_metrics.context("starting the metrics of spans")?;
    let forward = Forward::new(outlet, end.clone(), forward_metrics);

    let (compiled, puller) = (kept::compiled(&config.plugins.cache)?, kept::pulled(&config.plugins.oci.cache)?);
    let shelf = Arc::new(kept::shelf(compiled.as_ref(), &config.plugins));
    let engine = wasm::Engine::with_cache(&wasm::EngineOptions::default(), compiled)?;
    let published = wasm::tables::Tables::default();
    let sweep = intake.clone();
    let ground = Ground {
        chains: chains.clone(),
        gate: gate.clone(),
        published: Box::new(move || sweep.sweep()),
        maker: Arc::new(Loader::new(
            engine,
            plugin_metrics,
            chains.clone(),
            Arc::clone(&shelf),
            puller,
            published.clone(),
        )),
        shelf,
    };

    // The ports come before the plugins: a port that is taken is known at once.
    let receivers = receive::Config {
        // Calls in flight must not use up the time that is there for delivering.
        drain: config.receive.drain.min(config.shutdown_timeout / 2),
        ..config.receive.clone()
    };
    let receivers = receive::bind(receivers, Arc::new(Fork { intake, forward }), receive_metrics)?;
    let admin = TcpListener::bind(config.admin.listen).with_context(|| {
        format!("cannot listen on {} (admin.listen); is another process using the port?", config.admin.listen)
    })?;
    let listeners = listeners(&receivers, &admin)?;
    // Before the plugins, which may ask from their first call on.
    let tables =
        Tables::start(config.tables.clone(), published, table_metrics).context("starting the lookup tables")?;
    let tables = Arc::new(tables);
    let folder = Arc::new(Folder::start(folder_settings(&config), ground).context("starting the plugin folder")?);

    let file = options.config.as_deref();
    let status = reload::Status {
        file: file.map(|file| file.display().to_string()),
        loaded_at: now(),
        ..reload::Status::default()
    };
    let status = Arc::new(ArcSwap::from_pointee(status));
    let shutdown_timeout = Arc::new(AtomicU64::new(millis(config.shutdown_timeout)));
    let admin_tls = config.admin.tls.clone().map(|tls| Tls::new(tls, admin::SPOKEN).map(Arc::new)).transpose();
    let admin_tls = admin_tls.map_err(|error| anyhow!("cannot secure the admin side with TLS: {error}"))?;
    let admin_auth = config.admin.auth.clone().map(|auth| Auth::new(auth).map(Arc::new)).transpose()?;
    let certificates = receivers.certificates().and(admin_tls.clone());
    let apply = apply(certificates, &tail, &exports, &folder, &tables, &chains, &shutdown_timeout);
    let reload = file.map(|file| Reload::start(file, config, status.clone(), apply)).transpose()?;

    let (receiving, is_receiving) = watch::channel(false);
    let (mut opened, decides) = (folder.opened(), tail.clone());
    tokio::spawn(async move {
        if opened.wait_for(|opened| *opened).await.is_ok() {
            decides.open();
        }
    });
    let view = Arc::new(View {
        registry,
        chains,
        counters,
        gate: gate.clone(),
        opened: folder.opened(),
        receiving: is_receiving,
        plugins: folder.status(),
        commands: folder.commands(),
        tables: tables.status(),
        config: status,
        destinations: destinations(exports.clone()),
        kafka: receivers.kafka_status().map(consumer),
        trace_buffer: trace_buffer(tail.clone()),
        listeners: listeners.clone(),
        started,
    });
    let admin = Admin::start(admin, Guard { tls: admin_tls, auth: admin_auth }, Arc::clone(&view))
        .context("starting the admin side")?;
    announce(&listeners, options)?;
    Ok(Proxy {
        receivers: Some(receivers),
        serving: None,
        stop_receiving: CancellationToken::new(),
        opened: folder.opened(),
        receiving,
        reload,
        folder,
        tables,
        gate,
        end,
        tail,
        exports,
        span_metrics,
        shutdown_timeout,
        admin,
        view,
    })
}

fn folder_settings(config: &Config) -> folder::Settings {
    let plugins = &config.plugins;
    folder::Settings {
        folder: plugins.folder.clone(),
        required: plugins.required.clone(),
        defaults: plugins.defaults,
        keys: plugins.keys.clone(),
        oci: Arc::new(plugins.oci.clone()),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What of a changed configuration takes effect while running. The parts that can fail come first.
fn apply(
    certificates: Certificates,
    tail: &Tail,
    exports: &Exports,
    folder: &Arc<Folder>,
    tables: &Arc<Tables>,
    chains: &Chains,
    shutdown_timeout: &Arc<AtomicU64>,
) -> reload::Apply {
    let (exports, folder, shutdown_timeout) = (exports.clone(), Arc::clone(folder), Arc::clone(shutdown_timeout));
    let tail = tail.clone();
    let (tables, quarantine) = (Arc::clone(tables), Arc::clone(chains.quarantine()));
    let span_metrics = chains.span_metrics().clone();
    Box::new(move |config: &Config| {
        let new = certificates.read().map_err(|error| format!("tls: {error}"))?;
        exports.reconfigure(config.export.clone()).map_err(|error| error.to_string())?;
        new.apply();
        tail.reconfigure(config.tail.clone());
        tables.reconfigure(config.tables.clone());
        folder.reconfigure(folder_settings(config));
        quarantine.limit(config.plugins.quarantine);
        span_metrics.reconfigure(config.span_metrics.clone(), config.service_graph.clone());
        shutdown_timeout.store(millis(config.shutdown_timeout), Ordering::Relaxed);
        Ok(())
    })
}

/// Where a receiver listens that is told not to, as the configuration says it.
const NOWHERE: &str = "none";

fn listeners(receivers: &Receivers, admin: &TcpListener) -> Result<Listeners> {
    let shown = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| NOWHERE.to_owned(), |address| address.to_string())
    };
    Ok(Listeners {
        grpc: shown(receivers.grpc_address()),
        http: shown(receivers.http_address()),
        admin: admin.local_addr().context("the admin side's address")?.to_string(),
    })
}

fn announce(listeners: &Listeners, options: &cli::Run) -> Result<()> {
    let Listeners { grpc, http, admin } = listeners;
    let all = [("OTLP/gRPC", grpc), ("OTLP/HTTP", http), ("admin", admin)];
    for (what, address) in all.into_iter().filter(|(_, address)| *address != NOWHERE) {
        tracing::info!(%address, "{what} address bound");
    }
    options.ports_file.as_deref().map_or(Ok(()), |file| ports::write(file, listeners))
}

// === impl Proxy ===

impl Proxy {
    /// Waits until the plugins let the receivers open.
    pub async fn opened(&mut self) {
        if self.receivers.is_none() || self.opened.wait_for(|opened| *opened).await.is_err() {
            // Open already, or nobody left to open them: nothing more will happen here.
            std::future::pending::<()>().await;
        }
    }

    /// Lets requests in.
    pub fn open(&mut self) -> Result<()> {
        if let Some(receivers) = self.receivers.take() {
            self.serving = Some(tokio::spawn(receivers.listen()?.serve(self.stop_receiving.clone())));
            self.receiving.send_replace(true);
            tracing::info!("receiving");
        }
        Ok(())
    }

    /// Reads the configuration file anew.
    pub fn reload(&self) {
        if let Some(reload) = &self.reload {
            reload.now();
        } else {
            tracing::warn!("there is no configuration file to reload");
        }
    }

    /// Takes nothing more, delivers what is queued within the bound, and says what it could not.
    pub async fn shutdown(self) -> End {
        let Self {
            receivers,
            serving,
            stop_receiving,
            reload,
            folder,
            tables,
            gate,
            end,
            tail,
            exports,
            span_metrics,
            shutdown_timeout,
            admin,
            view,
            ..
        } = self;
        let until = tokio::time::Instant::now() + Duration::from_millis(shutdown_timeout.load(Ordering::Relaxed));
        // Whoever might open the gate again goes first; they may wait for a compiler or a file, so they do it elsewhere.
        let quiet = tokio::task::spawn_blocking(move || drop((reload, folder, tables)));
        for gate in [gate, end] {
            gate.close("the proxy is shutting down, try again");
        }
        drop(receivers);
        stop_receiving.cancel();
        if let Some(mut serving) = serving
            && tokio::time::timeout_at(until, &mut serving).await.is_err()
        {
            serving.abort();
        }
        let undecided = tail.drain(until).await;
        if undecided > 0 {
            tracing::error!(spans = undecided, "were in the trace buffer and could not leave before the end");
        }
        // What the last spans have added goes along with them.
        let counted = tokio::task::spawn_blocking(move || drop(span_metrics));
        let _late = tokio::time::timeout_at(until, counted).await;
        let report = exports.drain(until.saturating_duration_since(tokio::time::Instant::now())).await;
        for (destination, signal, items) in &report.undelivered {
            tracing::error!(destination, %signal, items, "could not be delivered before the end");
        }
        let _late = tokio::time::timeout_at(until, quiet).await;
        drop(admin);
        telemetry::accounts::log(&view.registry);
        if report.undelivered.is_empty() && undecided == 0 {
            tracing::info!("everything was delivered");
            End::Well
        } else {
            End::Undelivered
        }
    }
}

#[cfg(test)]
mod tests;
