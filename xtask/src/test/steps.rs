//! The steps of a test run, in order: cheap ones that later ones stand on come first.

use super::Step;
use super::summary::Outcome;
use crate::report::say;
use crate::{fuzz, obtain, plugins, shell};
use anyhow::{Result, bail};
use std::process::Command;

/// Workspaces beside the main one: built for WebAssembly, tested natively.
const OTHERS: &[&str] = &["sdk/rust", "plugins", "tests/guests", "tests/fuzz", "examples/mark-slow"];

/// What every run does.
pub const ALWAYS: &[Step] = &[
    Step { name: "plugins for WebAssembly", run: build_plugins, first: true },
    Step { name: "the proxy", run: build_proxy, first: true },
    Step { name: "back ends and clients", run: obtain_backends, first: true },
    Step { name: "formatting", run: check_formatting, first: false },
    Step { name: "clippy, warnings denied", run: check_clippy, first: false },
    Step { name: "tests of the workspace", run: test_workspace, first: false },
    Step { name: "tests of plugins and SDK", run: test_others, first: false },
    Step { name: "short fuzz run", run: fuzz_shortly, first: false },
    Step { name: "system tests", run: test_system, first: false },
];

/// What `--full` adds.
pub const LONG: &[Step] = &[
    Step { name: "system tests with guests of other tool chains", run: test_other_guests, first: false },
    Step { name: "long fuzz run", run: fuzz_long, first: false },
    Step { name: "dependency policy", run: check_dependencies, first: false },
];

fn build_plugins() -> Result<Outcome> {
    plugins::build()?;
    Ok(Outcome::default())
}

fn build_proxy() -> Result<Outcome> {
    shell::run(shell::cargo().args(["build", "--package", "tracemill"]))?;
    Ok(Outcome::default())
}

fn obtain_backends() -> Result<Outcome> {
    let mut outcome = Outcome::default();
    if backends::required() && !backends::on_path("go") {
        bail!("CI=true, but `go` is not on the PATH: the tests against real back ends must run");
    }
    for wanted in obtain::FOR_TESTS {
        if let Some(why) = wanted.get()? {
            say(format!("!!! the tests that need it are skipped: {why}"));
            outcome.skipped.push(why);
        }
    }
    Ok(outcome)
}

fn check_formatting() -> Result<Outcome> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))?;
    for folder in others() {
        shell::run(shell::cargo_in(folder, "fmt").args(["--all", "--check"]))?;
    }
    Ok(Outcome::default())
}

fn check_clippy() -> Result<Outcome> {
    let deny = ["--", "--deny", "warnings"];
    shell::run(shell::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets"]).args(deny))?;
    for folder in others() {
        shell::run(shell::cargo_in(folder, "clippy").args(["--quiet", "--workspace", "--all-targets"]).args(deny))?;
    }
    Ok(Outcome::default())
}

fn test_workspace() -> Result<Outcome> {
    counted(shell::cargo().args(["test", "--workspace", "--exclude", "tracemill-system-tests"]))
}

fn test_others() -> Result<Outcome> {
    let mut all = Outcome::default();
    for folder in others() {
        all.passed += counted(shell::cargo_in(folder, "test").arg("--workspace"))?.passed;
    }
    Ok(all)
}

fn fuzz_shortly() -> Result<Outcome> {
    fuzz::short()?;
    Ok(Outcome::default())
}

fn test_system() -> Result<Outcome> {
    counted(&mut system())
}

fn test_other_guests() -> Result<Outcome> {
    counted(system().env("TRACEMILL_FULL", "1").args(["--", "other_guests"]))
}

fn system() -> Command {
    let mut command = shell::cargo();
    command.args(["test", "--package", "tracemill-system-tests"]);
    command
}

fn fuzz_long() -> Result<Outcome> {
    Ok(Outcome { skipped: fuzz::long()?.into_iter().collect(), ..Outcome::default() })
}

fn check_dependencies() -> Result<Outcome> {
    if !backends::on_path("cargo-deny") {
        let why = "dependency policy: it takes cargo-deny".to_owned();
        return Ok(Outcome { skipped: vec![why], ..Outcome::default() });
    }
    shell::run(shell::cargo().args(["deny", "check"]))?;
    Ok(Outcome::default())
}

fn counted(command: &mut Command) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    shell::watch(command, |line| outcome.read(line))?;
    Ok(outcome)
}

fn others() -> impl Iterator<Item = &'static str> {
    OTHERS.iter().copied().filter(|folder| shell::has_package(folder))
}
