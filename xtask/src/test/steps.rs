//! The steps of a test run, in order: cheap ones that later ones stand on come first.

use super::Step;
use super::summary::Outcome;
use crate::report::say;
use crate::{fuzz, obtain, plugins, shell, toolchain};
use anyhow::{Result, bail};
use backends::Obtained;
use std::process::Command;

/// Workspaces beside the main one: built for WebAssembly, tested natively.
const OTHERS: &[&str] = &["sdk/rust", "plugins", "tests/guests", "tests/fuzz", "examples/mark-slow"];

/// Where cargo-deny has its advisories from.
const ADVISORIES: &str = "https://github.com/rustsec/advisory-db";

/// What every run does.
pub const ALWAYS: &[Step] = &[
    Step { name: "plugins for WebAssembly", run: build_plugins, first: true },
    Step { name: "the proxy and its tests", run: build_workspace, first: true },
    Step { name: "back ends and clients", run: obtain_backends, first: true },
    Step { name: "formatting", run: check_formatting, first: false },
    Step { name: "clippy, warnings denied", run: check_clippy, first: false },
    Step { name: "tests of the workspace, system tests among them", run: test_workspace, first: false },
    Step { name: "tests of plugins and SDK", run: test_others, first: false },
    Step { name: "short fuzz run", run: fuzz_shortly, first: false },
];

/// What `--full` adds.
pub const LONG: &[Step] = &[
    Step { name: "clients and guests of other tool chains", run: obtain_more, first: false },
    Step { name: "long system tests", run: test_system_at_length, first: false },
    Step { name: "a build with Kafka, against a real broker", run: test_kafka, first: false },
    Step { name: "a build with Kafka over TLS", run: test_kafka_over_tls, first: false },
    Step { name: "long fuzz run", run: fuzz_long, first: false },
    Step { name: "dependency policy", run: check_dependencies, first: false },
];

fn build_plugins() -> Result<Outcome> {
    plugins::build()?;
    toolchain::ensure_target(toolchain::WASI)?;
    Ok(Outcome::default())
}

/// All at once and of the whole workspace, here and in each step below: another selection of packages has other features, with
/// which Cargo would build everything once more.
fn build_workspace() -> Result<Outcome> {
    shell::run(tests().arg("--no-run"))?;
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
    counted(tests().arg("--no-fail-fast"))
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

/// Whoever asks for all is not given less: a missing tool chain is an error here.
fn obtain_more() -> Result<Outcome> {
    for wanted in obtain::FOR_TESTS.iter().chain(obtain::FOR_LONG_TESTS) {
        if let Some(why) = wanted.get()? {
            bail!("--full leaves nothing out, but {why}");
        }
    }
    Ok(Outcome::default())
}

fn test_system_at_length() -> Result<Outcome> {
    counted(tests().args(["--test", "senders", "--test", "all", "--test", "soak", "--", "--ignored"]))
}

/// The same selection of packages with one more feature: what has it, and what stands on that, is built once more.
fn test_kafka() -> Result<Outcome> {
    let with_kafka = ["--features", "kafka"];
    let deny = ["--", "--deny", "warnings"];
    shell::run(shell::cargo().args(["clippy", "--quiet", "--workspace", "--all-targets"]).args(with_kafka).args(deny))?;
    // The proxy's own binary as well, which the system test starts.
    shell::run(tests().args(with_kafka).arg("--no-run"))?;
    let mut all = counted(tests().args(with_kafka).args(["--lib", "--", "kafka"]))?;
    all.passed += counted(tests().args(with_kafka).args(["--test", "kafka"]))?.passed;
    Ok(all)
}

/// What releases are built with, OpenSSL too: that it can be built, and that clients take what can be configured of it.
fn test_kafka_over_tls() -> Result<Outcome> {
    counted(tests().args(["--features", "kafka-tls", "--lib", "--", "kafka"]))
}

fn tests() -> Command {
    let mut command = shell::cargo();
    command.args(["test", "--workspace"]);
    command
}

fn fuzz_long() -> Result<Outcome> {
    Ok(Outcome { skipped: fuzz::long()?.into_iter().collect(), ..Outcome::default() })
}

fn check_dependencies() -> Result<Outcome> {
    let Obtained::Ready(cargo_deny) = backends::cargo_deny()? else { bail!("`cargo` is not on the PATH") };
    let mut command = Command::new(cargo_deny);
    command.current_dir(backends::root());
    shell::run(command.args(["check", "bans", "licenses", "sources"]))?;
    let mut outcome = Outcome::default();
    if !can_fetch_advisories() {
        outcome.skipped.push(format!("advisories of dependencies: {ADVISORIES} cannot be reached"));
        return Ok(outcome);
    }
    shell::run(Command::new(command.get_program()).current_dir(backends::root()).args(["check", "advisories"]))?;
    Ok(outcome)
}

fn can_fetch_advisories() -> bool {
    let mut asked = Command::new("git");
    asked.args(["ls-remote", ADVISORIES, "HEAD"]).env("GIT_TERMINAL_PROMPT", "0");
    asked.output().is_ok_and(|answer| answer.status.success())
}

fn counted(command: &mut Command) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    shell::watch(command, |line| outcome.read(line))?;
    Ok(outcome)
}

fn others() -> impl Iterator<Item = &'static str> {
    OTHERS.iter().copied().filter(|folder| shell::has_package(folder))
}
