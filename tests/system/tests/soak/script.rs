//! What people do to a plugin folder, at random: plugins are added, broken, replaced, tried, promoted, rolled back, moved and removed.

use anyhow::{Context as _, Result, ensure};
use harness::{Proxy, Sink, plugins, wait};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use system::{error_of, stage, typed};

/// Everything that is done, by what the printed summary calls it.
const DEEDS: [&str; 14] = [
    "replace",
    "break",
    "refuse settings",
    "add",
    "move",
    "remove",
    "drop in what fails",
    "change settings",
    "rewrite in a storm",
    "shadow and promote",
    "shadow and roll back",
    "canary and promote",
    "canary and roll back",
    "roll back",
];

/// Those that are commands.
const COMMANDS: [&str; 5] =
    ["shadow and promote", "shadow and roll back", "canary and promote", "canary and roll back", "roll back"];

/// The stages that are there whenever it is quiet.
const STAGES: [(&str, &str); 3] = [("10-drop-health", "drop-health"), ("20-stamp", "stamp"), ("30-enrich", "enrich")];

/// Spans that are to be delivered between two deeds, at most: some hundred milliseconds.
const PAUSE: u64 = 2_000;

/// The script of one run.
pub struct Script<'a> {
    proxy: &'a Proxy,
    sink: &'a Sink,
    random: SmallRng,
    version: u32,
    done: BTreeMap<&'static str, u32>,
    /// Commands that found nothing to promote or roll back.
    vain: u32,
}

impl<'a> Script<'a> {
    /// The same seed does the same.
    pub fn new(proxy: &'a Proxy, sink: &'a Sink, seed: u64) -> Self {
        Self { proxy, sink, random: SmallRng::seed_from_u64(seed), version: 0, done: BTreeMap::new(), vain: 0 }
    }

    /// Every deed once, in any order.
    pub async fn all_once(&mut self) -> Result<()> {
        let mut deeds = DEEDS;
        deeds.shuffle(&mut self.random);
        for deed in deeds {
            self.act(deed).await?;
        }
        Ok(())
    }

