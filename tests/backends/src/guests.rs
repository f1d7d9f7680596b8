//! Guests of other languages, built from the contract with their own tool chains.

use crate::cache::{Obtained, Recipe, obtain, run};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

const CONTRACT: &str = "../../../wit/0.1.0/tracemill.wit";

/// The guest in JavaScript: tests/guests/javascript/guest.js as a component.
pub fn javascript_guest() -> Result<Obtained> {
    obtain(&Recipe {
        name: "guest-javascript",
        needs: &["node", "npm"],
        folder: "tests/guests/javascript",
        files: &["package.json", "package-lock.json", "build.mjs", "guest.js", CONTRACT],
        make: make_javascript,
        product: "guest.wasm",
    })
}

fn make_javascript(sources: &Path, into: &Path) -> Result<()> {
    for file in ["package.json", "package-lock.json", "build.mjs", "guest.js"] {
        fs::copy(sources.join(file), into.join(file)).with_context(|| format!("copying {file}"))?;
    }
    run(Command::new("npm").current_dir(into).args(["ci", "--no-audit", "--no-fund"]))?;
    let build = ["build.mjs", "guest.js"];
    run(Command::new("node").current_dir(into).args(build).arg(contract(sources)?).arg("guest.wasm"))?;
    // The tool chain is large, and the guest does not need it any more.
    fs::remove_dir_all(into.join("node_modules")).context("removing the tool chain")
}

/// The guest in Python: tests/guests/python/guest.py as a component.
pub fn python_guest() -> Result<Obtained> {
    obtain(&Recipe {
        name: "guest-python",
        needs: &["python3"],
        folder: "tests/guests/python",
        files: &["requirements.txt", "guest.py", CONTRACT],
        make: make_python,
        product: "guest.wasm",
    })
}

fn make_python(sources: &Path, into: &Path) -> Result<()> {
    crate::clients::make_venv(&sources.join("requirements.txt"), into)?;
    let mut command = Command::new(into.join("venv/bin/componentize-py"));
    command.current_dir(sources).env("PYTHONDONTWRITEBYTECODE", "1").arg("-d").arg(contract(sources)?);
    command.args(["-w", "span-processor", "componentize", "guest", "-o"]).arg(into.join("guest.wasm"));
    run(&mut command)
}

fn contract(sources: &Path) -> Result<std::path::PathBuf> {
    sources.join("../../../wit/0.1.0").canonicalize().context("the contract's folder")
}
