//! Where things are kept from one start to the next: compiled plugins, those that were pulled, and versions that the plugin folder no longer
//! holds.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use control::config::plugins::{Cache, CacheFolder, Plugins};
use control::plugins::oci::{Puller, Store};
use control::plugins::shelf::Shelf;
use wasm::{CompileCache, PrivateError};

/// The compiled plugins. A folder that the configuration names must be usable; the usual one is done without where it is not.
pub fn compiled(config: &Cache) -> Result<Option<CompileCache>> {
    match &config.folder {
        CacheFolder::Nowhere => Ok(None),
        CacheFolder::At(folder) => named("plugins.cache.folder", CompileCache::open(folder, config.size)).map(Some),
        CacheFolder::Usual => Ok(usual("compiled", "plugins.cache.folder", |at| CompileCache::open(at, config.size))),
    }
}

/// The pulled plugins, likewise; but the usual folder is made only where a plugin is to be pulled.
pub fn pulled(config: &Cache) -> Result<Puller> {
    let (key, size) = ("plugins.oci.cache.folder", config.size);
    Ok(match &config.folder {
        CacheFolder::Nowhere => Puller::default(),
        CacheFolder::At(folder) => {
            let store = named(key, Store::open(folder, size))?;
            Puller::new(move || Some(store))
        }
        CacheFolder::Usual => Puller::new(move || usual("pulled", key, |at| Store::open(at, size))),
    })
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

fn named<T>(key: &str, opened: Result<T, PrivateError>) -> Result<T> {
    opened.map_err(|error| anyhow!("{key}: {error}"))
}

fn usual<T>(name: &str, key: &str, open: impl FnOnce(&Path) -> Result<T, PrivateError>) -> Option<T> {
    let opened = open(&usual_folder()?.join(name));
    let said = |error: &PrivateError| tracing::warn!(%error, "{name} plugins are not kept for the next start; {key} can name another folder, or none");
    opened.inspect_err(said).ok()
}

/// Where this system keeps such things: systemd says so by `CacheDirectory=`, others by the base directory specification.
fn usual_folder() -> Option<PathBuf> {
    let of = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = of("CACHE_DIRECTORY")
        .or_else(|| Some(of("XDG_CACHE_HOME")?.join("tracemill")))
        .or_else(|| Some(of("HOME")?.join(".cache/tracemill")))?;
    Some(folder).filter(|folder| folder.is_absolute())
}
