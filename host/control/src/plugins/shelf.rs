//! What the plugin folder no longer holds and a restart must still find: the version that counts while another one is tried or was rolled
//! back, and which one that is. In a private folder, by content.
//!
//! Nothing that runs depends on it: without it a restart takes what the plugin folder says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use wasm::{UNFINISHED, forget_unfinished, write_whole};

use super::digest::Digest;
use super::name;
use super::plan::Recipe;

/// Where versions are kept for one plugin folder; by default nowhere.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Where the shelves of all plugin folders are, and how many bytes they may have.
    all: Option<(PathBuf, u64)>,
    own: ArcSwapOption<PathBuf>,
}

/// What a restart has to know of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version that counts, where the plugin folder does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Key>,
    /// The version in the folder that was rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Key>,
    /// The version to which a rollback returns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Key>,
}

/// What a version is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The content of the plugin's file.
    pub plugin: Digest,
    /// The sidecar's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Digest>,
    /// The signature's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Digest>,
}

/// The files of a version: what they hold.
#[derive(Debug, Clone, Copy)]
pub struct Files<'f> {
    /// The plugin's.
    pub plugin: &'f [u8],
    /// The sidecar's, if there is one.
    pub sidecar: Option<&'f [u8]>,
    /// The signature's, if there is one.
    pub signature: Option<&'f [u8]>,
}

/// The files of a version: where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The plugin's.
    pub plugin: PathBuf,
    /// The sidecar's, if there is one.
    pub sidecar: Option<PathBuf>,
    /// The signature's, whether or not there is one.
    pub signature: PathBuf,
}

impl From<&Recipe> for Key {
    fn from(recipe: &Recipe) -> Self {
        let Recipe { plugin, sidecar, signature, .. } = *recipe;
        Self { plugin, sidecar, signature }
    }
}

impl Key {
    /// Whether it is the same plugin with the same sidecar, whoever has signed it.
    #[must_use]
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.plugin == other.plugin && self.sidecar == other.sidecar
    }
}

impl Record {
    /// The versions whose files are needed.
    pub fn needed(&self) -> impl Iterator<Item = Key> {
        self.current.iter().chain(&self.previous).cloned()
    }
}

impl Shelf {
    /// Opens the shelf of a plugin folder among those in `folder`, which must be this user's alone; all of them together may have `most`
    /// bytes, and those go first that were used longest ago.
    pub fn open(folder: &Path, plugins: &Path, most: u64) -> io::Result<Self> {
        let own = open(folder, plugins, most)?;
        Ok(Self { all: Some((folder.to_owned(), most)), own: ArcSwapOption::from_pointee(own) })
    }

