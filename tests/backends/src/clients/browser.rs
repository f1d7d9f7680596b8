//! A web page with the SDK for browsers, bundled, and a Chromium to open it: both from npm packages, nothing else is fetched.

use super::npm_install;
use crate::cache::{Obtained, Recipe, obtain, run};
use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PAGE: &str = "page.js";
const UNPACK: &str = "unpack.mjs";

/// Where its parts are, below what was obtained.
#[derive(Debug)]
pub struct Browser {
    /// What `NODE_PATH` has to name for tests/system/clients/browser/open.js.
    pub modules: PathBuf,
    /// Chromium, unpacked.
    pub chromium: PathBuf,
    /// The bundle.
    pub page: PathBuf,
}

impl Browser {
    /// The parts in this folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            modules: folder.join("node_modules"),
            chromium: folder.join("chromium"),
            page: folder.join("bundle").join(PAGE),
        }
    }
}

/// The folder with a [`Browser`].
pub fn browser() -> Result<Obtained> {
    obtain(&Recipe {
        name: "browser-client",
        needs: &["node", "npm"],
        folder: "tests/system/clients/browser",
        files: &["package.json", "package-lock.json", PAGE, UNPACK],
        make,
        product: "",
    })
}

fn make(sources: &Path, into: &Path) -> Result<()> {
    npm_install(sources, into)?;
    let Browser { modules, chromium, page } = Browser::in_folder(into);
    for file in [PAGE, UNPACK] {
        fs::copy(sources.join(file), into.join(file)).with_context(|| format!("copying {file}"))?;
    }
    let mut bundle = Command::new("node");
    bundle.current_dir(into).arg(modules.join("esbuild/bin/esbuild")).args([PAGE, "--bundle"]);
    run(bundle.arg(format!("--outfile={}", page.display())))?;
    fs::create_dir(&chromium)?;
    let mut unpack = Command::new("node");
    // The package unpacks Chromium's libraries only where it believes to be on the machines that it is made for.
    unpack.current_dir(into).arg(UNPACK).env("TMPDIR", &chromium).env("AWS_EXECUTION_ENV", "AWS_Lambda_nodejs20.x");
    run(&mut unpack)
}
