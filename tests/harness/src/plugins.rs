//! Plugin files: where built ones are, and how they get into a folder.

use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// An official plugin, as `cargo xtask plugins` built it.
pub fn official(name: &str) -> Result<PathBuf> {
    built("target/plugins", name)
}

/// A guest of the tests, built by the same command.
pub fn guest(name: &str) -> Result<PathBuf> {
    built("target/guests", name)
}

/// A plugin of examples/, likewise.
pub fn example(name: &str) -> Result<PathBuf> {
    built("target/examples", name)
}

fn built(folder: &str, name: &str) -> Result<PathBuf> {
    let path = backends::root().join(folder).join(name).with_extension("wasm");
    ensure!(path.exists(), "{} is not there: run `cargo xtask plugins`", path.display());
    Ok(path)
}

/// Puts a file into the folder as a careful operator does: whole, by renaming.
pub fn install(folder: &Path, file: &str, bytes: &[u8]) -> Result<()> {
    let unfinished = folder.join(format!(".{file}.unfinished"));
    fs::write(&unfinished, bytes).with_context(|| format!("writing {}", unfinished.display()))?;
    fs::rename(&unfinished, folder.join(file)).with_context(|| format!("installing {file}"))
}

/// A plugin that says it was built from a contract of another version.
pub fn of_another_contract(plugin: &[u8]) -> Result<Vec<u8>> {
    const VERSION: &[u8] = b"@0.2.0";
    let mut bytes = plugin.to_vec();
    let places: Vec<_> = (0..bytes.len() - VERSION.len()).filter(|at| bytes[*at..].starts_with(VERSION)).collect();
    ensure!(!places.is_empty(), "the plugin names no version of a contract");
    for at in places {
        bytes[at..at + VERSION.len()].copy_from_slice(b"@9.7.0");
    }
    Ok(bytes)
}

/// The guest `stamp`, made to stamp `version` (at most four digits) on every span: another file for each version.
pub fn stamp(version: u32) -> Result<Vec<u8>> {
    const MARK: &[u8] = b"stamp-version-0000";
    let path = guest("stamp")?;
    let mut bytes = fs::read(&path)?;
    let places: Vec<_> =
        (0..bytes.len().saturating_sub(MARK.len())).filter(|at| bytes[*at..].starts_with(MARK)).collect();
    ensure!(!places.is_empty(), "{} holds no mark to replace", path.display());
    ensure!(version < 10_000, "a version of more than four digits");
    for at in places {
        bytes[at..at + MARK.len()].copy_from_slice(format!("stamp-version-{version:04}").as_bytes());
    }
    Ok(bytes)
}

/// The same plugin as another file: with a custom section more, that says `version`.
pub fn renewed(plugin: &[u8], version: u32) -> Vec<u8> {
    const NAME: &[u8] = b"renewed";
    let version = version.to_le_bytes();
    let length = 1 + NAME.len() + version.len();
    let length = u8::try_from(length).expect("a short section");
    [plugin, &[0, length, NAME.len() as u8], NAME, &version].concat()
}
