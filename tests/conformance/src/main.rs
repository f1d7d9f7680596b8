//! `cargo xtask conformance`: runs the suite and prints a table; exit code 1 if an item fails.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use conformance::subject::DEFAULT_LIMIT;
use conformance::{Subject, Verdict, known, table};
use std::process::ExitCode;

/// What OTLP asks of a server, item by item.
#[derive(Parser)]
struct Arguments {
    /// OTLP/gRPC of a server that runs already, HOST:PORT. Without it tracemill is started, with a sink behind it.
    #[arg(long, requires = "http")]
    grpc: Option<String>,
    /// OTLP/HTTP of the same server, HOST:PORT.
    #[arg(long, requires = "grpc")]
    http: Option<String>,
    /// The largest request that the server takes, in bytes.
    #[arg(long, default_value_t = DEFAULT_LIMIT)]
    limit: usize,
    /// Only these items: `--only G4,H11`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let own = arguments.grpc.is_none();
    let subject = match (arguments.grpc, arguments.http) {
        (Some(grpc), Some(http)) => Subject::at(grpc, http, arguments.limit),
        _ if arguments.limit != DEFAULT_LIMIT => bail!("--limit is that of another server: name it"),
        _ => Subject::start().await.context("starting tracemill")?,
    };
    let outcomes = conformance::run(&subject, &arguments.only).await;
    ensure!(!outcomes.is_empty(), "no item has one of the ids {:?}", arguments.only);
    print(&table::shown(&outcomes));
    if own {
        for (id, reason) in known::KNOWN_FAILURES {
            print(&format!("known failure {id}: {reason}\n"));
        }
    }
    subject.stop().await?;
    let failed = outcomes.iter().any(|outcome| outcome.verdict == Verdict::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
fn print(text: &str) {
    print!("{text}");
}
