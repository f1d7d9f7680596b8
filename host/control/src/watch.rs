//! Says when something in a folder changed: by the kernel where it can, by the reader's own looking where it cannot.
//! What changed is found by looking; a hint more or less does no harm.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How often to look where the kernel says nothing (network file systems, exhausted watches, a folder that is not there yet).
const UNWATCHED: Duration = Duration::from_millis(500);
/// How often to look all the same where it does.
const WATCHED: Duration = Duration::from_secs(5);

/// A watch on one folder.
pub struct Watch {
    folder: PathBuf,
    hint: Arc<dyn Fn() + Send + Sync>,
    /// The kernel's watch, and the inode of the folder that it watches.
    watcher: Option<(RecommendedWatcher, u64)>,
    /// Whether a failure was logged: once is enough.
    complained: bool,
}

impl Watch {
    /// Watches `folder`, which need not exist yet. `hint` is called from another thread and must not wait.
    pub fn new(folder: impl Into<PathBuf>, hint: impl Fn() + Send + Sync + 'static) -> Self {
        let mut watch = Self { folder: folder.into(), hint: Arc::new(hint), watcher: None, complained: false };
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
        match start(&self.folder, self.hint.clone()) {
            Ok(watcher) => self.watcher = Some((watcher, inode)),
            Err(error) if !self.complained => {
                self.complained = true;
                tracing::warn!(folder = %self.folder.display(), %error, every = ?UNWATCHED, "cannot watch the folder, looking at it instead");
            }
            Err(_) => {}
        }
    }

    /// How long to wait for a hint before looking without one.
    #[must_use]
    pub fn patience(&self) -> Duration {
        if self.watcher.is_some() { WATCHED } else { UNWATCHED }
    }
}

fn start(folder: &Path, hint: Arc<dyn Fn() + Send + Sync>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Opening and reading a file is what a look itself does: it must not call for the next one.
        let read = matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(kind) if !is_written(kind)));
        if !read {
            hint();
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn is_written(kind: notify::event::AccessKind) -> bool {
    kind == notify::event::AccessKind::Close(notify::event::AccessMode::Write)
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
