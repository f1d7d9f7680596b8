//! The Rust tool chain's parts that tasks need.

use crate::report::say;
use crate::shell;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// What plugins in Rust are built for.
pub const WASM: &str = "wasm32-unknown-unknown";

/// What a guest of the tests is built for as well: a component whose runtime imports WASI.
pub const WASI: &str = "wasm32-wasip2";

/// Installs a WebAssembly target if it is missing.
pub fn ensure_target(target: &str) -> Result<()> {
    if has_target(target)? {
        return Ok(());
    }
    if !backends::on_path("rustup") {
        bail!("the target {target} is not installed, and without rustup it cannot be added here: install it with Rust");
    }
    say(format!("installing the target {target}"));
    let mut command = Command::new("rustup");
    shell::run(command.args(["target", "add", target]).current_dir(backends::root()))
}

fn has_target(target: &str) -> Result<bool> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(backends::root());
    let folder = shell::output(&mut rustc).context("asking rustc for its targets")?;
    Ok(Path::new(folder.trim()).exists())
}

/// Installs the nightly tool chain if it is missing. `false` without rustup.
pub fn ensure_nightly() -> Result<bool> {
    if !backends::on_path("rustup") {
        return Ok(false);
    }
    if !on_nightly(Path::new("rustc")).arg("--version").output()?.status.success() {
        say("installing the nightly tool chain");
        shell::run(Command::new("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))?;
    }
    Ok(true)
}

/// A program run by the nightly tool chain.
pub fn on_nightly(program: &Path) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).arg(program).current_dir(backends::root());
    // The tool chain of this task must not win over the one that is asked for.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    command
}
