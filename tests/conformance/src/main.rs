//! `cargo xtask conformance`: runs the suite and prints a table; exit code 1 if an item fails.
#![forbid(unsafe_code)]

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use conformance::subject::DEFAULT_LIMIT;
use conformance::table::Column;
use conformance::target::Target;
use conformance::{Make, Subject, Verdict, known, table};
use std::process::ExitCode;

/// What OTLP asks of a server, item by item.
#[derive(Parser)]
struct Arguments {
    /// A server that runs already: `http://HOST`, with OTLP's ports 4317 and 4318; a port in it is OTLP/HTTP's. Without one,
    /// tracemill is started, with a sink behind it.
    #[arg(long)]
    target: Option<String>,
    /// Its OTLP/gRPC end, HOST:PORT, where that is elsewhere.
    #[arg(long)]
    grpc: Option<String>,
    /// Its OTLP/HTTP end, HOST:PORT, where that is elsewhere.
    #[arg(long)]
    http: Option<String>,
    /// The largest request that the server takes, in bytes.
    #[arg(long, default_value_t = DEFAULT_LIMIT)]
    limit: usize,
    /// Only these items: `--only G4,H11`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Runs an OpenTelemetry Collector after tracemill, and shows both in one table. It is built with Go the first time. Only
    /// tracemill's failures count.
    #[arg(long)]
    beside_collector: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let target = Target::named(arguments.target.as_deref(), arguments.grpc, arguments.http)?;
    let is_elsewhere = target.is_some();
    let subject = match target {
        Some(_) if arguments.beside_collector => bail!("--beside-collector is for tracemill: name no other server"),
        Some(Target { grpc, http }) => Subject::at(grpc, http, arguments.limit),
        None if arguments.limit != DEFAULT_LIMIT => bail!("--limit is that of another server: name it"),
        None => Subject::start(Make::Tracemill).await?,
    };
    let mut columns = vec![column(subject, &arguments.only).await?];
    if arguments.beside_collector
        && let Some(binary) = backends::collector()?.or_skip("THE COLLECTOR'S COLUMN")?
    {
        columns.push(column(Subject::start(Make::Collector(binary)).await?, &arguments.only).await?);
    }
    print(&table::shown(&columns));
    if !is_elsewhere {
        for (id, reason) in known::KNOWN_FAILURES {
            print(&format!("known failure {id}: {reason}\n"));
        }
    }
    // A part of the items is no picture of the whole.
    if !is_elsewhere && arguments.only.is_empty() {
        write("conformance.md", &table::markdown(&columns))?;
        if columns.len() > 1 {
            write("conformance-summary.md", &table::summary(&columns))?;
        }
    }
    let failed = columns[0].outcomes.iter().any(|outcome| outcome.verdict == Verdict::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn column(subject: Subject, only: &[String]) -> Result<Column> {
    let name = subject.make().map_or("the server", Make::name);
    let outcomes = conformance::run(&subject, only).await;
    ensure!(!outcomes.is_empty(), "no item has one of the ids {only:?}");
    subject.stop().await?;
    Ok(Column { name, outcomes })
}

/// Beside the build's products.
fn write(name: &str, text: &str) -> Result<()> {
    let file = backends::root().join("target").join(name);
    std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    print(&format!("written to {}\n", file.display()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
fn print(text: &str) {
    print!("{text}");
}
