//! Looks at the folder: which plugins stand in it, in which order, and what each is made from.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use super::digest::Digest;
use super::name::{self, Kind};
use super::plan::{Recipe, Wanted};
use super::settle::{Listing, Settling, Stamp};

/// Files above this are no plugins: reading them would be a way to fill the memory.
pub const LARGEST: u64 = 256 << 20;

/// The same for what stands beside them: sidecars, signatures, and what says where a plugin is.
pub const LARGEST_TEXT: u64 = 1 << 20;

/// Follows one folder.
#[derive(Debug)]
pub struct Scan {
    folder: PathBuf,
    settling: Settling,
    /// What was read of settled files. Not what could not be read: it becomes readable without another stamp.
    contents: HashMap<String, (Stamp, Digest)>,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Found {
    /// The plugins, in order.
    pub wanted: Vec<Wanted>,
    /// Files that cannot be read: the stem, the file and why.
    pub unreadable: Vec<(String, String, String)>,
    /// What else is to be said.
    pub notes: Vec<String>,
    /// Whether files are changing right now.
    pub moving: bool,
    /// When to look again, if they are.
    pub due: Option<Instant>,
}

impl Scan {
    /// Follows a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), settling: Settling::default(), contents: HashMap::new() }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Looks. An error means that the folder itself cannot be read, and changes nothing. `whole`: files that the kernel said are whole since
    /// the last look. `signed`: whether signatures count.
    pub fn look(&mut self, defaults: u64, signed: bool, whole: &BTreeSet<String>) -> io::Result<Found> {
        let listing = list(&self.folder)?;
        self.settling.observe(&listing, whole, Instant::now(), SystemTime::now());
        let names: Vec<String> = self.settling.settled().keys().cloned().collect();
        // What was written is read, whatever its stamp says: on some file systems those of two seconds are alike.
        self.contents.retain(|file, _| names.contains(file) && !whole.contains(file));
        let mut found = Found { moving: self.settling.any_moving(), ..Found::default() };
        let renamed = self.renamed(&names);
        for file in &names {
            match name::read(file) {
                Some((Kind::Plugin, stem))
                    if renamed.contains(name::stage_of(stem)) && self.settling.is_going(file) => {}
                // Takes its new place, and is what it was until its sidecar has had the time to follow.
                Some((Kind::Plugin, stem)) if renamed.contains(name::stage_of(stem)) => {
                    found.wanted.push(Wanted::changing(file));
                }
                Some((Kind::Plugin, stem)) => {
                    let signature = Some(name::signature_of(stem)).filter(|file| signed && names.contains(file));
                    self.plugin(file, stem, sidecar_of(stem, &names), signature, defaults, &mut found);
                }
                Some((Kind::Sidecar, stem)) => note_sidecar(file, stem, &names, &mut found),
                Some((Kind::Signature, stem)) if signed => note_alone(file, stem, &names, &mut found),
                Some((Kind::Signature, _)) | None => {}
            }
        }
        (found.moving, found.due) = (self.settling.any_moving(), self.settling.due());
        Ok(found)
    }

    /// Since when the files of a stem are as they are, if one of them has settled of late. Answers once.
    pub fn take_noticed(&mut self, stem: &str) -> Option<Instant> {
        let files = name::ENDINGS.map(|ending| format!("{stem}.{ending}"));
        files.iter().filter_map(|file| self.settling.take_noticed(file)).max()
    }

    /// The stages whose file goes while another of the same stage is there: it was given another number.
    fn renamed(&self, names: &[String]) -> BTreeSet<String> {
        let plugins = |going: bool| {
            let stages = names.iter().filter(move |file| self.settling.is_going(file) == going);
            stages.filter_map(|file| match name::read(file) {
                Some((Kind::Plugin, stem)) => Some(name::stage_of(stem).to_owned()),
                _ => None,
            })
        };
        let staying: BTreeSet<String> = plugins(false).collect();
        plugins(true).filter(|stage| staying.contains(stage)).collect()
    }

