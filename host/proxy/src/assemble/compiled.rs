//! Where compiled plugins are kept, and versions that the plugin folder no longer holds.

use std::env;
use std::path::PathBuf;

use anyhow::Result;
use control::config::plugins::{Cache, CacheFolder, Plugins};
use control::plugins::shelf::Shelf;
use wasm::CompileCache;

/// The cache that the configuration asks for. One that it names must be usable; the usual one is done without where it is not.
pub fn open(config: &Cache) -> Result<Option<CompileCache>> {
    let usual = match &config.folder {
        CacheFolder::Nowhere => return Ok(None),
        CacheFolder::At(folder) => {
            let cache = CompileCache::open(folder, config.size);
            return Ok(Some(cache.map_err(|error| anyhow::anyhow!("plugins.cache.folder: {error}"))?));
        }
        CacheFolder::Usual => usual(),
    };
    let Some(folder) = usual else { return Ok(None) };
    match CompileCache::open(&folder, config.size) {
        Ok(cache) => Ok(Some(cache)),
        Err(error) => {
            tracing::warn!(%error, "compiled plugins are not kept for the next start; plugins.cache.folder can name another folder, or none");
            Ok(None)
        }
    }
}

/// The shelf of this plugin folder, beside what was compiled: that folder is this user's alone.
pub fn shelf(cache: Option<&CompileCache>, plugins: &Plugins) -> Shelf {
    let Some(cache) = cache else { return Shelf::default() };
    let folder = cache.folder().join("versions");
    Shelf::open(&folder, &plugins.folder, plugins.cache.size).unwrap_or_else(|error| {
        tracing::warn!(folder = %folder.display(), %error, "a rollback or a promotion will not be known after a restart");
        Shelf::default()
    })
}

/// Where this system keeps such things: systemd says so by `CacheDirectory=`, others by the base directory specification.
fn usual() -> Option<PathBuf> {
    let of = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = of("CACHE_DIRECTORY")
        .or_else(|| Some(of("XDG_CACHE_HOME")?.join("tracemill")))
        .or_else(|| Some(of("HOME")?.join(".cache/tracemill")))?;
    Some(folder.join("compiled")).filter(|folder| folder.is_absolute())
}
