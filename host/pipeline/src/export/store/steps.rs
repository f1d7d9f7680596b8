//! The steps of a record on the disk. In tests somebody may look at each of them: a process can be killed there.

use super::Shared;

/// What has just been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// A segment's file is there, empty.
    Made,
    /// It has its preface.
    Begun,
    /// Its folder is on the disk with it.
    Listed,
    /// A group of records is in the file.
    Written,
    /// It is on the disk.
    Synced,
    /// Those who wait have been told.
    Answered,
    /// What is done is on the segment's list.
    Noted,
    /// A segment of which nothing is left is gone, and its list.
    Removed,
}

/// Who looks at each step, on the writer's thread.
#[cfg(test)]
#[derive(Default)]
pub(super) struct Watch(pub Option<Box<dyn FnMut(Step) + Send>>);

#[cfg(test)]
impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Shared {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "only tests look")]
    pub(super) fn reached(&self, _: Step) {}

    #[cfg(test)]
    pub(super) fn reached(&self, step: Step) {
        if let Some(watch) = &mut self.faults.watch.lock().0 {
            watch(step);
        }
    }
}
