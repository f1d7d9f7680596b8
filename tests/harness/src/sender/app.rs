//! Which programs there are, and how each is started.

use crate::client::Protocol;
use anyhow::Result;
use backends::{Browser, JavaAgent, Obtained};
use std::ffi::OsString;
use std::path::Path;
use tokio::process::Command;

/// A program with a real SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// `@opentelemetry/sdk-node`.
    Node,
    /// A NestJS app with `@opentelemetry/auto-instrumentations-node`, ended by SIGTERM.
    Nest,
    /// `opentelemetry-sdk` for Python.
    Python,
    /// `go.opentelemetry.io/otel/sdk`.
    Go,
    /// An app with the Java agent.
    Java,
    /// A page in Chromium with `@opentelemetry/sdk-trace-web`.
    Browser,
}

impl App {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Node, Self::Nest, Self::Python, Self::Go, Self::Java, Self::Browser];

    /// How it can send.
    pub fn protocols(self) -> &'static [Protocol] {
        match self {
            Self::Node => &[Protocol::Grpc, Protocol::HttpProtobuf, Protocol::HttpJson],
            Self::Nest => &[Protocol::HttpProtobuf],
            Self::Python | Self::Go | Self::Java => &[Protocol::Grpc, Protocol::HttpProtobuf],
            Self::Browser => &[Protocol::HttpJson],
        }
    }

    /// Whether it tries again when nobody listens. Those that do not lose what they were sending.
    pub fn tries_again(self, protocol: Protocol) -> bool {
        !matches!((self, protocol), (Self::Node, Protocol::Grpc) | (Self::Go, Protocol::HttpProtobuf))
    }

    /// How it is started, once what it takes is there; that may take a while.
    pub(super) fn command(self) -> Result<Command> {
        let have = |obtained: Result<Obtained>| obtained?.or_fail(&format!("the sender {self:?}"));
        let clients = backends::root().join("tests/system/clients");
        Ok(match self {
            Self::Node => {
                let mut command = node(&have(backends::node_modules())?);
                command.arg("--require").arg(clients.join("node/watch.js")).arg(clients.join("node/steady.js"));
                command
            }
            Self::Nest => {
                let mut command = node(&have(backends::nest_modules())?);
                command.arg(clients.join("nest/drive.js"));
                command
            }
            Self::Python => {
                let mut command = Command::new(have(backends::python())?);
                command.arg(clients.join("python/steady.py")).env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Self::Go => Command::new(have(backends::go_client())?),
            Self::Java => java(&JavaAgent::in_folder(&have(backends::java_agent())?)),
            Self::Browser => browser(&Browser::in_folder(&have(backends::browser())?), &clients),
        })
    }
}

fn node(modules: &Path) -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", modules);
    command
}

fn java(java: &JavaAgent) -> Command {
    let mut command = Command::new("java");
    // It lives for seconds: the best compiler would only begin to pay.
    command.arg("-XX:TieredStopAtLevel=1").arg(joined("-javaagent:", &java.agent));
    command.env("OTEL_JAVAAGENT_EXTENSIONS", &java.extension).arg("-cp").arg(&java.classes).arg("Steady");
    command
}

fn browser(browser: &Browser, clients: &Path) -> Command {
    let mut command = node(&browser.modules);
    command.arg(clients.join("browser/open.js")).arg(&browser.chromium).arg(&browser.page);
    command
}

fn joined(option: &str, path: &Path) -> OsString {
    let mut whole = OsString::from(option);
    whole.push(path);
    whole
}
