//! A folder of finished things, each named by the hash of what it was made from.
//!
//! Several test processes may want the same thing at once: a file lock lets one make it while the others wait.

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How one thing is made.
pub struct Recipe {
    /// Its name in the cache folder.
    pub name: &'static str,
    /// The programs that making and running it take.
    pub needs: &'static [&'static str],
    /// Where its sources are, relative to the root of the checkout.
    pub folder: &'static str,
    /// The files in `folder` that decide what comes out.
    pub files: &'static [&'static str],
    /// Makes it: from the folder with the sources, into an empty folder.
    pub make: fn(&Path, &Path) -> Result<()>,
    /// What is wanted from that folder.
    pub product: &'static str,
}

/// What became of a wish.
#[derive(Debug, Clone)]
pub enum Obtained {
    /// It is there.
    Ready(PathBuf),
    /// It cannot be made here, because this program is missing.
    Missing(&'static str),
}

impl Obtained {
    /// The path, or an error: for tests that run only where they are asked for, and so are never left out.
    pub fn or_fail(self, who: &str) -> Result<PathBuf> {
        match self {
            Self::Ready(path) => Ok(path),
            Self::Missing(program) => bail!("{who} needs `{program}`, which is not on the PATH"),
        }
    }

    /// The path, or nothing after a loud line that `who` was skipped. In CI, where Go must be there, that is an error.
    pub fn or_skip(self, who: &str) -> Result<Option<PathBuf>> {
        self.or_skip_unless(required(), who)
    }

    fn or_skip_unless(self, required: bool, who: &str) -> Result<Option<PathBuf>> {
        match self {
            Self::Ready(path) => Ok(Some(path)),
            Self::Missing(program) if required => bail!("{who} needs `{program}`, which must be there when CI=true"),
            Self::Missing(program) => {
                loudly(&skipped(who, program));
                Ok(None)
            }
        }
    }

    /// The same for what may be missing in CI too: Node and Python.
    pub fn or_skip_optional(self, who: &str) -> Option<PathBuf> {
        match self {
            Self::Ready(path) => Some(path),
            Self::Missing(program) => {
                loudly(&skipped(who, program));
                None
            }
        }
    }
}

/// Whether a missing tool chain is an error: in CI nothing is skipped.
pub fn required() -> bool {
    is_ci(std::env::var("CI").ok().as_deref())
}

fn is_ci(variable: Option<&str>) -> bool {
    matches!(variable, Some("true" | "1"))
}

/// Whether a program of this name is on the PATH.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Makes what the recipe says, or finds what was made before from the same files.
pub fn obtain(recipe: &Recipe) -> Result<Obtained> {
    let sources = crate::root().join(recipe.folder);
    let folder = home()?.join(format!("{}-{}", recipe.name, key(&sources, recipe.files)?));
    let product = folder.join(recipe.product);
    let finished = folder.join(".finished");
    if finished.exists() {
        return Ok(Obtained::Ready(product));
    }
    if let Some(missing) = recipe.needs.iter().find(|program| !on_path(program)) {
        return Ok(Obtained::Missing(missing));
    }
    let _lock = lock(&folder)?;
    if !finished.exists() {
        make(recipe, &sources, &folder)?;
        File::create(&finished).context("marking the thing as finished")?;
    }
    Ok(Obtained::Ready(product))
}

fn make(recipe: &Recipe, sources: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).context("clearing what an interrupted build left")?;
    }
    fs::create_dir_all(folder)?;
    loudly(&format!("making {} once (a few minutes), into {}", recipe.name, folder.display()));
    (recipe.make)(sources, folder).with_context(|| format!("making {} from {}", recipe.name, recipe.folder))
}

fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder.parent().expect("a cache folder has a parent"))?;
    let file = File::create(folder.with_extension("lock"))?;
    file.lock().context("waiting for another process that makes the same")?;
    Ok(file)
}

fn home() -> Result<PathBuf> {
    if let Some(cache) = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        return Ok(Path::new(&cache).join("tracemill"));
    }
    let home = std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/tracemill"))
}

fn key(folder: &Path, files: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        let bytes = fs::read(folder.join(file)).with_context(|| format!("reading {file}"))?;
        hash.update(file.as_bytes());
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    Ok(crate::hex(&hash.finalize()[..8]))
}

/// Runs a command to its end; its output is shown only when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command.output().with_context(|| format!("starting {shown}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    bail!("{shown} failed ({}):\n{}", output.status, String::from_utf8_lossy(&said))
}

fn skipped(who: &str, program: &str) -> String {
    format!("SKIPPED {who}: `{program}` is not on the PATH")
}

/// A line that a test runner's capturing does not hide.
fn loudly(line: &str) {
    use std::io::Write as _;
    // A closed standard error is no reason to fail.
    drop(writeln!(std::io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests;
