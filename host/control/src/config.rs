//! The configuration: what is written in one YAML file, checked as a whole. Every key is optional; every error is shown at once with
//! its line. Knows what may be written, not what it sets in motion.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipeline::auth::AuthConfig;
use pipeline::export::config::DestinationConfig;
use pipeline::spanmetrics::config::{GraphConfig, SpanConfig};
use pipeline::tail::TailConfig;
use pipeline::tls::server::TlsConfig;
use tracing::Level;

use env::Lookup;
use plugins::Plugins;
use report::{Problems, Report};
use table::Table;
use tables::TableConfig;

mod auth;
pub mod conditions;
mod cors;
mod depth;
pub mod env;
pub mod export;
mod kafka;
pub mod limits;
pub mod plugins;
mod queue;
pub mod receive;
pub mod report;
mod span_metrics;
pub mod table;
pub mod tables;
mod tail;
mod tls;
pub mod units;
pub mod yaml;

/// The checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// What listens for spans.
    pub receive: pipeline::receive::Config,
    /// The plugin folder.
    pub plugins: Plugins,
    /// What plugins may ask.
    pub tables: Vec<TableConfig>,
    /// Where spans wait for samplers to decide their trace.
    pub tail: TailConfig,
    /// Where spans go.
    pub export: Vec<DestinationConfig>,
    /// What is counted of them before any sampling.
    pub span_metrics: Option<SpanConfig>,
    /// Whether it is counted who calls whom.
    pub service_graph: Option<GraphConfig>,
    /// The admin side.
    pub admin: Admin,
    /// What is logged.
    pub log: Log,
    /// How long a shutdown may take to deliver what is queued.
    pub shutdown_timeout: Duration,
    /// How many threads and mills there are; the machine's cores where it is not said.
    pub threads: Option<usize>,
}

/// The admin side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it is secured with; plain text without it.
    pub tls: Option<TlsConfig>,
    /// Who may look; everybody without it.
    pub auth: Option<AuthConfig>,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is logged.
    pub level: Level,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Reads a file, or the defaults without one. Relative paths in it are taken from the working directory, as on a command line.
pub fn load(file: Option<&Path>) -> Result<Config, Report> {
    let Some(file) = file else { return read("(no configuration file)", "", &env::process) };
    let shown = file.display().to_string();
    match std::fs::read_to_string(file) {
        Ok(text) => read(&shown, &text, &env::process),
        Err(error) => Err(Report::of_file(shown, format!("cannot be read: {error}"))),
    }
}

/// Reads a text. `shown` is what the file is called in messages.
pub fn read(shown: &str, text: &str, lookup: Lookup<'_>) -> Result<Config, Report> {
    let problems = Problems::default();
    let config = check(text, lookup, &problems);
    problems.into_report(shown).or(config)
}

fn check(text: &str, lookup: Lookup<'_>, problems: &Problems) -> Config {
    let root = yaml::parse(text, lookup, problems);
    Table::read("", &root, problems, |table| {
        let mut receive = table.section("receive", receive::read);
        let plugins = table.section("plugins", plugins::read);
        let tables = table.named("tables", "NAME", tables::read).into_iter().flatten().collect();
        let tail = table.section("tail", tail::read);
        let export = export(table, lookup);
        receive::keep(&mut receive, export.iter().flat_map(|destination| destination.forward.iter().cloned()));
        receive::keep(&mut receive, export.iter().flat_map(export::when::headers));
        let names_tenants = receive.tenant_header.is_some() || matches!(receive.auth, Some(AuthConfig::Tokens(_)));
        if !names_tenants && export.iter().any(export::when::asks_for_tenant) {
            let hint = "set receive.tenant_header, or receive.auth.tokens_file";
            table.refuse("export", format!("a `when` asks for request.tenant, and there is none: {hint}"));
        }
        if let Some(of_kafka) = &receive.kafka {
            kafka::check_destinations(table, of_kafka, &export);
        }
        let (span_metrics, service_graph) = (span_metrics::spans(table), span_metrics::graph(table));
        let admin = table.section("admin", |table| Admin {
            listen: table.address("listen").unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 9464))),
            tls: tls::read(table),
            auth: auth::read(table),
        });
        let log = table.section("log", log);
        let longest = Duration::from_hours(1);
        let shutdown = table.section("shutdown", |table| table.duration("timeout", Duration::ZERO..=longest));
        let threads = table.count("threads", 1..=1024).map(|threads| threads as usize);
        let shutdown_timeout = shutdown.unwrap_or(Duration::from_secs(30));
        Config {
            receive,
            plugins,
            tables,
            tail,
            export,
            span_metrics,
            service_graph,
            admin,
            log,
            shutdown_timeout,
            threads,
        }
    })
}

fn export(table: &mut Table<'_>, lookup: Lookup<'_>) -> Vec<DestinationConfig> {
    let named = table.named("export", "NAME", export::destination);
    if table.has("export") {
        let named: Vec<_> = named.into_iter().flatten().collect();
        queue::check_folders(table, &named);
        return named;
    }
    match export::from_environment(lookup) {
        Ok(destination) => destination.into_iter().collect(),
        Err(message) => {
            table.refuse_whole(message);
            Vec::new()
        }
    }
}

fn log(table: &mut Table<'_>) -> Log {
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    Log {
        level: table.choice("level", &levels).unwrap_or(Level::INFO),
        format: table
            .choice("format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])
            .unwrap_or(LogFormat::Text),
    }
}

/// Every key that may be written, from the root; `NAME` stands for names that the user chooses.
#[must_use]
pub fn keys() -> Vec<String> {
    let problems = Problems::default();
    check("", &|_| None, &problems);
    problems.keys().into_iter().collect()
}

/// What differs between two configurations, in the words of the file, and cannot be changed while running.
#[must_use]
pub fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let keys = [
        ("receive", old.receive != new.receive),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.tls", old.admin.tls != new.admin.tls),
        ("admin.auth", old.admin.auth != new.admin.auth),
        ("log", old.log != new.log),
        ("threads", old.threads != new.threads),
        ("tail.remember", old.tail.remember != new.tail.remember),
        ("tail.mode", old.tail.disk != new.tail.disk),
        ("plugins.cache", old.plugins.cache != new.plugins.cache),
        ("plugins.oci.cache", old.plugins.oci.cache != new.plugins.oci.cache),
        ("plugins.note_generation", old.plugins.note_generation != new.plugins.note_generation),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// Where the file is, made absolute so that it stays the same file.
#[must_use]
pub fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}
