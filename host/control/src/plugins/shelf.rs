//! What the plugin folder no longer holds and a restart must still find: the version that counts while another one is tried or was rolled
//! back, and which one that is. In a private folder, by content.
//!
//! Nothing that runs depends on it: without it a restart takes what the plugin folder says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::plan::Recipe;

/// Where versions are kept for one plugin folder; `None` keeps nothing.
#[derive(Debug, Default)]
pub struct Shelf {
    folder: Option<PathBuf>,
}

/// Which version of a stage counts, where the plugin folder does not say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version that counts.
    pub current: Key,
    /// The version in the folder that was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Key>,
}

/// What a version is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The plugin's content.
    pub wasm: Digest,
    /// The sidecar's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Digest>,
}

impl From<&Recipe> for Key {
    fn from(recipe: &Recipe) -> Self {
        Self { wasm: recipe.wasm, sidecar: recipe.sidecar }
    }
}

impl Shelf {
    /// Opens the shelf of a plugin folder among those in `folder`, which must be this user's alone; all of them together may have `most`
    /// bytes, and those go first that were used longest ago.
    pub fn open(folder: &Path, plugins: &Path, most: u64) -> io::Result<Self> {
        let plugins = fs::canonicalize(plugins).unwrap_or_else(|_| plugins.to_owned());
        let own = folder.join(Digest::of(plugins.as_os_str().as_encoded_bytes()).short());
        DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
        // The time of its last use.
        File::open(&own)?.set_modified(SystemTime::now())?;
        forget_oldest(folder, &own, most);
        Ok(Self { folder: Some(own) })
    }

    /// Whether it keeps anything.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.folder.is_some()
    }

    /// Keeps the files of a version. That they cannot be kept is said, and changes nothing.
    pub fn put(&self, recipe: &Recipe, wasm: &[u8], sidecar: Option<&[u8]>) {
        let files = [Some((self.wasm(recipe), wasm)), self.sidecar(recipe).map(Some).zip(sidecar)];
        for (path, content) in files.into_iter().flatten() {
            let Some(path) = path.filter(|path| !path.exists()) else { continue };
            if let Err(error) = write(&path, content) {
                tracing::warn!(file = %path.display(), %error, "this version cannot be kept for a rollback after a restart");
            }
        }
    }

    /// Where the plugin of a version is, if it is kept.
    #[must_use]
    pub fn wasm(&self, recipe: &Recipe) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}.wasm", recipe.wasm.whole())))
    }

    /// Likewise, its sidecar.
    #[must_use]
    pub fn sidecar(&self, recipe: &Recipe) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}.yaml", recipe.sidecar?.whole())))
    }

    /// What was noted before the last end, by stage. What cannot be read is as if it was never noted, and is said.
    #[must_use]
    pub fn records(&self) -> BTreeMap<String, Record> {
        let files = self.files().filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        let read = |path: PathBuf| {
            let stage = path.file_stem()?.to_str()?.to_owned();
            let text = fs::read_to_string(&path).map_err(|error| error.to_string());
            match text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string())) {
                Ok(record) => Some((stage, record)),
                Err(error) => {
                    tracing::warn!(file = %path.display(), error, "which version counts cannot be read: the plugin folder says it");
                    None
                }
            }
        };
        files.filter_map(read).collect()
    }

    /// Notes which version of a stage counts; `None`: the one that the plugin folder says.
    pub fn note(&self, stage: &str, record: Option<&Record>) {
        let Some(folder) = &self.folder else { return };
        let path = folder.join(format!("{stage}.json"));
        let done = match record {
            Some(record) => {
                let text = serde_json::to_vec_pretty(record).expect("digests are texts");
                write(&path, &text)
            }
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        if let Err(error) = done {
            tracing::warn!(file = %path.display(), %error, "which version counts cannot be noted: after a restart the plugin folder says it");
        }
    }

    /// Lets go of all versions but these.
    pub fn keep_only(&self, recipes: &[&Recipe]) {
        let kept: BTreeSet<PathBuf> =
            recipes.iter().flat_map(|recipe| [self.wasm(recipe), self.sidecar(recipe)]).flatten().collect();
        let is_content = |path: &PathBuf| path.extension().is_some_and(|ending| ending != "json");
        for path in self.files().filter(is_content).filter(|path| !kept.contains(path)) {
            // Left over, it only takes room.
            let _stays = fs::remove_file(path);
        }
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        files(self.folder.as_deref())
    }
}

