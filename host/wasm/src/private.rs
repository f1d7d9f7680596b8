//! A folder of files that nobody but this process's user can have written: what is kept for the next start, and trusted then.
//!
//! The folder is this user's and closed to others, and so is each file; none is a link. Files are written beside their place and moved there whole.
//! Beyond a bound of bytes those go that were used longest ago.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// What others may not do: anything at all.
const OTHERS: u32 = 0o077;

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// The system says no.
    #[error("{folder}: {error}")]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody else could put files there.
    #[error(
        "{folder} {why}: {stakes}, so the folder must be a folder of this user's alone (chown, chmod 0700), or name another one"
    )]
    NotPrivate {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// What others could do.
        stakes: &'static str,
    },
}

/// Files in a private folder.
#[derive(Debug)]
pub struct PrivateFolder {
    folder: PathBuf,
    /// How the names of its files end; whatever else is there is left alone.
    ending: &'static str,
    /// Bytes of all files.
    most: u64,
}

impl PrivateFolder {
    /// Opens a folder, making it if need be. `most` is how many bytes its files may have; `stakes` says in an error why it must be private.
    pub fn open(folder: &Path, ending: &'static str, most: u64, stakes: &'static str) -> Result<Self, PrivateError> {
        let io = |error| PrivateError::Io { folder: folder.to_owned(), error };
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
            return Err(PrivateError::NotPrivate { folder: folder.to_owned(), why, stakes });
        }
        forget_unfinished(folder);
        Ok(Self { folder: folder.to_owned(), ending, most })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Where a file of this name, without the ending, is or would be.
    #[must_use]
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.{}", self.ending))
    }

    /// The file whose name begins with `key` and a dash, if there is one.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<PathBuf> {
        let named = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix(key).map(|rest| rest.starts_with('-'));
        self.files().map(|(path, _)| path).find(|path| named(path) == Some(true))
    }

    /// Reads a file, which must be this user's, closed to others, and no link.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut file = File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & OTHERS != 0 {
            return Err(io::Error::other("it is not this user's alone"));
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok(content)
    }

    /// Notes the time of a file's last use. A folder that forgets that only forgets sooner.
    pub fn used(&self, path: &Path) {
        let _old = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// Writes a file of this name, without the ending, whole; then lets go what is beyond the bound.
    pub fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let written = write_whole(&self.place(name), content);
        self.forget_oldest();
        written
    }

    /// Its files, with what is known of each.
    pub(crate) fn files(&self) -> impl Iterator<Item = (PathBuf, fs::Metadata)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let path = entry.path();
            let is_ours = path.extension().is_some_and(|ending| ending == self.ending);
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

/// How files end that are being written.
pub const UNFINISHED: &str = "unfinished";

/// Writes a file of this user's alone, whole or not at all. Several may write the same one at once.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let unfinished = path.with_extension(format!("{}-{number}.{UNFINISHED}", std::process::id()));
    // What a crash of another process with this number has left is in the way of nobody.
    let _none = fs::remove_file(&unfinished);
    let written = (|| {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    })();
    if written.is_err() {
        let _none = fs::remove_file(&unfinished);
    }
    written
}

/// Lets go of what crashes have left of files that were being written: whatever is an hour old.
pub fn forget_unfinished(folder: &Path) {
    const OLD: Duration = Duration::from_hours(1);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_unfinished = path.extension().is_some_and(|ending| ending == UNFINISHED);
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_unfinished && age().is_some_and(|age| age >= OLD) {
            let _stays = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_write_the_same_file_and_one_of_them_stands_there_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared.cwasm");
        let contents: Vec<Vec<u8>> = (0..8).map(|number| vec![number; 100_000]).collect();
        std::thread::scope(|scope| {
            for content in &contents {
                scope.spawn(|| write_whole(&path, content).unwrap());
            }
        });
        assert!(contents.contains(&fs::read(&path).unwrap()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_crash_has_left_goes_and_what_is_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        for file in ["old.1-0.unfinished", "new.1-1.unfinished", "old.cwasm"] {
            fs::write(path(file), "x").unwrap();
        }
        for file in ["old.1-0.unfinished", "old.cwasm"] {
            let long_ago = SystemTime::now() - Duration::from_hours(2);
            File::options().write(true).open(path(file)).unwrap().set_modified(long_ago).unwrap();
        }
        forget_unfinished(folder.path());
        let left = ["old.1-0.unfinished", "new.1-1.unfinished", "old.cwasm"].map(|file| path(file).exists());
        assert_eq!(left, [false, true, true]);
    }
}
