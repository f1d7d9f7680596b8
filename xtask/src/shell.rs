//! Running commands from the root of the checkout.

use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// The cargo that runs this task.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(backends::root());
    command
}

/// `cargo VERB --manifest-path FOLDER/Cargo.toml`, its products in `target/FOLDER` so that the checkout stays clean.
pub fn cargo_in(folder: &str, verb: &str) -> Command {
    let root = backends::root();
    let mut command = cargo();
    command.arg(verb).arg("--manifest-path").arg(root.join(folder).join("Cargo.toml"));
    if verb != "fmt" {
        command.arg("--target-dir").arg(root.join("target").join(folder.replace('/', "-")));
    }
    command
}

/// Whether there is a package or workspace in this folder.
pub fn has_package(folder: &str) -> bool {
    backends::root().join(folder).join("Cargo.toml").exists()
}

/// Runs it with the terminal's own input and output.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {}", shown(command)))?;
    ensure!(status.success(), "{} failed: {status}", shown(command));
    Ok(())
}

/// Runs it and gives each line of its standard output to `see` while passing it on.
pub fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("starting {}", shown(command)))?;
    let output = child.stdout.take().expect("standard output was asked for");
    let mut out = std::io::stdout();
    for line in BufReader::new(output).lines() {
        let line = line?;
        see(&line);
        writeln!(out, "{line}")?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "{} failed: {status}", shown(command));
    Ok(())
}

/// The standard output of a command that must succeed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("starting {}", shown(command)))?;
    ensure!(output.status.success(), "{} failed: {}", shown(command), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program.to_string_lossy().into_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}
