//! When a change may be taken: once a file has stood still for a while. Pure: time and stamps are passed in.
//!
//! Unsettled: the stamp differs from the one before, or has not stood for long enough. The file counts as it was before.
//! Settled: the stamp stood still, or the file was last written long ago (copied with its times, or here at the start).
//! A file of which the kernel said that its writer has closed it, or that it was moved here, is whole: it stands still for a moment only, in which
//! its sidecar may follow.
//! Going is settled like coming: a file that is deleted and written anew was never gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant, SystemTime};

/// How long a file must stand still. Writers that pause for longer leave something that fails its checks, and are taken up again with their
/// next write.
pub const QUIET: Duration = Duration::from_millis(100);
/// The same for a file that is whole.
pub const WHOLE: Duration = Duration::from_millis(20);
/// For how long it is known when a change was noticed.
const NOTICED: Duration = Duration::from_mins(1);

/// What tells that a file was changed, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub written: SystemTime,
    /// Its inode: replaced by renaming, a file may agree in the rest.
    pub inode: u64,
    /// When it was last changed, seconds and nanoseconds: whoever sets the time of writing back does not set this one.
    pub changed: (i64, i64),
}

impl Stamp {
    /// Of a file whose metadata these are.
    pub fn of(meta: &Metadata) -> io::Result<Self> {
        let changed = (meta.ctime(), meta.ctime_nsec());
        Ok(Self { size: meta.len(), written: meta.modified()?, inode: meta.ino(), changed })
    }

    /// Of a file of which nothing is known.
    pub const UNKNOWN: Self = Self { size: 0, written: SystemTime::UNIX_EPOCH, inode: 0, changed: (0, 0) };
}

/// The files of a folder by name.
pub type Listing = BTreeMap<String, Stamp>;

/// Follows a folder through its listings.
#[derive(Debug, Default)]
pub struct Settling {
    /// What each file was when it last stood still.
    settled: Listing,
    /// Files that are not as they were settled.
    moving: BTreeMap<String, Moving>,
    /// Files that have settled of late, and since when they were as they are.
    noticed: BTreeMap<String, Instant>,
}

/// A file that is not as it was settled.
#[derive(Debug, Clone, Copy)]
struct Moving {
    /// What it looks like; `None` if it is gone.
    stamp: Option<Stamp>,
    /// Since when it looks like that.
    since: Instant,
    /// Whether it is known to be whole.
    whole: bool,
}

impl Moving {
    fn due(&self) -> Instant {
        self.since + if self.whole { WHOLE } else { QUIET }
    }
}

impl Settling {
    /// Takes in a listing. `whole`: files that were closed by their writer or moved here since the last one.
    pub fn observe(&mut self, listing: &Listing, whole: &BTreeSet<String>, now: Instant, wall: SystemTime) {
        let names: Vec<String> = listing.keys().chain(self.settled.keys()).cloned().collect();
        for name in names {
            let stamp = listing.get(&name).copied();
            if stamp == self.settled.get(&name).copied() {
                self.moving.remove(&name);
                continue;
            }
            let fresh = Moving { stamp, since: now, whole: false };
            let moving = self.moving.entry(name.clone()).or_insert(fresh);
            if moving.stamp != stamp {
                *moving = fresh;
            }
            moving.whole |= stamp.is_some() && whole.contains(&name);
            let old = stamp.is_some_and(|stamp| wall.duration_since(stamp.written).is_ok_and(|age| age >= QUIET));
            if now >= moving.due() || old && !moving.whole {
                self.noticed.insert(name.clone(), moving.since);
                self.moving.remove(&name);
                match stamp {
                    Some(stamp) => self.settled.insert(name, stamp),
                    None => self.settled.remove(&name),
                };
            }
        }
        // Came and went without ever standing still.
        let settled = &self.settled;
        self.moving.retain(|name, _| listing.contains_key(name) || settled.contains_key(name));
        self.noticed.retain(|_, since| now.saturating_duration_since(*since) < NOTICED);
    }

