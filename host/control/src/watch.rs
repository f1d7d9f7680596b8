//! Says when something in a folder changed: by the kernel where it can, by the reader's own looking where it cannot.
//! What changed is found by looking; a hint more or less does no harm.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::statfs::statfs;
use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How often to look where the kernel says nothing (network file systems, exhausted watches, a folder that is not there yet).
const UNWATCHED: Duration = Duration::from_millis(500);
/// How many names of whole files are kept for the reader; what is beyond it is found by looking.
const NAMES: usize = 1024;
/// How often to look all the same where it does.
const WATCHED: Duration = Duration::from_secs(5);

/// A watch on one folder.
pub struct Watch {
    folder: PathBuf,
    hint: Arc<dyn Fn() + Send + Sync>,
    whole: Whole,
    /// The kernel's watch, and the inode of the folder that it watches.
    watcher: Option<(RecommendedWatcher, u64)>,
    /// Whether others may change the folder without this kernel.
    elsewhere: bool,
    /// Whether a failure was logged: once is enough.
    complained: bool,
}

/// The names of files that were closed by their writer, or moved here.
type Whole = Arc<Mutex<BTreeSet<String>>>;

impl Watch {
    /// Watches `folder`, which need not exist yet. `hint` is called from another thread and must not wait.
    pub fn new(folder: impl Into<PathBuf>, hint: impl Fn() + Send + Sync + 'static) -> Self {
        let mut watch = Self {
            folder: folder.into(),
            hint: Arc::new(hint),
            whole: Whole::default(),
            watcher: None,
            elsewhere: false,
            complained: false,
        };
        watch.renew();
        watch
    }

    /// To be called with each look: sets up the watch anew where the folder was replaced or has appeared.
    pub fn renew(&mut self) {
        let inode = std::fs::metadata(&self.folder).map(|folder| folder.ino()).ok();
        if inode.is_some() && self.watcher.as_ref().map(|(_, watched)| *watched) == inode {
            return;
        }
        self.watcher = None;
        let Some(inode) = inode else { return };
        self.elsewhere = statfs(&self.folder).is_ok_and(|known| is_elsewhere(known.filesystem_type().0));
        match start(&self.folder, self.hint.clone(), self.whole.clone()) {
            Ok(watcher) => self.watcher = Some((watcher, inode)),
            Err(error) if !self.complained => {
                self.complained = true;
                tracing::warn!(folder = %self.folder.display(), %error, every = ?UNWATCHED, "cannot watch the folder, looking at it instead");
            }
            Err(_) => {}
        }
    }

    /// The files that were closed by their writer, or moved here, since this was asked last. To be asked before looking.
    #[must_use]
    pub fn take_whole(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.whole.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How long to wait for a hint before looking without one.
    #[must_use]
    pub fn patience(&self) -> Duration {
        if self.watcher.is_some() && !self.elsewhere { WATCHED } else { UNWATCHED }
    }
}

/// Whether a file system of this kind (`statfs`'s number) is one of other machines or of another process: a watch on it succeeds, and tells what
/// this machine changes there alone.
fn is_elsewhere(kind: i64) -> bool {
    // NFS, SMB and its successors, 9P, FUSE, Ceph, AFS, VirtualBox.
    const KINDS: [u32; 8] =
        [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x6573_5546, 0x00c3_6400, 0x5346_414f];
    KINDS.contains(&(kind as u32))
}

fn start(folder: &Path, hint: Arc<dyn Fn() + Send + Sync>, whole: Whole) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Opening and reading a file is what a look itself does: it must not call for the next one.
        let read = matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(kind) if !is_written(kind)));
        if !read {
            if let Ok(event) = event {
                note_whole(&event, &whole);
            }
            hint();
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn note_whole(event: &notify::Event, whole: &Mutex<BTreeSet<String>>) {
    let is_whole = match event.kind {
        EventKind::Access(kind) => is_written(kind),
        EventKind::Modify(ModifyKind::Name(to)) => to == RenameMode::To,
        _ => false,
    };
    let names = event.paths.iter().filter(|_| is_whole).filter_map(|path| path.file_name()?.to_str());
    let mut whole = whole.lock().unwrap_or_else(PoisonError::into_inner);
    for name in names {
        if whole.len() < NAMES {
            whole.insert(name.to_owned());
        }
    }
}

fn is_written(kind: AccessKind) -> bool {
    kind == AccessKind::Close(AccessMode::Write)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn a_new_file_is_hinted_at_and_reading_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("old"), "x").unwrap();
        let (hints, hinted) = mpsc::sync_channel(100);
        let mut watch = Watch::new(folder.path(), move || {
            let _full = hints.try_send(());
        });
        watch.renew();
        std::fs::read(folder.path().join("old")).unwrap();
        assert!(hinted.try_recv().is_err());
        std::fs::write(folder.path().join("new"), "x").unwrap();
        hinted.recv_timeout(SOON).unwrap();
    }

    #[test]
    fn what_other_machines_change_is_looked_for() {
        let (nfs, smb2, fuse) = (0x6969, 0xfe53_4d42, 0x6573_5546);
        assert!([nfs, smb2, fuse].into_iter().all(is_elsewhere));
        // As it comes where the number is a signed one of 32 bits.
        assert!(is_elsewhere(i64::from(0xfe53_4d42_u32 as i32)));
        let (ext4, tmpfs, overlay) = (0xef53, 0x0102_1994, 0x794c_7630);
        assert!(![ext4, tmpfs, overlay].into_iter().any(is_elsewhere));
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(folder.path(), || {});
        assert_eq!(watch.patience(), WATCHED);
        watch.elsewhere = true;
        assert_eq!(watch.patience(), UNWATCHED);
    }

    #[test]
    fn files_that_were_closed_or_moved_here_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        std::fs::write(path("before"), "x").unwrap();
        let (hints, hinted) = mpsc::sync_channel(100);
        let watch = Watch::new(folder.path(), move || {
            let _full = hints.try_send(());
        });
        let open = std::fs::File::create(path("open")).unwrap();
        std::fs::write(path("closed"), "x").unwrap();
        std::fs::rename(path("before"), path("moved")).unwrap();
        let mut whole = BTreeSet::new();
        while !whole.contains("moved") {
            hinted.recv_timeout(SOON).unwrap();
            whole.append(&mut watch.take_whole());
        }
        assert_eq!(whole, BTreeSet::from(["closed".to_owned(), "moved".to_owned()]));
        drop(open);
    }

    #[test]
    fn a_folder_that_is_replaced_is_watched_anew() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("plugins");
        let (hints, hinted) = mpsc::sync_channel(100);
        let mut watch = Watch::new(&folder, move || {
            let _full = hints.try_send(());
        });
        assert_eq!(watch.patience(), UNWATCHED);
        std::fs::create_dir(&folder).unwrap();
        watch.renew();
        assert_eq!(watch.patience(), WATCHED);
        std::fs::rename(&folder, parent.path().join("aside")).unwrap();
        std::fs::create_dir(&folder).unwrap();
        watch.renew();
        while hinted.try_recv().is_ok() {}
        std::fs::write(folder.join("new"), "x").unwrap();
        hinted.recv_timeout(SOON).unwrap();
    }
}
