//! `cargo xtask plugins`: WebAssembly from the official plugins, the tests' guests and the example.

mod check;

use crate::report::{heading, say};
use crate::{shell, toolchain};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Builds all, and checks what others may copy: the official ones and the example.
pub fn build() -> Result<()> {
    toolchain::ensure_target(toolchain::WASM)?;
    heading("plugins");
    check_all(&build_workspace("plugins", "target/plugins")?)?;
    check_all(&build_workspace("examples/mark-slow", "target/examples")?)?;
    // Some of these do on purpose what no plugin may.
    build_workspace("tests/guests", "target/guests")?;
    Ok(())
}

/// A built file: the plugin's name and where it is.
type Built = (String, PathBuf);

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
        built.push((name, to));
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

fn check_all(built: &[Built]) -> Result<()> {
    for (name, file) in built {
        check::check(name, &fs::read(file)?).with_context(|| format!("the plugin {name} is not as it should be"))?;
    }
    Ok(())
}
