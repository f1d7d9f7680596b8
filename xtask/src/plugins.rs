//! `cargo xtask plugins`: WebAssembly from the official plugins, the tests' guests and the example.

use crate::report::{heading, say};
use crate::{shell, toolchain};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The largest file of an official plugin; those that carry a regex engine are named with a bound of their own.
const LARGEST: u64 = 200_000;
const LARGEST_WITH_REGEX: &[(&str, u64)] = &[("scrub-pii", 800_000)];

/// Builds all and checks the sizes of the official ones.
pub fn build() -> Result<()> {
    toolchain::ensure_wasm_target()?;
    heading("plugins");
    let built = build_workspace("plugins", "target/plugins")?;
    check_sizes(&built)?;
    for (folder, into) in [("tests/guests", "target/guests"), ("examples/mark-slow", "target/examples")] {
        if shell::has_package(folder) {
            build_workspace(folder, into)?;
        }
    }
    Ok(())
}

/// A built file: the plugin's name and its size in bytes.
type Built = (String, u64);

fn build_workspace(folder: &str, into: &str) -> Result<Vec<Built>> {
    shell::run(shell::cargo_in(folder, "build").args(["--quiet", "--release", "--target", toolchain::WASM]))?;
    let root = backends::root();
    let products = root.join("target").join(folder.replace('/', "-")).join(toolchain::WASM).join("release");
    fs::create_dir_all(root.join(into))?;
    let mut built = Vec::new();
    for name in packages(folder)? {
        let from = products.join(format!("{}.wasm", name.replace('-', "_")));
        let to = root.join(into).join(format!("{name}.wasm"));
        let size = replace(&from, &to).with_context(|| format!("copying the plugin {name}"))?;
        say(format!("{into}/{name}.wasm  {size} bytes"));
        built.push((name, size));
    }
    ensure!(!built.is_empty(), "no plugin was built from {folder}");
    Ok(built)
}

/// Copies by renaming, so that a proxy that watches the folder never sees half a file.
fn replace(from: &Path, to: &Path) -> Result<u64> {
    let unfinished = to.with_extension("unfinished");
    let size = fs::copy(from, &unfinished).with_context(|| format!("reading {}", from.display()))?;
    fs::rename(&unfinished, to)?;
    Ok(size)
}

/// The packages of a workspace that become a WebAssembly file.
fn packages(folder: &str) -> Result<Vec<String>> {
    let manifest = backends::root().join(folder).join("Cargo.toml");
    let mut command = shell::cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(manifest);
    let metadata: Value = serde_json::from_str(&shell::output(&mut command)?)?;
    let packages = metadata["packages"].as_array().context("cargo metadata without packages")?;
    let plugins = packages.iter().filter(|package| is_plugin(package));
    Ok(plugins.filter_map(|package| package["name"].as_str()).map(str::to_owned).collect())
}

fn is_plugin(package: &Value) -> bool {
    let targets = package["targets"].as_array().into_iter().flatten();
    let mut kinds = targets.flat_map(|target| target["crate_types"].as_array().into_iter().flatten());
    kinds.any(|kind| kind == "cdylib")
}

fn check_sizes(built: &[Built]) -> Result<()> {
    for (name, size) in built {
        let own = LARGEST_WITH_REGEX.iter().find(|(plugin, _)| plugin == name);
        let largest = own.map_or(LARGEST, |(_, bytes)| *bytes);
        if *size > largest {
            bail!("the plugin {name} has {size} bytes; {largest} are allowed");
        }
    }
    Ok(())
}