    /// The files as they last stood still.
    #[must_use]
    pub fn settled(&self) -> &Listing {
        &self.settled
    }

    /// Whether this file is changing.
    #[must_use]
    pub fn is_moving(&self, name: &str) -> bool {
        self.moving.contains_key(name)
    }

    /// Whether it is no longer there, and counts as it was for a while.
    #[must_use]
    pub fn is_going(&self, name: &str) -> bool {
        self.moving.get(name).is_some_and(|moving| moving.stamp.is_none())
    }

    /// Whether any file is.
    #[must_use]
    pub fn any_moving(&self) -> bool {
        !self.moving.is_empty()
    }

    /// When to look again, if any file is.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.moving.values().map(Moving::due).min()
    }

    /// Since when a file that settled of late is as it is. Answers once.
    pub fn take_noticed(&mut self, name: &str) -> Option<Instant> {
        self.noticed.remove(name)
    }

    /// A file that changed while it was read has not settled after all. Invariant: it counts as it was meanwhile, as any other that changes.
    pub fn unsettle(&mut self, name: &str, now: Instant) {
        if let Some(stamp) = self.settled.get(name).copied() {
            self.moving.insert(name.to_owned(), Moving { stamp: Some(stamp), since: now, whole: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Clock(Instant, SystemTime);

    impl Clock {
        fn new() -> Self {
            Self(Instant::now(), SystemTime::now())
        }

        fn pass(&mut self, millis: u64) {
            self.0 += Duration::from_millis(millis);
            self.1 += Duration::from_millis(millis);
        }

        fn stamp(&self, size: u64) -> Stamp {
            Stamp { size, written: self.1, inode: 1, changed: (0, 0) }
        }
    }

    fn observe(settling: &mut Settling, clock: &Clock, files: &[(&str, Stamp)]) {
        let listing = files.iter().map(|(name, stamp)| ((*name).to_owned(), *stamp)).collect();
        settling.observe(&listing, &BTreeSet::new(), clock.0, clock.1);
    }

    fn observe_whole(settling: &mut Settling, clock: &Clock, name: &str, stamp: Stamp) {
        let (listing, whole) = ([(name.to_owned(), stamp)].into(), [name.to_owned()].into());
        settling.observe(&listing, &whole, clock.0, clock.1);
    }

    #[test]
    fn a_file_that_is_whole_waits_for_a_moment_only() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        let stamp = clock.stamp(1);
        let noticed = clock.0;
        observe(&mut settling, &clock, &[("a", stamp)]);
        observe_whole(&mut settling, &clock, "a", stamp);
        assert_eq!(settling.due(), Some(clock.0 + WHOLE));
        clock.pass(19);
        observe(&mut settling, &clock, &[("a", stamp)]);
        assert!(settling.is_moving("a"));
        clock.pass(1);
        observe(&mut settling, &clock, &[("a", stamp)]);
        assert_eq!((settling.settled().get("a"), settling.due()), (Some(&stamp), None));
        assert_eq!((settling.take_noticed("a"), settling.take_noticed("a")), (Some(noticed), None));
    }

    #[test]
    fn a_file_that_was_whole_and_is_written_again_is_not() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        observe_whole(&mut settling, &clock, "a", clock.stamp(1));
        clock.pass(10);
        let more = clock.stamp(2);
        observe(&mut settling, &clock, &[("a", more)]);
        clock.pass(99);
        observe(&mut settling, &clock, &[("a", more)]);
        assert!(settling.is_moving("a"));
        observe_whole(&mut settling, &clock, "a", more);
        assert_eq!(settling.settled().get("a"), Some(&more), "it has stood for longer than whole files do");
    }

    #[test]
    fn an_old_file_that_was_moved_here_leaves_its_sidecar_a_moment_to_follow() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        let stamp = clock.stamp(1);
        clock.pass(1000);
        observe_whole(&mut settling, &clock, "a", stamp);
        assert!(settling.is_moving("a"));
        clock.pass(20);
        observe(&mut settling, &clock, &[("a", stamp)]);
        assert_eq!(settling.settled().get("a"), Some(&stamp));
    }

    #[test]
    fn a_file_that_is_still_written_is_not_taken() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        for size in 1..10 {
            observe(&mut settling, &clock, &[("a", clock.stamp(size))]);
            assert!(settling.is_moving("a") && settling.settled().is_empty());
            clock.pass(60);
        }
        let last = clock.stamp(10);
        observe(&mut settling, &clock, &[("a", last)]);
        clock.pass(100);
        observe(&mut settling, &clock, &[("a", last)]);
        assert_eq!(settling.settled()["a"], last);
        assert!(!settling.any_moving());
    }

    #[test]
    fn a_file_from_long_ago_is_taken_at_once() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        let stamp = clock.stamp(1);
        clock.pass(1000);
        observe(&mut settling, &clock, &[("a", stamp)]);
        assert_eq!(settling.settled().len(), 1);
    }

    #[test]
    fn while_a_file_changes_it_counts_as_it_was() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        let first = clock.stamp(1);
        clock.pass(1000);
        observe(&mut settling, &clock, &[("a", first)]);
        observe(&mut settling, &clock, &[("a", clock.stamp(2))]);
        assert_eq!(settling.settled()["a"], first);
        assert!(settling.is_moving("a"));
    }

    #[test]
    fn a_file_that_is_replaced_by_deleting_it_first_was_never_gone() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        let first = clock.stamp(1);
        clock.pass(1000);
        observe(&mut settling, &clock, &[("a", first)]);
        observe(&mut settling, &clock, &[]);
        assert!(settling.settled().contains_key("a"));
        clock.pass(50);
        let second = clock.stamp(2);
        observe(&mut settling, &clock, &[("a", second)]);
        assert_eq!(settling.settled()["a"], first);
        clock.pass(100);
        observe(&mut settling, &clock, &[("a", second)]);
        assert_eq!(settling.settled()["a"], second);
    }

    #[test]
    fn a_file_that_stays_away_is_gone() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        let first = clock.stamp(1);
        clock.pass(1000);
        observe(&mut settling, &clock, &[("a", first)]);
        observe(&mut settling, &clock, &[]);
        clock.pass(100);
        observe(&mut settling, &clock, &[]);
        assert!(settling.settled().is_empty() && !settling.any_moving());
    }

    #[test]
    fn a_file_that_changed_while_it_was_read_settles_anew() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        let first = clock.stamp(1);
        clock.pass(1000);
        observe(&mut settling, &clock, &[("a", first)]);
        let second = clock.stamp(2);
        settling.unsettle("a", clock.0);
        assert!(settling.settled().contains_key("a") && settling.is_moving("a"), "it is there, and changing");
        observe(&mut settling, &clock, &[("a", second)]);
        assert_eq!((settling.settled()["a"], settling.is_moving("a")), (first, true));
        clock.pass(100);
        observe(&mut settling, &clock, &[("a", second)]);
        assert_eq!((settling.settled()["a"], settling.is_moving("a")), (second, false));
    }

    #[test]
    fn a_file_that_vanishes_while_it_is_read_is_going_as_any_other() {
        let (mut settling, mut clock) = (Settling::default(), Clock::new());
        let first = clock.stamp(1);
        clock.pass(1000);
        observe(&mut settling, &clock, &[("a", first)]);
        settling.unsettle("a", clock.0);
        observe(&mut settling, &clock, &[]);
        assert!(settling.settled().contains_key("a") && settling.is_going("a"));
        clock.pass(100);
        observe(&mut settling, &clock, &[]);
        assert!(settling.settled().is_empty());
    }
}
