//! Compiled plugins on disk: a restart, and a plugin that comes back, need no compiler.
//!
//! A compiled plugin is native code, and wasmtime looks at it only lightly before it runs it. So nobody but this process's user may be able to
//! write it: the folder is this user's and closed to others, and so is each file, which says in its name what it was made from, for
//! which engine, and the check sum of its own content. A user's own precompiled code is never loaded: what is compiled comes from
//! [`Checked::compile`](crate::Checked::compile) alone.
//!
//! Invariant: native code is loaded only from a file that this process's user alone could have written, and that still is what it was.

use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use crate::private::{PrivateError, PrivateFolder};

const STAKES: &str = "compiled plugins are native code";

/// Compiled plugins in a private folder.
#[derive(Debug)]
pub struct CompileCache(PrivateFolder);

/// One compiled plugin: what it was made from, and for which engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// Of a component's bytes, for an engine of these settings on this machine.
    pub fn of(engine: &wasmtime::Engine, component: &[u8]) -> Self {
        let mut made_for = Sha(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut made_for);
        let (source, made_for) = (Sha256::digest(component), made_for.0.finalize());
        Self(format!("{}-{}", hex(&source), hex(&made_for[..8])))
    }
}

impl CompileCache {
    /// Opens a folder, making it if need be. `most` is how many bytes its files may have.
    pub fn open(folder: &Path, most: u64) -> Result<Self, PrivateError> {
        PrivateFolder::open(folder, "cwasm", most, STAKES).map(Self)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// What was compiled before. Whatever is wrong with a file, it is removed, and there is none.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, key: &Key) -> Option<Component> {
        let path = self.find(key)?;
        match self.read(engine, key, &path) {
            Ok(component) => {
                self.0.used(&path);
                Some(component)
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), error, "a compiled plugin in the cache cannot be used: it is compiled anew");
                let _kept = fs::remove_file(&path);
                None
            }
        }
    }

    fn find(&self, key: &Key) -> Option<PathBuf> {
        self.0.find(&key.0)
    }

    fn read(&self, engine: &wasmtime::Engine, key: &Key, path: &Path) -> Result<Component, String> {
        let content = self.0.read(path).map_err(|error| error.to_string())?;
        if self.0.place(&name(key, &content)) != path {
            return Err("it is not what was written".to_owned());
        }
        drop(content);
        deserialize(engine, path)
    }

    /// Keeps what was compiled. Nothing depends on that, so a failure is only said.
    pub(crate) fn store(&self, key: &Key, component: &Component) {
        let written = component
            .serialize()
            .map_err(|error| format!("{error:#}"))
            .and_then(|content| self.0.write(&name(key, &content), &content).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::warn!(folder = %self.folder().display(), error, "a compiled plugin cannot be kept for the next start");
        }
    }
}

fn name(key: &Key, content: &[u8]) -> String {
    format!("{}-{}", key.0, hex(&Sha256::digest(content)))
}

#[expect(
    unsafe_code,
    reason = "wasmtime's cache: native code, from a file that only this process's user can have written"
)]
fn deserialize(engine: &wasmtime::Engine, path: &Path) -> Result<Component, String> {
    // SAFETY: the file was written by `CompileCache::store` from what this engine's kind has compiled: the folder and the file
    // belong to this user and are closed to all others, and the content has the check sum that its name holds.
    unsafe { Component::deserialize_file(engine, path) }.map_err(|error| format!("{error:#}"))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

/// A hash that is the same in every build.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest[..8].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
    }
}

#[cfg(test)]
mod tests;
