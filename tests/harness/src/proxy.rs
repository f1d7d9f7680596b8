//! The real proxy as a process of its own, with a configuration and a plugin folder in a temporary place.

mod setup;

pub use setup::{Setup, binary};

use setup::Place;

use crate::accounts::Accounts;
use crate::client::{Client, Protocol};
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::process::Process;
use crate::sink::Watched;
use crate::{fetch, plugins, wait};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// How long a shutdown may take: the proxy's own drain bound and some more.
const GRACE: Duration = Duration::from_secs(40);

/// Where the proxy listens, as it says itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Ports {
    /// OTLP/gRPC, `host:port`.
    pub grpc: String,
    /// OTLP/HTTP.
    pub http: String,
    /// The admin side.
    pub admin: String,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    process: Process,
    ports: Ports,
    place: Place,
    config: Value,
    /// Whether destinations have been changed, so that not all of them were given all spans.
    reconfigured: bool,
    /// What was sent to it, where all of that is known.
    ledger: Option<Ledger>,
    /// Those that it was set up to export to.
    sinks: Vec<Watched>,
    stopped: bool,
}

impl Proxy {
    /// A proxy to be, on free ports of loopback and with an empty plugin folder.
    pub fn setup() -> Result<Setup> {
        Setup::new()
    }

    /// The same in a folder that stays.
    pub fn setup_in(folder: &std::path::Path) -> Result<Setup> {
        Setup::in_folder(folder)
    }

    /// Where it listens.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// A client of its gRPC receiver.
    pub fn grpc(&self) -> Client {
        Client::new(Protocol::Grpc, &self.ports.grpc).noting(self.ledger.clone())
    }

    /// A client of its HTTP receiver.
    pub fn http(&self, protocol: Protocol) -> Client {
        Client::new(protocol, &self.ports.http).noting(self.ledger.clone())
    }

    /// The same over HTTP/2 without TLS.
    pub fn h2c(&self, protocol: Protocol) -> Client {
        Client::h2c(protocol, &self.ports.http).noting(self.ledger.clone())
    }

    /// Notes spans that were accepted from others than its own clients.
    pub fn accepted_from_others(&self, spans: usize) {
        if let Some(ledger) = &self.ledger {
            ledger.accepted(spans as u64);
        }
    }

