//! A real Kafka broker of the test's own: one node, on free ports, its data in a temporary folder.

use crate::ports::FreePorts;
use crate::process::Process;
use crate::wait;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// How long a JVM may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Any will do, as long as it is 16 bytes in base64.
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// A running broker; it ends with this handle.
#[derive(Debug)]
pub struct Kafka {
    process: Process,
    jars: PathBuf,
    address: String,
    folder: TempDir,
    _ports: FreePorts<2>,
}

impl Kafka {
    /// Obtains it if needed, starts it and waits until it takes connections.
    pub async fn start() -> Result<Self> {
        let jars = backends::kafka()?.or_fail("a test against Kafka")?;
        let sources = backends::root().join("tests/backends/kafka");
        let folder = tempfile::tempdir()?;
        let ports = FreePorts::hold()?;
        let [broker, controller] = ports.numbers;
        let properties = fs::read_to_string(sources.join("server.properties"))?
            .replace("{broker}", &broker.to_string())
            .replace("{controller}", &controller.to_string())
            .replace("{folder}", &folder.path().join("data").display().to_string());
        fs::write(folder.path().join("server.properties"), properties)?;
        let format = ["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", "server.properties"];
        output(java(&jars, folder.path()).args(format)).await.context("preparing the broker's folder")?;
        let mut command = java(&jars, folder.path());
        command.args(["kafka.Kafka", "server.properties"]);
        let mut process = Process::start("Kafka", command, &folder.path().join("log"))?;
        let ready = async || match process.still_running() {
            Err(error) => Some(Err(error)),
            Ok(()) => process.output().contains("Kafka Server started").then_some(Ok(())),
        };
        wait::until_within(PATIENCE, "Kafka to be ready", ready).await??;
        Ok(Self { process, jars, address: format!("127.0.0.1:{broker}"), folder, _ports: ports })
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes a topic.
    pub async fn create_topic(&self, name: &str, partitions: usize) -> Result<()> {
        self.create_topic_with(name, partitions, &[]).await
    }

    /// Makes a topic with settings of its own, each as `KEY=VALUE`.
    pub async fn create_topic_with(&self, name: &str, partitions: usize, settings: &[&str]) -> Result<()> {
        let mut command = java(&self.jars, self.folder.path());
        command.args(["org.apache.kafka.tools.TopicCommand", "--bootstrap-server", &self.address, "--create"]);
        command.args(["--topic", name, "--partitions", &partitions.to_string(), "--replication-factor", "1"]);
        command.args(settings.iter().flat_map(|setting| ["--config", setting]));
        output(&mut command).await.with_context(|| format!("making the topic {name}"))
    }

    /// Writes messages, each on a line, with nothing that makes sense to anybody.
    pub async fn write_nonsense(&self, topic: &str, lines: &[&str]) -> Result<()> {
        let file = self.folder.path().join("nonsense");
        fs::write(&file, lines.join("\n") + "\n")?;
        let mut command = java(&self.jars, self.folder.path());
        command.args(["org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", &self.address, "--topic", topic]);
        command.stdin(fs::File::open(file)?);
        output(&mut command).await.with_context(|| format!("writing to the topic {topic}"))
    }

    /// Sends a signal: SIGSTOP for a broker that hangs, say.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> Result<()> {
        self.process.signal(signal)
    }
}

fn java(jars: &Path, folder: &Path) -> Command {
    let log = backends::root().join("tests/backends/kafka/log4j2.yaml");
    let mut command = Command::new("java");
    command.current_dir(folder).env("CLASSPATH", jars.join("*"));
    command.args(["-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg(format!("-Dlog4j2.configurationFile=file:{}", log.display())).kill_on_drop(true);
    command
}

async fn output(command: &mut Command) -> Result<()> {
    let output = tokio::time::timeout(PATIENCE, command.output()).await.context("it takes too long")??;
    let said = || String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    ensure!(output.status.success(), "{}:\n{}", output.status, said());
    Ok(())
}
