//! The project's tasks, `cargo xtask …`. Each task is a file; what they share is how commands are run and reported.
#![forbid(unsafe_code)]

mod bench;
mod conformance;
mod demo;
mod fuzz;
mod obtain;
mod plugins;
mod report;
mod shell;
mod test;
mod toolchain;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Starts tracemill with the official plugins on traffic of a small shop, and shows what comes in and goes out.
    Demo {
        /// Ends by itself after so many seconds; without it, Ctrl-C does.
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Runs every check and test, with its own set-up.
    Test {
        /// Adds what takes long: senders with every SDK, guests built with other tool chains, long fuzzing, the dependency policy.
        #[arg(long)]
        full: bool,
    },
    /// Measures tracemill side by side with the OpenTelemetry Collector.
    Bench {
        /// Passed on to the bench; `-- --help` shows what it takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Tries, item by item, what OTLP asks of a server: of tracemill, `--beside-collector` or alone, or of `--target http://HOST`.
    Conformance {
        /// Passed on to the suite; `-- --help` shows what it takes.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Builds the official plugins into target/plugins/NAME.wasm, the tests' guests into target/guests, the example into target/examples.
    Plugins,
    /// Builds the real back ends and clients that tests use, into a cache folder.
    Backends,
}

fn main() -> Result<()> {
    match Arguments::parse().task {
        Task::Demo { seconds } => demo::run(seconds),
        Task::Test { full } => test::run(full),
        Task::Bench { arguments } => bench::run(&arguments),
        Task::Conformance { arguments } => conformance::run(&arguments),
        Task::Plugins => plugins::build(),
        Task::Backends => obtain::everything(),
    }
}