    fn plugin(
        &mut self,
        file: &str,
        stem: &str,
        sidecar: Option<String>,
        signature: Option<String>,
        defaults: u64,
        found: &mut Found,
    ) {
        let mut wanted = Wanted::changing(file);
        let is_moving = |ending| self.settling.is_moving(&format!("{stem}.{ending}"));
        if !name::ENDINGS.into_iter().any(is_moving) {
            let mut digest = |file: &str| match self.digest(file) {
                Some(Ok(digest)) => Some(digest),
                Some(Err(why)) => {
                    found.unreadable.push((stem.to_owned(), file.to_owned(), why));
                    None
                }
                None => None,
            };
            let plugin = digest(file);
            let mut beside = |file: Option<String>| match file {
                Some(file) => digest(&file).map(Some),
                None => Some(None),
            };
            let beside = beside(sidecar).zip(beside(signature));
            let recipe = |(plugin, (sidecar, signature))| Recipe { plugin, sidecar, signature, defaults };
            wanted.recipe = plugin.zip(beside).map(recipe);
        }
        found.wanted.push(wanted);
    }

    /// Reads the files of a stem anew with the next look: they were something else when they were read last.
    pub fn forget(&mut self, stem: &str) {
        self.contents.retain(|file, _| name::read(file).is_none_or(|(_, known)| known != stem));
    }

    /// The digest of a settled file; `None` if it changed under the reader's eyes.
    fn digest(&mut self, file: &str) -> Option<Result<Digest, String>> {
        let stamp = *self.settling.settled().get(file)?;
        if let Some((known, digest)) = self.contents.get(file)
            && *known == stamp
        {
            return Some(Ok(*digest));
        }
        let path = self.folder.join(file);
        let digest = read(&path).map(|content| Digest::of(&content));
        if stamp_of(&path).ok() != Some(stamp) {
            self.settling.unsettle(file, Instant::now());
            return None;
        }
        if let Ok(digest) = digest {
            self.contents.insert(file.to_owned(), (stamp, digest));
        }
        Some(digest)
    }
}

/// Reads a plugin or sidecar whole. The error is for people.
///
/// A link may lead anywhere: what is no file has no end, or none that comes.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let said = |error: io::Error| error.to_string();
    // Without waiting for somebody to write into a pipe.
    let file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(said)?;
    let meta = file.metadata().map_err(said)?;
    if !meta.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let is_plugin = path.extension().is_some_and(|ending| ending == name::PLUGIN);
    let (most, what) = if is_plugin { (LARGEST, "a plugin") } else { (LARGEST_TEXT, "such a file") };
    let too_large =
        |size: u64| format!("{} MiB are more than the {} MiB that {what} may have", size.div_ceil(1 << 20), most >> 20);
    if meta.len() > most {
        return Err(too_large(meta.len()));
    }
    let mut content = Vec::with_capacity(meta.len() as usize);
    file.take(most + 1).read_to_end(&mut content).map_err(said)?;
    let size = content.len() as u64;
    if size > most { Err(too_large(size)) } else { Ok(content) }
}

/// The sidecar of a stem.
#[must_use]
pub fn sidecar_of(stem: &str, names: &[String]) -> Option<String> {
    [format!("{stem}.yaml"), format!("{stem}.yml")].into_iter().find(|file| names.contains(file))
}

fn note_sidecar(file: &str, stem: &str, names: &[String], found: &mut Found) {
    note_alone(file, stem, names, found);
    if !found.moving && sidecar_of(stem, names).as_deref() != Some(file) {
        found.notes.push(format!("{file} is not read, because {stem}.yaml is there"));
    }
}

fn note_alone(file: &str, stem: &str, names: &[String], found: &mut Found) {
    let is_plugin = |file: &String| matches!(name::read(file), Some((Kind::Plugin, known)) if known == stem);
    // While anything moves, the plugin may be about to follow.
    if !found.moving && !names.iter().any(is_plugin) {
        found.notes.push(format!("{file} belongs to no plugin: there is no {stem}.wasm"));
    }
}

fn list(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        if name::read(&file).is_none() {
            continue;
        }
        // Gone again otherwise, or a link to nothing.
        if let Ok(stamp) = stamp_of(&entry.path()) {
            listing.insert(file, stamp);
        }
    }
    Ok(listing)
}

