//! Cargo's own extensions that long tests take, installed beside the back ends and not into the user's Cargo.

use crate::cache::{Obtained, Recipe, obtain, run};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The file that says which version.
const VERSION: &str = "version";

/// Checks dependencies against deny.toml.
pub fn cargo_deny() -> Result<Obtained> {
    obtain(&Recipe {
        name: "cargo-deny",
        needs: &["cargo"],
        folder: "tests/backends/tools/cargo-deny",
        files: &[VERSION],
        make: |sources, into| install("cargo-deny", sources, into),
        product: "bin/cargo-deny",
    })
}

/// Drives libFuzzer.
pub fn cargo_fuzz() -> Result<Obtained> {
    obtain(&Recipe {
        name: "cargo-fuzz",
        needs: &["cargo"],
        folder: "tests/backends/tools/cargo-fuzz",
        files: &[VERSION],
        make: |sources, into| install("cargo-fuzz", sources, into),
        product: "bin/cargo-fuzz",
    })
}

fn install(name: &str, sources: &Path, into: &Path) -> Result<()> {
    let version = fs::read_to_string(sources.join(VERSION)).context("which version is wanted")?;
    let mut command = Command::new("cargo");
    command.args(["install", "--locked", "--quiet", name, "--version", version.trim(), "--root"]).arg(into);
    run(command.env("CARGO_TARGET_DIR", into.join("target")).current_dir(into))?;
    fs::remove_dir_all(into.join("target")).context("removing what was built on the way")
}