    /// One deed after the other for so long.
    pub async fn run(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            let deed = DEEDS[self.random.random_range(0..DEEDS.len())];
            self.act(deed).await?;
            let due = self.sink.spans() + self.random.random_range(0..PAUSE);
            let delivered = async || (self.sink.spans() >= due || Instant::now() >= end).then_some(());
            wait::until("the load to go on", delivered).await?;
        }
        Ok(())
    }

    /// What was done so far, and what of it was in vain.
    pub fn summary(&self) -> String {
        let done: u32 = self.done.values().sum();
        format!("{done} deeds, {} commands in vain: {:?}", self.vain, self.done)
    }

    /// Whether most commands did what they say.
    pub fn commands_took_effect(&self) -> bool {
        let of = |deed| self.done.get(deed).copied().unwrap_or_default();
        let commands: u32 = COMMANDS.into_iter().map(of).sum();
        self.vain * 2 <= commands
    }

    /// Brings the folder into its usual state, and waits until that runs. Twice: of each plugin there is a version before, to roll back to, and
    /// that is to be a usual one too.
    pub async fn settle(&mut self) -> Result<()> {
        self.renew().await?;
        self.renew().await
    }

    /// Each plugin in a version that nobody has seen, and none but the usual ones.
    async fn renew(&mut self) -> Result<()> {
        let version_of = |status: &Value, name| stage(status, name).map(|stage| stage["version"].clone());
        let before = self.proxy.plugin_status().await?;
        for name in ["15-extra.wasm", "25-extra.wasm", "40-probe.wasm", "40-probe.yaml", "20-stamp.yaml"] {
            self.remove(name)?;
        }
        self.install("30-enrich.yaml", &enrich("settled"))?;
        for (file, name) in STAGES {
            let bytes = self.next_version(name)?;
            self.proxy.install(&format!("{file}.wasm"), &bytes)?;
        }
        let is_usual = |status: &Value| {
            let stages = status["stages"].as_array().map_or(0, Vec::len);
            let runs_anew = |name| {
                let tried = stage(status, name).is_some_and(|stage| stage.get("trial").is_some());
                !tried && error_of(status, name).is_none() && version_of(status, name) != version_of(&before, name)
            };
            stages == STAGES.len() && STAGES.iter().all(|(_, name)| runs_anew(name))
        };
        self.proxy.plugin_status_that("the folder to be as usual", is_usual).await.map(drop)
    }

    async fn act(&mut self, deed: &'static str) -> Result<()> {
        *self.done.entry(deed).or_default() += 1;
        self.go(deed).await.with_context(|| format!("{deed}, after {}", self.summary()))
    }

    async fn go(&mut self, deed: &'static str) -> Result<()> {
        match deed {
            "replace" => self.replace(),
            "break" => {
                let whole = self.next_version("stamp")?;
                let broken = match self.random.random_range(0..4) {
                    0 => whole[..self.random.random_range(0..whole.len())].to_vec(),
                    1 => b"no plugin at all".to_vec(),
                    2 => plugins::of_another_contract(&whole)?,
                    _ => fs::read(plugins::guest("asks")?)?,
                };
                self.proxy.install("20-stamp.wasm", &broken)
            }
            "refuse settings" => self.install("20-stamp.yaml", &json!({ "settings": { "refuse": "not now" } })),
            "add" => {
                self.remove("15-extra.wasm")?;
                let bytes = self.next_version("stamp")?;
                self.proxy.install("25-extra.wasm", &bytes)
            }
            "move" => self.rename("25-extra.wasm", "15-extra.wasm"),
            "remove" => ["15-extra.wasm", "25-extra.wasm"].into_iter().try_for_each(|name| self.remove(name)),
            "drop in what fails" => self.drop_in(),
            "change settings" => {
                let region = format!("region-{}", self.next());
                self.install("30-enrich.yaml", &enrich(&region))
            }
            "rewrite in a storm" => {
                for _ in 0..30 {
                    let bytes = self.next_version("stamp")?;
                    // As `cp` does it: the file is there before it is whole.
                    fs::write(self.proxy.plugins().join("20-stamp.wasm"), bytes)?;
                }
                Ok(())
            }
            "shadow and promote" => self.attempt(&json!({ "mode": "shadow" }), "promote").await,
            "shadow and roll back" => self.attempt(&json!({ "mode": "shadow" }), "rollback").await,
            "canary and promote" => self.attempt(&json!({ "mode": "canary", "share": "30%" }), "promote").await,
            "canary and roll back" => self.attempt(&json!({ "mode": "canary", "share": "30%" }), "rollback").await,
            _ => self.command("rollback").await,
        }
    }

    fn replace(&mut self) -> Result<()> {
        let (file, name) = STAGES[self.random.random_range(0..STAGES.len())];
        if name == "stamp" {
            self.remove("20-stamp.yaml")?;
        }
        let bytes = self.next_version(name)?;
        self.proxy.install(&format!("{file}.wasm"), &bytes)
    }

    /// A plugin that never becomes live, or fails in some of its calls, or is gone again.
    fn drop_in(&mut self) -> Result<()> {
        let verbs = ["traps-at-the-third", "traps-at-the-third", "traps", "bombs", "recurses", "configure-traps", ""];
        let verb = verbs[self.random.random_range(0..verbs.len())];
        if verb.is_empty() {
            self.remove("40-probe.wasm")?;
            return self.remove("40-probe.yaml");
        }
        let sidecar =
            json!({ "settings": { "do": verb }, "on_error": "pass", "memory": "16MiB", "breaker": { "pause": "1s" } });
        self.install("40-probe.yaml", &sidecar)?;
        self.proxy.install("40-probe.wasm", &fs::read(plugins::guest("probe")?)?)
    }

    /// Tries a new version, and decides as soon as it is tried.
    async fn attempt(&mut self, mode: &Value, command: &'static str) -> Result<()> {
        let before = self.proxy.plugin_status().await?;
        let known = stage(&before, "stamp").map(|stage| stage["trial"]["version"].clone());
        self.install("20-stamp.yaml", mode)?;
        let bytes = self.next_version("stamp")?;
        self.proxy.install("20-stamp.wasm", &bytes)?;
        let is_tried = |status: &Value| {
            stage(status, "stamp")
                .is_some_and(|stage| stage["trial"].is_object() && Some(&stage["trial"]["version"]) != known.as_ref())
        };
        self.proxy.plugin_status_that("the new version to be tried", is_tried).await?;
        self.command(command).await
    }

    async fn command(&mut self, command: &'static str) -> Result<()> {
        let (done, said) = typed(self.proxy, command, "stamp").await?;
        ensure!(done || !said.is_empty(), "a command that says nothing");
        self.vain += u32::from(!done);
        Ok(())
    }

    fn next(&mut self) -> u32 {
        self.version += 1;
        self.version
    }

    /// A file that was never there.
    fn next_version(&mut self, name: &str) -> Result<Vec<u8>> {
        let version = self.next();
        match name {
            "stamp" => Ok(plugins::renewed(&plugins::stamp(version % 10_000)?, version)),
            official => Ok(plugins::renewed(&fs::read(plugins::official(official)?)?, version)),
        }
    }

    fn install(&self, file: &str, sidecar: &Value) -> Result<()> {
        self.proxy.install(file, sidecar.to_string().as_bytes())
    }

    fn remove(&self, file: &str) -> Result<()> {
        there_or_not(fs::remove_file(self.proxy.plugins().join(file)), file)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let of = |file: &str| self.proxy.plugins().join(file);
        there_or_not(fs::rename(of(from), of(to)), from)
    }
}

/// The sidecar of `enrich`.
pub fn enrich(region: &str) -> Value {
    json!({ "settings": { "attributes": { "region": region } } })
}

fn there_or_not(outcome: std::io::Result<()>, file: &str) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("changing {file}")),
        _ => Ok(()),
    }
}