    /// Opens that of another plugin folder in its place, and takes these versions along. Where it cannot be opened nothing is kept, and that is
    /// said.
    pub fn follow(&self, plugins: &Path, keys: &[Key]) {
        let Some((all, most)) = &self.all else { return };
        let old: Vec<PathBuf> = self.files_of(keys).filter(|path| path.exists()).collect();
        let own = open(all, plugins, *most);
        let own = own.inspect_err(|error| {
            tracing::warn!(folder = %all.display(), %error, "a rollback or a promotion will not be known after a restart");
        });
        self.own.store(own.ok().map(Arc::new));
        let Some(own) = self.folder() else { return };
        for (from, name) in old.iter().filter_map(|path| Some((path, path.file_name()?))) {
            match fs::hard_link(from, own.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    tracing::warn!(file = %from.display(), %error, "this version cannot be kept for a rollback after a restart");
                }
                _ => {}
            }
        }
    }

    /// Whether it keeps anything.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.folder().is_some()
    }

    fn folder(&self) -> Option<Arc<PathBuf>> {
        self.own.load_full()
    }

    /// Keeps the files of a version; `remote`: the plugin's says only where the plugin is. That they cannot be kept is said, and changes nothing.
    pub fn put(&self, key: &Key, remote: bool, files: &Files<'_>) {
        let Some(paths) = self.paths(key, remote) else { return };
        let all = [
            (Some(paths.plugin), Some(files.plugin)),
            (paths.sidecar, files.sidecar),
            (Some(paths.signature), files.signature),
        ];
        for (path, content) in all.into_iter().filter_map(|(path, content)| path.zip(content)) {
            if path.exists() {
                continue;
            }
            if let Err(error) = write_whole(&path, content) {
                tracing::warn!(file = %path.display(), %error, "this version cannot be kept for a rollback after a restart");
            }
        }
    }

    /// Where the files of a version are, if they are kept.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<Paths> {
        [false, true].into_iter().filter_map(|remote| self.paths(key, remote)).find(|paths| paths.plugin.exists())
    }

    fn paths(&self, key: &Key, remote: bool) -> Option<Paths> {
        let folder = self.folder()?;
        let Key { plugin, sidecar, signature } = key;
        let ending = if remote { name::REMOTE } else { name::PLUGIN };
        Some(Paths {
            plugin: folder.join(format!("{}.{ending}", plugin.whole())),
            sidecar: sidecar.map(|sidecar| folder.join(format!("{}.yaml", sidecar.whole()))),
            signature: folder.join(name::signature_of(&signature.map_or_else(|| plugin.whole(), |own| own.whole()))),
        })
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
        let Some(folder) = self.folder() else { return };
        let path = folder.join(format!("{stage}.json"));
        let done = match record {
            Some(record) => {
                let text = serde_json::to_vec_pretty(record).expect("digests are texts");
                write_whole(&path, &text)
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
    pub fn keep_only(&self, keys: &[Key]) {
        let kept: BTreeSet<PathBuf> = self.files_of(keys).collect();
        // A maker may be writing one right now.
        let is_content =
            |path: &PathBuf| path.extension().is_some_and(|ending| ending != "json" && ending != UNFINISHED);
        for path in self.files().filter(is_content).filter(|path| !kept.contains(path)) {
            // Left over, it only takes room.
            let _stays = fs::remove_file(path);
        }
    }

    /// Where all files of these versions are, or would be.
    fn files_of(&self, keys: &[Key]) -> impl Iterator<Item = PathBuf> {
        let paths = keys.iter().flat_map(|key| [false, true].map(|remote| self.paths(key, remote))).flatten();
        paths.flat_map(|paths| [Some(paths.plugin), paths.sidecar, Some(paths.signature)]).flatten()
    }

    fn files(&self) -> impl Iterator<Item = PathBuf> {
        files(self.folder().as_deref().map(PathBuf::as_path))
    }
}

/// The shelf of a plugin folder, made if need be.
fn open(folder: &Path, plugins: &Path, most: u64) -> io::Result<PathBuf> {
    let plugins = fs::canonicalize(plugins).unwrap_or_else(|_| plugins.to_owned());
    let own = folder.join(Digest::of(plugins.as_os_str().as_encoded_bytes()).short());
    DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
    // The time of its last use.
    File::open(&own)?.set_modified(SystemTime::now())?;
    forget_unfinished(&own);
    forget_oldest(folder, &own, most);
    Ok(own)
}

fn files(folder: Option<&Path>) -> impl Iterator<Item = PathBuf> + use<> {
    folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten().map(|entry| entry.path())
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

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn key(plugin: &str) -> Key {
        Key { plugin: digest(plugin), sidecar: None, signature: None }
    }

    fn alone(plugin: &[u8]) -> Files<'_> {
        Files { plugin, sidecar: None, signature: None }
    }

    fn open(folder: &Path, plugins: &str, most: u64) -> Shelf {
        Shelf::open(folder, Path::new(plugins), most).unwrap()
    }

    #[test]
    fn a_restart_finds_what_was_noted_and_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let one = Key { sidecar: Some(digest("mode: live")), signature: Some(digest("signed")), ..key("one") };
        let other = key("oci://…");
        let shelf = open(folder.path(), "/a/plugins", 1 << 20);
        shelf.put(&one, false, &Files { plugin: b"one", sidecar: Some(b"mode: live"), signature: Some(b"signed") });
        shelf.put(&other, true, &alone("oci://…".as_bytes()));
        let record = Record { current: Some(one.clone()), held: Some(other.clone()), previous: None };
        shelf.note("scrub", Some(&record));
        shelf.note("gone", Some(&record));
        shelf.note("gone", None);
        shelf.note("never", None);

        let again = open(folder.path(), "/a/plugins", 1 << 20);
        assert_eq!(again.records(), BTreeMap::from([("scrub".to_owned(), record)]));
        let paths = again.find(&one).unwrap();
        let read = |path: &PathBuf| fs::read(path).unwrap();
        assert_eq!((read(&paths.plugin), read(&paths.signature)), (b"one".to_vec(), b"signed".to_vec()));
        assert_eq!(paths.sidecar.as_ref().map(read), Some(b"mode: live".to_vec()));
        assert_eq!(fs::metadata(&paths.plugin).unwrap().mode() & 0o777, 0o600);
        let remote = again.find(&other).unwrap();
        assert!(name::is_remote(&remote.plugin.display().to_string()) && remote.sidecar.is_none());
        let unfinished = again.folder().unwrap().join("x.1-2.unfinished");
        fs::write(&unfinished, "half").unwrap();
        again.keep_only(std::slice::from_ref(&one));
        assert!(unfinished.exists(), "whoever writes it needs it");
        assert_eq!((again.find(&one), again.find(&other)), (Some(paths.clone()), None));
        assert!(paths.sidecar.is_some_and(|path| path.exists()) && paths.signature.exists());
        assert_eq!(again.records().len(), 1, "what is noted stays");
        assert!(open(folder.path(), "/b/plugins", 1 << 20).records().is_empty(), "another folder has its own");
    }

    #[test]
    fn another_plugin_folder_has_another_shelf_to_which_what_runs_goes_along() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = open(folder.path(), "/a/plugins", 1 << 20);
        let record = Record { current: Some(key("runs")), ..Record::default() };
        for plugin in ["runs", "does not"] {
            shelf.put(&key(plugin), false, &alone(plugin.as_bytes()));
        }
        shelf.note("scrub", Some(&record));
        let before = shelf.find(&key("runs")).unwrap();
        shelf.follow(Path::new("/b/plugins"), &[key("runs"), key("was never kept")]);
        assert!(shelf.records().is_empty() && shelf.find(&key("does not")).is_none());
        let after = shelf.find(&key("runs")).unwrap();
        assert_eq!((fs::read(&after.plugin).unwrap(), after == before), (b"runs".to_vec(), false));
        assert_eq!(
            open(folder.path(), "/a/plugins", 1 << 20).records(),
            BTreeMap::from([("scrub".to_owned(), record)])
        );
        shelf.follow(Path::new("/a/plugins"), &[key("runs")]);
        assert_eq!((shelf.find(&key("runs")), shelf.records().len()), (Some(before), 1));
        let nowhere = Shelf::default();
        nowhere.follow(Path::new("/b/plugins"), &[key("runs")]);
        assert!(!nowhere.is_kept());
    }

    #[test]
    fn a_record_that_cannot_be_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = open(folder.path(), "/a/plugins", 1 << 20);
        fs::write(shelf.folder().unwrap().join("scrub.json"), b"{ not json").unwrap();
        assert!(shelf.records().is_empty());
    }

    #[test]
    fn shelves_that_nobody_uses_go_when_there_is_no_room() {
        let folder = tempfile::tempdir().unwrap();
        for (age, plugins) in [(200, "/old"), (100, "/newer")] {
            let shelf = open(folder.path(), plugins, 1 << 20);
            shelf.put(&key(plugins), false, &alone(&[0; 1000]));
            let then = SystemTime::now() - std::time::Duration::from_secs(age);
            File::open(&*shelf.folder().unwrap()).unwrap().set_modified(then).unwrap();
        }
        let own = open(folder.path(), "/own", 1500);
        assert_eq!(files(Some(folder.path())).count(), 2, "the oldest has gone");
        own.put(&key("own"), false, &alone(&[0; 2000]));
        let own = open(folder.path(), "/own", 1500);
        assert_eq!(
            files(Some(folder.path())).collect::<Vec<_>>(),
            [own.folder().unwrap().to_path_buf()],
            "its own stays"
        );
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let shelf = Shelf::default();
        shelf.put(&key("one"), false, &alone(b"one"));
        shelf.note("a", None);
        shelf.keep_only(&[]);
        assert!(shelf.records().is_empty() && shelf.find(&key("one")).is_none());
    }
}
