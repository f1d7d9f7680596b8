//! Real OpenTelemetry SDKs as senders: their packages, installed by their own package managers from lock files.

use crate::cache::{Obtained, Recipe, obtain, run};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The folder that `NODE_PATH` has to name for tests/system/clients/node/send.js.
pub fn node_modules() -> Result<Obtained> {
    obtain(&Recipe {
        name: "node-client",
        needs: &["node", "npm"],
        folder: "tests/system/clients/node",
        files: &["package.json", "package-lock.json"],
        make: |sources, into| {
            for file in ["package.json", "package-lock.json"] {
                fs::copy(sources.join(file), into.join(file)).with_context(|| format!("copying {file}"))?;
            }
            run(Command::new("npm").current_dir(into).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))
        },
        product: "node_modules",
    })
}

/// The Python interpreter that has what tests/system/clients/python/send.py imports.
pub fn python() -> Result<Obtained> {
    obtain(&Recipe {
        name: "python-client",
        needs: &["python3"],
        folder: "tests/system/clients/python",
        files: &["requirements.txt"],
        make: |sources, into| make_venv(&sources.join("requirements.txt"), into),
        product: "venv/bin/python",
    })
}

pub(crate) fn make_venv(requirements: &Path, into: &Path) -> Result<()> {
    let venv = into.join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]);
    run(pip.arg(requirements))
}
