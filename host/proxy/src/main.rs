//! `tracemill`: the proxy that its users program in WebAssembly. This file says what the commands are and how each ends.
//!
//! | exit code | |
//! | --- | --- |
//! | 0 | all went well; for `run`: everything was delivered |
//! | 1 | the proxy could not start; `status`: something has failed, or nobody answers; `promote`, `rollback`: nothing has changed; `inspect`: it is no plugin for this host, or not signed by the keys that were named |
//! | 2 | `run` ended, and not everything could be delivered in time |
//! | 64 | the command line or the configuration is wrong |
#![forbid(unsafe_code)]

mod assemble;
mod cli;
mod command;
mod end;
mod ports;

use std::process::ExitCode;

use cli::Command;

// Buffers of requests live across threads: measured against the system's allocator by the bench.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = match cli::parse() {
        Ok(command) => command,
        Err(end) => return end.into(),
    };
    let end = match command {
        Command::Run(options) => command::run::run(&options),
        Command::Check { config } => command::check::check(&config),
        Command::Inspect(options) => command::inspect::inspect(&options),
        Command::Status(options) => command::status::status(&options),
        Command::Promote(options) => command::change::change("promote", &options),
        Command::Rollback(options) => command::change::change("rollback", &options),
        Command::Version => command::say(&format!("tracemill {}", env!("CARGO_PKG_VERSION"))),
    };
    ExitCode::from(end)
}
