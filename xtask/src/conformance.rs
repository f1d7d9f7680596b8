//! `cargo xtask conformance`: what OTLP asks of a server, item by item, of tracemill or of any other server.

use crate::{plugins, shell};
use anyhow::Result;

/// What names a server that runs already, or asks for help: nothing is to be built for these.
const ELSEWHERE: [&str; 4] = ["--target", "--grpc", "--http", "--help"];

/// Runs the suite with the given arguments; without a server among them it gets the proxy that it starts.
pub fn run(arguments: &[String]) -> Result<()> {
    if !arguments.iter().any(|argument| ELSEWHERE.iter().any(|name| argument.starts_with(name))) {
        plugins::build()?;
        shell::run(shell::cargo().args(["build", "--quiet", "--package", "tracemill"]))?;
    }
    let mut suite = shell::cargo();
    suite.args(["run", "--quiet", "--package", "tracemill-conformance", "--"]).args(arguments);
    shell::run(&mut suite)
}
