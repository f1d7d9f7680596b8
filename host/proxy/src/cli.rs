//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::end::End;

#[derive(Debug, Parser)]
#[command(name = "tracemill", version, about = "A trace proxy programmed in WebAssembly: OTLP in, plugins, OTLP out.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the proxy. Without a configuration it listens on localhost, uses ./plugins and exports to `OTEL_EXPORTER_OTLP_ENDPOINT`.
    Run(Run),
    /// Checks a configuration file, and the lookup tables that it names, and says all that is wrong.
    Check {
        /// The configuration file.
        #[arg(long, value_name = "FILE", env = "TRACEMILL_CONFIG")]
        config: PathBuf,
    },
    /// Shows the chain and the destinations of a running proxy.
    Status(Status),
    /// Shows what a plugin is, imports, would see and could do, before anybody runs it.
    Inspect(Inspect),
    /// Lets the version of a plugin count that is tried, or brings back the one that was rolled back.
    Promote(Change),
    /// Withdraws the version of a plugin that is tried; or, where none is, returns to the one that counted before.
    Rollback(Change),
    /// Says which version this is.
    Version,
}

/// How the proxy is run.
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration file (YAML). It is reloaded when it changes.
    #[arg(long, value_name = "FILE", env = "TRACEMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where to write the addresses that were bound, as JSON: {"grpc": ..., "http": ..., "admin": ...}.
    #[arg(long, value_name = "FILE")]
    pub ports_file: Option<PathBuf>,
}

/// What is to be known of a plugin.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The plugin's file (the sidecar and the signature beside it are used), or its place in a registry: `oci://HOST/REPOSITORY@sha256:DIGEST`.
    #[arg(value_name = "FILE")]
    pub plugin: String,
    /// A public key of minisign: fails unless this key, or another that is named, has signed the plugin.
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,
    /// The same in a file, as minisign writes it.
    #[arg(long = "key-file", value_name = "FILE")]
    pub key_files: Vec<PathBuf>,
    /// Ask the registry over plain HTTP.
    #[arg(long)]
    pub insecure: bool,
    /// A file with credentials for registries, as docker keeps them: config.json.
    #[arg(long, value_name = "FILE")]
    pub docker_config: Option<PathBuf>,
    /// Authorities to trust beside the system's (PEM).
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What is asked of a running proxy.
#[derive(Debug, Args)]
pub struct Status {
    /// Where it is asked.
    #[command(flatten)]
    pub admin: Admin,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which version of a plugin is to count.
#[derive(Debug, Args)]
pub struct Change {
    /// The plugin's name, with or without its number.
    #[arg(value_name = "NAME")]
    pub plugin: String,
    /// Where it is asked.
    #[command(flatten)]
    pub admin: Admin,
}

/// The admin side of a running proxy, and what it wants to be shown.
#[derive(Debug, Args)]
pub struct Admin {
    /// The address of its admin side; `https://ADDR` where that has TLS.
    #[arg(long = "admin", value_name = "ADDR", default_value = "127.0.0.1:9464")]
    pub address: String,
    /// The authority that signs for its certificate (PEM), if the system does not trust it.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The certificate to show where it asks for one (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// A file with a token, where that is asked for: the first word in it.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// A file with USER:PASSWORD, where those are asked for.
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    pub password_file: Option<PathBuf>,
}

/// Reads the command line. What is wrong, and help, is printed here.
pub fn parse() -> Result<Command, End> {
    Cli::try_parse().map(|cli| cli.command).map_err(|error| {
        // Nobody to tell if the terminal is gone.
        let _gone = error.print();
        if error.use_stderr() { End::Usage } else { End::Well }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
