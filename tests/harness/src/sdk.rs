//! Real OpenTelemetry SDKs as senders: tests/system/clients tells what they send.

use crate::client::Protocol;
use anyhow::{Context as _, Result, bail, ensure};
use backends::Obtained;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

/// An SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `@opentelemetry/sdk-node`.
    Node,
    /// `opentelemetry-sdk`.
    Python,
}

/// A span that an SDK says it has sent; ids in hex.
#[derive(Debug, Clone, Deserialize)]
pub struct SentSpan {
    /// Its trace.
    pub trace: String,
    /// Its id.
    pub span: String,
    /// Its parent's id, empty for a root.
    pub parent: String,
    /// Its name.
    pub name: String,
}

/// What an SDK says it has sent.
#[derive(Debug, Clone, Deserialize)]
pub struct Scenario {
    /// The service's name.
    pub service: String,
    /// One trace's spans.
    pub spans: Vec<SentSpan>,
    /// Health checks, each a trace of its own.
    pub health: Vec<SentSpan>,
    /// Carries the trace on to the next sender.
    pub traceparent: String,
}

/// Metrics and logs that an SDK says it has sent.
#[derive(Debug, Clone, Deserialize)]
pub struct Sent {
    /// The service's name.
    pub service: String,
    /// What the counter `orders.placed` has come to.
    pub counter: u32,
    /// How often the histogram `orders.amount` was written.
    pub observations: u32,
    /// The sum of that.
    pub observed: u32,
    /// The bodies of the log records, the first with severity INFO, the second with ERROR.
    pub lines: Vec<String>,
}

/// The SDKs that are here. With CI=true there has to be one; without, the test may go without any, loudly.
pub fn at_hand(who: &str) -> Result<Vec<Sdk>> {
    let obtained = [Sdk::Node, Sdk::Python].map(|sdk| sdk.obtain().map(|obtained| (sdk, obtained)));
    at_hand_of(obtained.into_iter().collect::<Result<_>>()?, who, backends::required())
}

fn at_hand_of(obtained: Vec<(Sdk, Obtained)>, who: &str, required: bool) -> Result<Vec<Sdk>> {
    let here =
        |(sdk, obtained): (Sdk, Obtained)| obtained.or_skip_optional(&format!("{who} with {sdk:?}")).map(|_| sdk);
    let found: Vec<_> = obtained.into_iter().filter_map(here).collect();
    ensure!(!found.is_empty() || !required, "{who}: when CI=true there must be an SDK, for Node or for Python");
    Ok(found)
}

impl Sdk {
    /// How it can send.
    pub fn protocols(self) -> &'static [Protocol] {
        match self {
            Self::Node => &[Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson],
            Self::Python => &[Protocol::Grpc, Protocol::HttpProtobuf],
        }
    }

    /// Sends the scenario of traces to `address` and waits until it was delivered.
    pub async fn send(
        self,
        protocol: Protocol,
        address: &str,
        service: &str,
        parent: Option<&str>,
    ) -> Result<Scenario> {
        let more = [("TRACEPARENT", parent.unwrap_or_default())];
        self.run("send", protocol, address, service, &more).await
    }

    /// Sends the scenario of metrics and logs, likewise.
    pub async fn send_metrics_and_logs(self, protocol: Protocol, address: &str, service: &str) -> Result<Sent> {
        let more =
            [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_LOGS_EXPORTER", "otlp")];
        self.run("signals", protocol, address, service, &more).await
    }

    async fn run<T: DeserializeOwned>(
        self,
        script: &str,
        protocol: Protocol,
        address: &str,
        service: &str,
        more: &[(&str, &str)],
    ) -> Result<T> {
        ensure!(self.protocols().contains(&protocol), "{self:?} does not send {protocol:?}");
        let mut command = self.command(script)?;
        environment(&mut command, protocol, address, service);
        command.envs(more.iter().copied()).kill_on_drop(true);
        let output = command.output().await.with_context(|| format!("starting {self:?}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{self:?} over {protocol:?} failed: {said}{complained}");
        serde_json::from_str(&said).with_context(|| format!("{self:?} said {said:?} {complained}"))
    }

    fn obtain(self) -> Result<Obtained> {
        match self {
            Self::Node => backends::node_modules(),
            Self::Python => backends::python(),
        }
    }

    fn command(self, script: &str) -> Result<Command> {
        let clients = backends::root().join("tests/system/clients");
        let Obtained::Ready(path) = self.obtain()? else { bail!("the SDK for {self:?} is not here") };
        Ok(match self {
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(clients.join(format!("node/{script}.js"))).env("NODE_PATH", path);
                command
            }
            Self::Python => {
                let mut command = Command::new(path);
                command.arg(clients.join(format!("python/{script}.py"))).env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
        })
    }
}

/// What every SDK is told where to send and how: the variables that host/docs/sending.md tells users to set.
pub(crate) fn environment(command: &mut Command, protocol: Protocol, address: &str, service: &str) {
    let name = match protocol {
        Protocol::Grpc => "grpc",
        Protocol::HttpProtobuf => "http/protobuf",
        Protocol::HttpJson => "http/json",
    };
    command
        .env("OTEL_SERVICE_NAME", service)
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_LOGS_EXPORTER", "none")
        .env("OTEL_NODE_RESOURCE_DETECTORS", "env")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", name)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
}

#[cfg(test)]
mod tests {
    //! In CI the tests with real SDKs cannot pass without one.

    use super::*;

    fn found(node: Obtained, python: Obtained, required: bool) -> Result<Vec<Sdk>> {
        at_hand_of(vec![(Sdk::Node, node), (Sdk::Python, python)], "nothing (this is a test of skipping)", required)
    }

    #[test]
    fn one_sdk_is_enough_and_none_is_an_error_where_it_is_required() {
        let ready = || Obtained::Ready("here".into());
        let (no_node, no_python) = (|| Obtained::Missing("node"), || Obtained::Missing("python3"));
        assert_eq!(found(no_node(), ready(), true).unwrap(), [Sdk::Python]);
        assert_eq!(found(ready(), no_python(), true).unwrap(), [Sdk::Node]);
        assert!(found(no_node(), no_python(), true).is_err());
        assert_eq!(found(no_node(), no_python(), false).unwrap(), []);
    }
}