/// An error means that there is no such file, or none any more.
fn stamp_of(path: &Path) -> io::Result<Stamp> {
    match std::fs::metadata(path) {
        Ok(meta) => Stamp::of(&meta),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
        // A link that leads in a circle, or where nobody may look: whoever reads it says so, and the others go on.
        Err(_) => Ok(Stamp::UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::wait;

    const NONE: BTreeSet<String> = BTreeSet::new();

    fn old(path: &Path, content: &str) {
        fs::write(path, content).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
    }

    #[test]
    fn the_order_is_the_names_and_the_sidecar_belongs_by_the_full_stem() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["20-b.wasm", "10-a.wasm", "10-a.yaml", "15-b.yaml", "_x.wasm", "notes.md"] {
            old(&folder.path().join(file), file);
        }
        let found = Scan::new(folder.path()).look(0, false, &NONE).unwrap();
        let stages: Vec<&str> = found.wanted.iter().map(|wanted| &*wanted.stage).collect();
        assert_eq!(stages, ["a", "b"]);
        let sidecars: Vec<bool> =
            found.wanted.iter().map(|wanted| wanted.recipe.as_ref().unwrap().sidecar.is_some()).collect();
        assert_eq!(sidecars, [true, false]);
        assert_eq!(found.notes, ["15-b.yaml belongs to no plugin: there is no 15-b.wasm"]);
    }

    #[test]
    fn another_content_or_another_sidecar_is_another_recipe() {
        let folder = tempfile::tempdir().unwrap();
        let (wasm, sidecar) = (folder.path().join("10-a.wasm"), folder.path().join("10-a.yaml"));
        let mut scan = Scan::new(folder.path());
        let mut look = || scan.look(0, false, &NONE).unwrap().wanted[0].recipe.clone().unwrap();
        old(&wasm, "one");
        let first = look();
        assert_eq!(first.plugin, Digest::of(b"one"));
        assert_eq!(look(), first);
        old(&wasm, "three");
        let second = look();
        assert_ne!(first, second);
        old(&sidecar, "on_error: pass");
        assert_ne!(look(), second);
        fs::remove_file(&sidecar).unwrap();
        old(&wasm, "one");
    }

    #[test]
    fn a_signature_belongs_to_the_recipe_where_signatures_are_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        let mut scan = Scan::new(folder.path());
        old(&path("10-a.oci"), "oci://");
        old(&path("10-a.wasm.minisig"), "one");
        old(&path("20-b.wasm.minisig"), "of nobody");
        let unasked = scan.look(0, false, &NONE).unwrap();
        assert_eq!(unasked.wanted.len(), 1, "a signature is no stage");
        assert_eq!(unasked.wanted[0].recipe.as_ref().unwrap().signature, None);
        assert!(unasked.notes.is_empty(), "{:?}", unasked.notes);
        let asked = scan.look(0, true, &NONE).unwrap();
        assert_eq!(asked.wanted[0].recipe.as_ref().unwrap().signature, Some(Digest::of(b"one")));
        assert_eq!(asked.notes, ["20-b.wasm.minisig belongs to no plugin: there is no 20-b.wasm"]);
        fs::write(path("10-a.wasm.minisig"), "another").unwrap();
        assert_eq!(scan.look(0, true, &NONE).unwrap().wanted[0].recipe, None, "the plugin waits while it changes");
    }

    #[test]
    fn a_file_with_another_number_is_the_same_stage_and_its_sidecar_may_follow() {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        let mut scan = Scan::new(folder.path());
        old(&path("10-a.wasm"), "one");
        old(&path("10-a.yaml"), "on_error: drop");
        old(&path("20-b.wasm"), "two");
        let before = scan.look(0, false, &NONE).unwrap().wanted[0].recipe.clone().unwrap();
        fs::rename(path("10-a.wasm"), path("30-a.wasm")).unwrap();
        let found = scan.look(0, false, &NONE).unwrap();
        let files: Vec<&str> = found.wanted.iter().map(|wanted| wanted.file.as_str()).collect();
        assert_eq!(files, ["20-b.wasm", "30-a.wasm"]);
        assert_eq!(found.wanted[1].recipe, None);
        assert!(found.moving && found.notes.is_empty(), "{found:?}");
        fs::rename(path("10-a.yaml"), path("30-a.yaml")).unwrap();
        let found = settled(&mut scan);
        assert_eq!(found.wanted[1].recipe.as_ref(), Some(&before));
        assert!(found.notes.is_empty());
    }

    #[test]
    fn what_was_written_with_the_size_and_the_time_of_before_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("10-a.wasm");
        old(&file, "one");
        let stamp = fs::metadata(&file).unwrap().modified().unwrap();
        let mut scan = Scan::new(folder.path());
        let digest = |found: Found| found.wanted[0].recipe.as_ref().map(|recipe| recipe.plugin);
        assert_eq!(digest(scan.look(0, false, &NONE).unwrap()), Some(Digest::of(b"one")));
        fs::write(&file, "two").unwrap();
        File::options().write(true).open(&file).unwrap().set_modified(stamp).unwrap();
        assert_eq!(digest(settled(&mut scan)), Some(Digest::of(b"two")));
        // Where the clock of the file system is too coarse to tell, whoever has closed the file is believed.
        scan.contents.insert("10-a.wasm".to_owned(), (stamp_of(&file).unwrap(), Digest::of(b"before")));
        let whole = ["10-a.wasm".to_owned()].into();
        assert_eq!(digest(scan.look(0, false, &whole).unwrap()), Some(Digest::of(b"two")));
    }

    #[test]
    fn what_could_not_be_read_is_read_again_though_its_stamp_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("10-a.wasm");
        // A folder cannot be read as a file, whoever asks; a mode does not stop root.
        fs::create_dir(&file).unwrap();
        let mut scan = Scan::new(folder.path());
        assert_eq!(settled(&mut scan).unreadable.len(), 1);
        assert!(scan.contents.is_empty(), "a failure is not remembered");
    }

    #[test]
    fn a_link_that_leads_nowhere_costs_the_other_files_nothing() {
        let folder = tempfile::tempdir().unwrap();
        old(&folder.path().join("10-a.wasm"), "one");
        std::os::unix::fs::symlink("20-circle.wasm", folder.path().join("20-circle.wasm")).unwrap();
        std::os::unix::fs::symlink("gone.wasm", folder.path().join("30-gone.wasm")).unwrap();
        std::os::unix::fs::symlink("10-a.wasm/below", folder.path().join("40-below.wasm")).unwrap();
        let found = settled(&mut Scan::new(folder.path()));
        let known: Vec<bool> = found.wanted.iter().map(|wanted| wanted.recipe.is_some()).collect();
        assert_eq!(known, [true, false, false], "{found:?}");
        let said: Vec<&str> = found.unreadable.iter().map(|(_, file, _)| file.as_str()).collect();
        assert_eq!(said, ["20-circle.wasm", "40-below.wasm"]);
    }

    #[test]
    fn texts_are_bounded_and_plugins_may_be_larger() {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        for file in ["a.wasm", "a.yaml", "a.oci", "a.wasm.minisig"] {
            File::create(path(file)).unwrap().set_len(LARGEST_TEXT + 1).unwrap();
        }
        assert_eq!(read(&path("a.wasm")).unwrap().len() as u64, LARGEST_TEXT + 1);
        for file in ["a.yaml", "a.oci", "a.wasm.minisig"] {
            assert_eq!(read(&path(file)).unwrap_err(), "2 MiB are more than the 1 MiB that such a file may have");
        }
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let of = |file: &str| folder.path().join(file);
        std::os::unix::fs::symlink("/dev/zero", of("10-endless.wasm")).unwrap();
        nix::unistd::mkfifo(&of("20-pipe.wasm"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        old(&of("30-good.wasm"), "a");
        let mut found = settled(&mut Scan::new(folder.path()));
        found.unreadable.sort();
        let said: Vec<_> = found.unreadable.iter().map(|(_, file, why)| (file.as_str(), why.as_str())).collect();
        assert_eq!(said, [("10-endless.wasm", "it is no regular file"), ("20-pipe.wasm", "it is no regular file")]);
        assert!(found.wanted.iter().any(|wanted| wanted.recipe.is_some()), "{found:?}");
    }

    /// Looks until nothing moves.
    fn settled(scan: &mut Scan) -> Found {
        wait::until(|| {
            let found = scan.look(0, false, &NONE).unwrap();
            if found.moving { Err(format!("{found:?}")) } else { Ok(found) }
        })
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Scan::new(folder.path().join("none")).look(0, false, &NONE).is_err());
        assert!(Scan::new(folder.path()).look(0, false, &NONE).unwrap().wanted.is_empty());
    }
}
