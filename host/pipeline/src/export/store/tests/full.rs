//! Disks that are full at other times than in mid-record: when a segment is made, and when it is noted what is done.

use super::*;

#[test]
fn a_disk_that_has_no_room_for_a_segments_beginning_refuses_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, counters) = open(folder.path());
    for room in 0..Segment::START as usize {
        *store.faults().room.lock() = Some(room);
        let why = append(&store, 1).unwrap_err();
        assert!(why.contains(&folder.path().display().to_string()), "{why}");
        assert_eq!(files(folder.path(), "seg").len(), 0, "room for {room} bytes");
        assert_eq!(store.trouble(), Some(why));
    }
    assert_eq!(counters.failed_commits.get(), Segment::START);
    assert_eq!(store.disk_bytes(), 0);
    *store.faults().room.lock() = None;
    append(&store, 2).unwrap();
    assert_eq!(store.last_trouble(), None);
    let copy = crashed(folder.path());
    let (_, again, counters) = open(copy.path());
    assert_eq!(read_all(&again), (vec![2], 0));
    assert_eq!(counters.quarantined.get(), 0);
}

#[test]
fn what_is_done_and_cannot_be_noted_on_a_full_disk_is_sent_again_after_a_crash_and_nothing_stops() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, _) = open(folder.path());
    let slots = [1, 2, 3].map(|number| append(&store, number).unwrap());
    // The kernel answers ENOSPC to whatever is written there. (Nobody may read it: it has no end.)
    std::os::unix::fs::symlink("/dev/full", slots[0].segment.list()).unwrap();
    let done = |slot: &Slot| (Arc::clone(&slot.segment), slot.sequence);
    store.done(slots[..2].iter().map(done));
    store.flush();
    assert_eq!(store.trouble(), None, "nobody is refused for it");
    let last = append(&store, 4).unwrap();
    let copy = crashed(folder.path());
    let (_, again, _) = open(copy.path());
    assert_eq!(read_all(&again), (vec![1, 2, 3, 4], 0), "twice at worst, and never lost");
    // The space comes back all the same, once all of it is done.
    store.done([done(&slots[2]), done(&last)]);
    store.flush();
    assert_eq!((files(folder.path(), "seg").len(), files(folder.path(), "done").len()), (0, 0));
    assert_eq!(store.disk_bytes(), 0);
}