    /// A URL of the admin side.
    pub fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.ports.admin)
    }

    /// Its process id.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Its plugin folder.
    pub fn plugins(&self) -> PathBuf {
        self.place.path().join("plugins")
    }

    /// Its configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.place.path().join("tracemill.yaml")
    }

    /// Puts a file into its plugin folder, whole.
    pub fn install(&self, file: &str, bytes: &[u8]) -> Result<()> {
        plugins::install(&self.plugins(), file, bytes)
    }

    /// Changes one key of its configuration file, which it reloads by itself.
    pub fn configure(&mut self, path: &str, value: Value) -> Result<()> {
        self.reconfigured |= path.starts_with("export");
        setup::set(&mut self.config, path, value);
        setup::write_config(&self.config_file(), &self.config)
    }

    /// A scrape.
    pub async fn metrics(&self) -> Result<Metrics> {
        let answer = fetch::get(&self.admin("/metrics")).await?;
        ensure!(answer.status.is_success(), "/metrics: {} {}", answer.status, answer.text);
        Metrics::parse(&answer.text)
    }

    /// What it says about its plugins.
    pub async fn plugin_status(&self) -> Result<Value> {
        fetch::json(&self.admin("/plugins")).await
    }

    /// Waits until what it says about its plugins is as wanted.
    pub async fn plugin_status_that(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let waited = wait::until(what, async || {
            last = self.plugin_status().await.ok()?;
            wanted(&last).then(|| last.clone())
        });
        let found = waited.await;
        found.with_context(|| format!("/plugins says {last:#}"))
    }

    /// The generation of the chain, once the status says so: what else the folder says there is of the same moment.
    pub async fn generation(&self) -> Result<u64> {
        self.plugin_status().await?["generation"].as_u64().context("the status has a generation")
    }

    /// Waits for a later generation than `old`.
    pub async fn generation_after(&self, old: u64) -> Result<u64> {
        let newer = async || self.generation().await.ok().filter(|now| *now > old);
        wait::until(&format!("a generation after {old}"), newer).await.with_context(|| self.log())
    }

    /// Both sums, once they hold and no span is held any more for destinations that answer.
    pub async fn settled(&self) -> Result<Accounts> {
        self.accounts_that(wait::PATIENCE, "everything to be delivered and accounted for", Accounts::is_idle).await
    }

    /// Both sums, as soon as they hold, whatever is still held.
    pub async fn balanced(&self) -> Result<Accounts> {
        self.accounts_that(Duration::from_secs(10), "both sums to hold", |_| true).await
    }

    async fn accounts_that(
        &self,
        patience: Duration,
        what: &str,
        wanted: impl Fn(&Accounts) -> bool,
    ) -> Result<Accounts> {
        let mut last = String::new();
        let waited = wait::until_within(patience, what, async || match self.accounts().await {
            Ok(accounts) => {
                last = format!("{accounts:#?}");
                wanted(&accounts).then_some(accounts)
            }
            Err(error) => {
                last = format!("{error:#}");
                None
            }
        });
        let found = waited.await;
        found.with_context(|| last)
    }

    /// The accounts of now, if both sums hold and they tell of all that was sent and of every destination.
    async fn accounts(&self) -> Result<Accounts> {
        let accounts = Accounts::read(&self.metrics().await?)?;
        self.check(&accounts)?;
        Ok(accounts)
    }

    fn check(&self, accounts: &Accounts) -> Result<()> {
        accounts.check()?;
        if !self.reconfigured {
            for (name, settings) in self.config["export"].as_object().into_iter().flatten() {
                let usual = [Value::from("traces")];
                let signals = settings["signals"].as_array().map_or(&usual[..], Vec::as_slice);
                for signal in signals.iter().filter_map(Value::as_str) {
                    let known = accounts.destination_of(signal, name).is_some();
                    ensure!(known, "nothing is counted of {signal} for the destination {name}");
                }
            }
            if !self.routes() {
                accounts.check_fan_out()?;
            }
        }
        if let Some(ledger) = &self.ledger {
            ledger.check(accounts.door)?;
        }
        Ok(())
    }

    /// Whether some destination gets a part only.
    fn routes(&self) -> bool {
        let destinations = self.config["export"].as_object();
        destinations.into_iter().flat_map(serde_json::Map::values).any(|destination| destination.get("when").is_some())
    }

    /// Sends SIGTERM and waits for the end. The sums must hold at that time.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.balanced().await?;
        self.signal(Signal::SIGTERM)?;
        self.ended().await
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits until it has ended in good order, and checks both sums as it told them last. Nothing is held then.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.stopped = true;
        let status = self.process.ended(GRACE).await?;
        let log = self.log();
        // A second signal cuts the end short.
        if log.contains("shutting down") && !log.contains("a second signal") {
            let accounts = Accounts::of_log(&log)?.context("it ended without its final accounts")?;
            self.check(&accounts).context("the final accounts")?;
            ensure!(accounts.is_delivered(), "something is held after the end: {accounts:#?}");
            // What the trace buffer could not get rid of within the bound is lost, and the exit code says so.
            let undecided = accounts.door.held;
            ensure!(undecided == 0 || !status.success(), "{undecided} spans were lost, and it ended with {status}");
        }
        Ok(status)
    }

    /// Ends it as a crash would: nothing tells what became of what it held.
    pub async fn kill(&mut self) -> Result<()> {
        self.stopped = true;
        self.process.kill().await
    }

    /// What every system test ends with: the sums hold, and SIGTERM ends it cleanly. A test that has stopped it by itself has
    /// checked them by that. All that went out was OTLP.
    async fn finish(&mut self) -> Result<()> {
        if !self.stopped {
            self.process.still_running()?;
            let status = self.stop().await?;
            ensure!(status.success(), "the proxy ended with {status}");
        }
        self.sinks.iter().try_for_each(Watched::check)
    }

    async fn wait_until_open(&mut self, ports_file: &std::path::Path) -> Result<()> {
        let ended = |proxy: &mut Self| proxy.process.still_running().err();
        let text = wait::until("the proxy's ports file", async || match ended(self) {
            Some(error) => Some(Err(error)),
            None => std::fs::read_to_string(ports_file).ok().filter(|text| text.trim_end().ends_with('}')).map(Ok),
        });
        self.ports = serde_json::from_str(&text.await??).context("the ports file")?;
        Ok(())
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) -> Result<()> {
        let ended = |proxy: &mut Self| proxy.process.still_running().err();
        let ready = self.admin("/readyz");
        let answer = wait::until("the proxy to be ready", async || match ended(self) {
            Some(error) => Some(Err(error)),
            None => fetch::get(&ready).await.ok().filter(|answer| answer.status.is_success()).map(Ok),
        });
        match answer.await {
            Ok(answered) => answered.map(drop),
            Err(error) => bail!("{error:#}\n{}", self.log()),
        }
    }
}
