//! Compiled plugins on disk: a restart, and a plugin that comes back, need no compiler.
//!
//! A compiled plugin is native code, and wasmtime looks at it only lightly before it runs it. So nobody but this process's user may be able to
//! write it: the folder is this user's and closed to others, and so is each file, which says in its name what it was made from, for
//! which engine, and the check sum of its own content. A user's own precompiled code is never loaded: what is compiled comes from
//! [`Checked::compile`](crate::Checked::compile) alone.
//!
//! Invariant: native code is loaded only from a file that this process's user alone could have written, and that still is what it was.

use std::fs::{self, DirBuilder, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// What others may not do: anything at all.
const OTHERS: u32 = 0o077;
const ENDING: &str = "cwasm";

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system says no.
    #[error("{folder}: {error}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else could put code there.
    #[error(
        "{folder} {why}: compiled plugins are native code, so the folder must be a folder of this user's alone (chown, chmod 0700), or name \
         another one"
    )]
    NotPrivate {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Compiled plugins in a private folder.
#[derive(Debug)]
pub struct CompileCache {
    folder: PathBuf,
    /// Bytes of all files; beyond it those go that were used longest ago.
    most: u64,
}

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
    pub fn open(folder: &Path, most: u64) -> Result<Self, CacheError> {
        let io = |error| CacheError::Io { folder: folder.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        // Not what a link points to: whoever may change the link would choose the folder.
        let found = fs::symlink_metadata(folder).map_err(io)?;
        let why = if !found.is_dir() {
            Some("is no folder")
        } else if found.uid() != rustix::process::geteuid().as_raw() {
            Some("belongs to another user")
        } else if found.mode() & OTHERS != 0 {
            Some("is open to other users")
        } else {
            None
        };
        if let Some(why) = why {
            return Err(CacheError::NotPrivate { folder: folder.to_owned(), why });
        }
        Ok(Self { folder: folder.to_owned(), most })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was compiled before. Whatever is wrong with a file, it is removed, and there is none.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, key: &Key) -> Option<Component> {
        let path = self.find(key)?;
        match self.read(engine, key, &path) {
            Ok(component) => {
                // The time of its last use; a cache that forgets that only forgets sooner.
                let _old = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
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
        let named = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix(&key.0).map(|rest| rest.starts_with('-'));
        self.files().map(|(path, _)| path).find(|path| named(path) == Some(true))
    }

    fn read(&self, engine: &wasmtime::Engine, key: &Key, path: &Path) -> Result<Component, String> {
        let said = |error: io::Error| error.to_string();
        let mut file = private(path).map_err(said)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(said)?;
        if self.path(key, &content) != path {
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
            .and_then(|content| self.write(key, &content).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::warn!(folder = %self.folder.display(), error, "a compiled plugin cannot be kept for the next start");
        }
        self.forget_oldest();
    }

    fn write(&self, key: &Key, content: &[u8]) -> io::Result<()> {
        let path = self.path(key, content);
        let unfinished = path.with_extension("unfinished");
        // What a crash has left is in the way of nobody.
        let _none = fs::remove_file(&unfinished);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)
    }

    fn path(&self, key: &Key, content: &[u8]) -> PathBuf {
        self.folder.join(format!("{}-{}.{ENDING}", key.0, hex(&Sha256::digest(content))))
    }

    /// The compiled plugins, with what is known of each.
    fn files(&self) -> impl Iterator<Item = (PathBuf, fs::Metadata)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let path = entry.path();
            let is_ours = path.extension().is_some_and(|ending| ending == ENDING);
            Some((path, entry.metadata().ok()?)).filter(|_| is_ours)
        })
    }

    fn forget_oldest(&self) {
        let mut files: Vec<_> = self.files().collect();
        files.sort_by_key(|(_, meta)| meta.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        let mut all: u64 = files.iter().map(|(_, meta)| meta.len()).sum();
        for (path, meta) in files {
            if all <= self.most {
                return;
            }
            if fs::remove_file(&path).is_ok() {
                all -= meta.len();
            }
        }
    }
}

/// Opens a file that is this user's, closed to others, and no link.
fn private(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & OTHERS != 0 {
        return Err(io::Error::other("it is not this user's alone"));
    }
    Ok(file)
}

#[expect(
    unsafe_code,
    reason = "wasmtime's cache: native code, from a file that only this process's user can have written"
)]
fn deserialize(engine: &wasmtime::Engine, path: &Path) -> Result<Component, String> {
    // SAFETY: the file was written by `CompileCache::write` from what this engine's kind has compiled: the folder and the file
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
