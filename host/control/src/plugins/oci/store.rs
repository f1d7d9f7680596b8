//! Plugins that were pulled, on disk: a restart needs no registry.
//!
//! A file says in its name which manifest it was pulled by, and what its own content is. The first cannot be told from the content, so nobody but this
//! process's user may be able to write it.

use std::fs;
use std::path::Path;

use wasm::{PrivateError, PrivateFolder};

use crate::plugins::digest::Digest;

const STAKES: &str = "who writes here decides which plugins run";

/// Pulled plugins in a private folder.
#[derive(Debug)]
pub struct Store(PrivateFolder);

impl Store {
    /// Opens a folder, making it if need be. `most` is how many bytes its files may have.
    pub fn open(folder: &Path, most: u64) -> Result<Self, PrivateError> {
        PrivateFolder::open(folder, "wasm", most, STAKES).map(Self)
    }

    /// Whether there is a plugin of this manifest.
    #[must_use]
    pub fn has(&self, manifest: &str) -> bool {
        self.0.find(manifest).is_some()
    }

    /// The plugin of a manifest. Whatever is wrong with a file, it is removed, and there is none.
    #[must_use]
    pub fn load(&self, manifest: &str) -> Option<Vec<u8>> {
        let path = self.0.find(manifest)?;
        let content = self.0.read(&path).map_err(|error| error.to_string()).and_then(|content| {
            let is_whole = self.0.place(&name(manifest, &content)) == path;
            if is_whole { Ok(content) } else { Err("it is not what was written".to_owned()) }
        });
        match content {
            Ok(content) => {
                self.0.used(&path);
                Some(content)
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), error, "a pulled plugin in the cache cannot be used: it is pulled anew");
                let _kept = fs::remove_file(&path);
                None
            }
        }
    }

    /// Keeps a plugin. Nothing depends on that but the next start, so a failure is only said.
    pub fn keep(&self, manifest: &str, content: &[u8]) {
        if let Err(error) = self.0.write(&name(manifest, content), content) {
            tracing::warn!(folder = %self.0.path().display(), %error, "a pulled plugin cannot be kept for the next start");
        }
    }
}

fn name(manifest: &str, content: &[u8]) -> String {
    format!("{manifest}-{}", Digest::of(content).whole())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn manifest(digit: u8) -> String {
        digit.to_string().repeat(64)
    }

    #[test]
    fn what_was_kept_is_found_by_its_manifest_alone() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&place.path().join("pulled"), 1 << 20).unwrap();
        assert_eq!(store.load(&manifest(1)), None);
        store.keep(&manifest(1), b"one");
        store.keep(&manifest(2), b"two");
        assert_eq!(store.load(&manifest(1)).as_deref(), Some(&b"one"[..]));
        assert!(store.has(&manifest(2)) && !store.has(&manifest(3)));
        let again = Store::open(&place.path().join("pulled"), 1 << 20).unwrap();
        assert_eq!(again.load(&manifest(2)).as_deref(), Some(&b"two"[..]));
    }

    #[test]
    fn what_was_changed_there_or_opened_to_others_is_pulled_anew() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::open(&place.path().join("pulled"), 1 << 20).unwrap();
        let damage: [fn(&Path); 2] = [
            |path| fs::write(path, b"0ne").unwrap(),
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap(),
        ];
        for damage in damage {
            store.keep(&manifest(1), b"one");
            damage(&store.0.find(&manifest(1)).unwrap());
            assert_eq!(store.load(&manifest(1)), None);
            assert!(!store.has(&manifest(1)), "it is removed");
        }
    }

    #[test]
    fn a_folder_of_others_is_refused_with_the_reason() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let why = Store::open(place.path(), 1).unwrap_err().to_string();
        assert!(why.contains("is open to other users: who writes here decides which plugins run"), "{why}");
    }
}
