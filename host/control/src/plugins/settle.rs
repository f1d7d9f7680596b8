//! When a change may be taken: once a file has stood still for a while. Pure: time and stamps are passed in.
//!
//! Unsettled: the stamp differs from the one before, or has not stood for long enough. The file counts as it was before.
//! Settled: the stamp stood still, or the file was last written long ago (moved here, or here at the start).
//! Going is settled like coming: a file that is deleted and written anew was never gone.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// How long a file must stand still. Writers that pause for longer leave something that fails its checks, and are taken up again with their
/// next write.
pub const QUIET: Duration = Duration::from_millis(100);

/// What tells that a file was changed, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub written: SystemTime,
    /// Its inode: replaced by renaming, a file may agree in the rest.
    pub inode: u64,
}

/// The files of a folder by name.
pub type Listing = BTreeMap<String, Stamp>;

/// Follows a folder through its listings.
#[derive(Debug, Default)]
pub struct Settling {
    /// What each file was when it last stood still.
    settled: Listing,
    /// Files that are not as they were settled: what they look like, and since when. `None` for one that is gone.
    moving: BTreeMap<String, (Option<Stamp>, Instant)>,
}

impl Settling {
    /// Takes in a listing.
    pub fn observe(&mut self, listing: &Listing, now: Instant, wall: SystemTime) {
        let names: Vec<String> = listing.keys().chain(self.settled.keys()).cloned().collect();
        for name in names {
            let stamp = listing.get(&name).copied();
            if stamp == self.settled.get(&name).copied() {
                self.moving.remove(&name);
                continue;
            }
            let (seen, since) = self.moving.entry(name.clone()).or_insert((stamp, now));
            if *seen != stamp {
                (*seen, *since) = (stamp, now);
            }
            let stood = now.saturating_duration_since(*since) >= QUIET;
            let old = stamp.is_some_and(|stamp| wall.duration_since(stamp.written).is_ok_and(|age| age >= QUIET));
            if stood || old {
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
        self.moving.get(name).is_some_and(|(stamp, _)| stamp.is_none())
    }

    /// Whether any file is: then one should look again soon.
    #[must_use]
    pub fn any_moving(&self) -> bool {
        !self.moving.is_empty()
    }

    /// A file that changed while it was read is not settled after all.
    pub fn unsettle(&mut self, name: &str, now: Instant) {
        if let Some(stamp) = self.settled.remove(name) {
            self.moving.insert(name.to_owned(), (Some(stamp), now));
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
            Stamp { size, written: self.1, inode: 1 }
        }
    }

    fn observe(settling: &mut Settling, clock: &Clock, files: &[(&str, Stamp)]) {
        let listing = files.iter().map(|(name, stamp)| ((*name).to_owned(), *stamp)).collect();
        settling.observe(&listing, clock.0, clock.1);
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
        settling.unsettle("a", clock.0);
        assert!(settling.settled().is_empty() && settling.is_moving("a"));
    }
}
