//! Log lines: text for people, JSON by setting; on standard error, so that a command's own output stays its own.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use crate::config::{Log, LogFormat};

/// The variable that overrides the level, in the syntax of `tracing`'s filters: `debug`, `info,tracemill_wasm=debug`.
pub const VARIABLE: &str = "TRACEMILL_LOG";

/// Starts logging. Called once in a process; an error says why it could not be.
pub fn start(log: &Log) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let usual = LevelFilter::from_level(log.level).into();
    let filter = EnvFilter::builder().with_default_directive(usual).with_env_var(VARIABLE).from_env()?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(BoxMakeWriter::new(std::io::stderr));
    match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    }
}
