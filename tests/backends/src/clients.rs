//! Real OpenTelemetry SDKs as senders: their packages, installed by their own package managers from lock files.

mod browser;
mod java;

pub use browser::{Browser, browser};
pub use java::{JavaAgent, java_agent};

use crate::cache::{Obtained, Recipe, obtain, run};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The folder that `NODE_PATH` has to name for the programs in tests/system/clients/node.
pub fn node_modules() -> Result<Obtained> {
    obtain(&Recipe {
        name: "node-client",
        needs: &["node", "npm"],
        folder: "tests/system/clients/node",
        files: &NPM_FILES,
        make: npm_install,
        product: "node_modules",
    })
}

/// The same for the NestJS app in tests/system/clients/nest.
pub fn nest_modules() -> Result<Obtained> {
    obtain(&Recipe {
        name: "nest-client",
        needs: &["node", "npm"],
        folder: "tests/system/clients/nest",
        files: &NPM_FILES,
        make: npm_install,
        product: "node_modules",
    })
}

/// The Python interpreter that has what the programs in tests/system/clients/python import.
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

/// The program in tests/system/clients/go, built.
pub fn go_client() -> Result<Obtained> {
    obtain(&Recipe {
        name: "go-client",
        needs: &["go"],
        folder: "tests/system/clients/go",
        files: &["go.mod", "go.sum", "main.go"],
        make: |sources, into| run(crate::go::build(sources).arg("-o").arg(into.join("steady")).arg(".")),
        product: "steady",
    })
}

const NPM_FILES: [&str; 2] = ["package.json", "package-lock.json"];

fn npm_install(sources: &Path, into: &Path) -> Result<()> {
    for file in NPM_FILES {
        fs::copy(sources.join(file), into.join(file)).with_context(|| format!("copying {file}"))?;
    }
    run(Command::new("npm").current_dir(into).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))
}

pub(crate) fn make_venv(requirements: &Path, into: &Path) -> Result<()> {
    let venv = into.join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]);
    run(pip.arg(requirements))
}