fn files(folder: Option<&Path>) -> impl Iterator<Item = PathBuf> {
    folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Writes a file whole or not at all.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    // What a crash has left is in the way of nobody.
    let _none = fs::remove_file(&unfinished);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}

/// Lets go of the shelves of other plugin folders that were used longest ago, until all have at most `most` bytes.
fn forget_oldest(folder: &Path, own: &Path, most: u64) {
    let size = |shelf: &Path| files(Some(shelf)).filter_map(|file| Some(file.metadata().ok()?.len())).sum::<u64>();
    let mut shelves: Vec<_> = files(Some(folder))
        .filter(|shelf| shelf.is_dir())
        .map(|shelf| (shelf.metadata().and_then(|meta| meta.modified()).ok(), size(&shelf), shelf))
        .collect();
    shelves.sort();
    let mut all: u64 = shelves.iter().map(|(_, size, _)| size).sum();
    for (_, size, shelf) in shelves {
        if all > most && shelf != own && fs::remove_dir_all(&shelf).is_ok() {
            all -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn recipe(wasm: &str, sidecar: Option<&str>) -> Recipe {
        let digest = |text: &str| Digest::of(text.as_bytes());
        Recipe { wasm: digest(wasm), sidecar: sidecar.map(digest), defaults: 0 }
    }

    fn open(folder: &Path, plugins: &str, most: u64) -> Shelf {
        Shelf::open(folder, Path::new(plugins), most).unwrap()
    }

    #[test]
    fn a_restart_finds_what_was_noted_and_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (recipe("one", Some("mode: live")), recipe("other", None));
        let shelf = open(folder.path(), "/a/plugins", 1 << 20);
        shelf.put(&one, b"one", Some(b"mode: live"));
        shelf.put(&other, b"other", None);
        let record = Record { current: (&one).into(), held: Some((&other).into()) };
        shelf.note("scrub", Some(&record));
        shelf.note("gone", Some(&record));
        shelf.note("gone", None);
        shelf.note("never", None);

        let again = open(folder.path(), "/a/plugins", 1 << 20);
        assert_eq!(again.records(), BTreeMap::from([("scrub".to_owned(), record)]));
        let (wasm, sidecar) = (again.wasm(&one).unwrap(), again.sidecar(&one).unwrap());
        assert_eq!((fs::read(&wasm).unwrap(), fs::read(&sidecar).unwrap()), (b"one".to_vec(), b"mode: live".to_vec()));
        assert_eq!(fs::metadata(&wasm).unwrap().mode() & 0o777, 0o600);
        again.keep_only(&[&one]);
        assert!(wasm.exists() && sidecar.exists() && !again.wasm(&other).unwrap().exists());
        assert_eq!(again.records().len(), 1, "what is noted stays");
        assert!(open(folder.path(), "/b/plugins", 1 << 20).records().is_empty(), "another folder has its own");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = open(folder.path(), "/a/plugins", 1 << 20);
        fs::write(shelf.folder.as_ref().unwrap().join("scrub.json"), b"{ not json").unwrap();
        assert!(shelf.records().is_empty());
    }

    #[test]
    fn shelves_that_nobody_uses_go_when_there_is_no_room() {
        let folder = tempfile::tempdir().unwrap();
        for (age, plugins) in [(200, "/old"), (100, "/newer")] {
            let shelf = open(folder.path(), plugins, 1 << 20);
            shelf.put(&recipe(plugins, None), &[0; 1000], None);
            let then = SystemTime::now() - std::time::Duration::from_secs(age);
            File::open(shelf.folder.unwrap()).unwrap().set_modified(then).unwrap();
        }
        let own = open(folder.path(), "/own", 1500);
        assert_eq!(files(Some(folder.path())).count(), 2, "the oldest has gone");
        own.put(&recipe("own", None), &[0; 2000], None);
        let own = open(folder.path(), "/own", 1500);
        assert_eq!(files(Some(folder.path())).collect::<Vec<_>>(), [own.folder.clone().unwrap()], "its own stays");
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let shelf = Shelf::default();
        shelf.put(&recipe("one", None), b"one", None);
        shelf.note("a", None);
        shelf.keep_only(&[]);
        assert!(shelf.records().is_empty() && shelf.wasm(&recipe("one", None)).is_none());
    }
}
