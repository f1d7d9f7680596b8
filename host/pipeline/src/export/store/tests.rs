//! The store before torn files, flipped bytes, full disks and disks that do not sync: what was reported as written is there at the next start.

use std::fs;
use std::path::Path;

use otlp::signal::Signal;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use super::super::Parcel;
use super::super::metrics::Metrics;
use super::super::queue::{Spool, Ticket};
use super::*;

mod full;
mod kill;
mod power;

fn counters() -> DiskCounters {
    Metrics::register(&mut Registry::default()).of_disk("test", Signal::Traces)
}

fn open(folder: &Path) -> (Arc<Store>, Arc<Spool>, DiskCounters) {
    open_sized(folder, 1 << 30)
}

fn open_sized(folder: &Path, most: usize) -> (Arc<Store>, Arc<Spool>, DiskCounters) {
    let counters = counters();
    let (store, backlog) = Store::open(folder, most, counters.clone()).unwrap();
    (Arc::clone(&store), Spool::new(store, &backlog), counters)
}

/// A parcel that says which it is.
fn parcel(number: u64) -> Parcel {
    let mut body = vec![0; 120];
    rand::fill(&mut body[8..]);
    body[..8].copy_from_slice(&number.to_le_bytes());
    Parcel { signal: Signal::Traces, body: body.into(), items: 1, context: Arc::default(), custody: None }
}

/// Waits until the writer has taken all that was handed in.
fn until_taken(store: &Store) {
    while store.waiting() > 0 {
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn number(parcel: &Parcel) -> u64 {
    u64::from_le_bytes(parcel.body[..8].try_into().unwrap())
}

/// Writes and waits.
fn append(store: &Store, number: u64) -> Result<Slot, Arc<str>> {
    let (sender, written) = channel();
    let then: Then = Box::new(move |outcome| sender.send(outcome).unwrap());
    store.append(Prepared::of(&parcel(number), 0), true, then).unwrap();
    written.recv().unwrap().map_err(|unwritten| unwritten.why)
}

/// Reads until nothing is left: what comes, in order, and how many items are lost.
fn read_all(spool: &Spool) -> (Vec<u64>, u64) {
    let (numbers, lost, errors) = read_through(spool, 1000);
    assert!(errors.is_empty(), "{errors:?}");
    (numbers, lost)
}

/// The same so many bytes at a time, whatever fails meanwhile, and what did.
fn read_through(spool: &Spool, most: usize) -> (Vec<u64>, u64, Vec<io::Error>) {
    let (mut numbers, mut lost, mut errors) = (Vec::new(), 0, Vec::new());
    for _ in 0..10_000 {
        if !spool.has_unread() {
            return (numbers, lost, errors);
        }
        let read = spool.read(most, |piece| {
            lost += piece.lost.items;
            numbers.extend(piece.parcels.iter().map(|read| number(&read.parcel)));
        });
        errors.extend(read.err());
    }
    panic!("it reads for ever");
}

/// A folder as a crash now would leave it.
fn crashed(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|known| known == extension)).collect();
    paths.sort();
    paths
}

/// A folder with records 1 to `records`, as a crash leaves it.
fn written(records: u64, most: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, _) = open_sized(folder.path(), most);
    for number in 1..=records {
        append(&store, number).unwrap();
    }
    crashed(folder.path())
}

#[test]
fn what_was_written_is_there_after_a_crash_in_order_and_goes_when_it_is_done() {
    let folder = written(300, 1 << 30);
    let (store, spool, counters) = open(folder.path());
    assert_eq!(spool.unread().items, 300);
    let mut tickets = Vec::new();
    let mut numbers = Vec::new();
    while spool.has_unread() {
        spool
            .read(5000, |piece| {
                for read in piece.parcels {
                    numbers.push(number(&read.parcel));
                    tickets.push(read.ticket);
                }
            })
            .unwrap();
    }
    assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
    // Half of them are done, and a crash later the other half is there.
    let later = tickets.split_off(150);
    Ticket::settle(tickets);
    store.flush();
    let copy = crashed(folder.path());
    let (_, again, _) = open(copy.path());
    assert_eq!(read_all(&again), ((151..=300).collect(), 0));
    Ticket::settle(later);
    store.flush();
    assert_eq!(files(folder.path(), "seg").len() + files(folder.path(), "done").len(), 0);
    assert_eq!(counters.disk_bytes.get(), 0);
    assert_eq!(counters.quarantined.get(), 0);
}

#[test]
fn a_cut_at_every_byte_of_the_last_records_costs_these_alone() {
    let folder = written(5, 1 << 30);
    let [segment] = &files(folder.path(), "seg")[..] else { panic!("one segment") };
    let whole = fs::read(segment).unwrap();
    let each = (whole.len() - Segment::START as usize) / 5;
    for end in whole.len() - 2 * each..whole.len() {
        fs::write(segment, &whole[..end]).unwrap();
        let copy = crashed(folder.path());
        let (store, spool, counters) = open(copy.path());
        let left = ((end - Segment::START as usize) / each) as u64;
        assert_eq!(read_all(&spool), ((1..=left).collect(), 0), "cut at {end}");
        // It goes on, and never takes up a number again.
        assert!(append(&store, 77).unwrap().sequence > left);
        // What was being written at the end was promised to nobody.
        assert_eq!(counters.quarantined.get(), 0, "cut at {end}");
    }
}

#[test]
fn a_flip_at_every_byte_of_the_last_records_is_set_aside_and_costs_one() {
    let folder = written(4, 1 << 30);
    let [segment] = &files(folder.path(), "seg")[..] else { panic!("one segment") };
    let whole = fs::read(segment).unwrap();
    let each = (whole.len() - Segment::START as usize) / 4;
    for at in whole.len() - 2 * each..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(segment, &bytes).unwrap();
        let copy = crashed(folder.path());
        let (store, spool, counters) = open(copy.path());
        let hit = ((at - Segment::START as usize) / each) as u64 + 1;
        let (numbers, _) = read_all(&spool);
        assert_eq!(numbers, (1..=4).filter(|&number| number != hit).collect::<Vec<_>>(), "byte {at}");
        assert_eq!(counters.quarantined.get(), 1, "byte {at}");
        let kept = files(&copy.path().join("quarantine"), "bin");
        assert_eq!(fs::read(&kept[0]).unwrap().len(), each, "byte {at}");
        append(&store, 77).unwrap();
    }
}

#[test]
fn a_flip_at_every_byte_of_a_preface_costs_nothing_unless_it_names_another_version() {
    let folder = written(2, 1 << 30);
    let [segment] = &files(folder.path(), "seg")[..] else { panic!("one segment") };
    let whole = fs::read(segment).unwrap();
    for at in 0..Segment::START as usize {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        fs::write(segment, &bytes).unwrap();
        let copy = crashed(folder.path());
        let (_, spool, counters) = open(copy.path());
        assert_eq!(read_all(&spool), (vec![1, 2], 0));
        assert_eq!(counters.quarantined.get(), 1);
    }
    let mut newer = whole;
    newer[16] = 9;
    let check = crc32fast::hash(&newer[..20]).to_le_bytes();
    newer[20..24].copy_from_slice(&check);
    fs::write(segment, &newer).unwrap();
    let error = Store::open(crashed(folder.path()).path(), 1 << 30, counters()).unwrap_err().to_string();
    assert!(error.contains("format 9") && error.contains(".seg"), "{error}");
}

#[test]
fn missing_short_empty_and_unknown_files_are_put_up_with() {
    // Segments of 64 KiB, about 370 records each.
    let folder = written(1200, 1);
    let segments = files(folder.path(), "seg");
    assert!(segments.len() >= 4, "{segments:?}");
    fs::remove_file(&segments[1]).unwrap();
    let short = fs::read(&segments[2]).unwrap();
    fs::write(&segments[2], &short[..short.len() / 2]).unwrap();
    fs::write(folder.path().join("ffffffffffff0000.seg"), b"").unwrap();
    fs::write(folder.path().join("0000000000000000.seg"), b"tracemill").unwrap();
    fs::write(folder.path().join("00000000000000ff.done"), b"left behind").unwrap();
    fs::write(folder.path().join("notes.txt"), b"of somebody else").unwrap();
    let (store, spool, counters) = open(folder.path());
    let (numbers, _) = read_all(&spool);
    assert!(numbers.is_sorted() && numbers.len() > 400 && numbers.len() < 1200, "{}", numbers.len());
    assert_eq!((numbers[0], *numbers.last().unwrap()), (1, 1200));
    // The half record at the end of the short one: it was not the newest.
    assert_eq!(counters.quarantined.get(), 1);
    append(&store, 77).unwrap();
    assert!(folder.path().join("notes.txt").exists());
}

#[test]
fn a_full_disk_refuses_keeps_what_was_written_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, counters) = open(folder.path());
    append(&store, 1).unwrap();
    // In mid-record.
    *store.faults().room.lock() = Some(100);
    let why = append(&store, 2).unwrap_err();
    assert!(why.contains(&folder.path().display().to_string()), "{why}");
    assert_eq!(store.trouble(), Some(why));
    assert_eq!(counters.failed_commits.get(), 1);
    *store.faults().room.lock() = None;
    append(&store, 3).unwrap();
    assert_eq!((store.trouble(), store.last_trouble()), (None, None));
    let copy = crashed(folder.path());
    let (_, again, counters) = open(copy.path());
    assert_eq!(read_all(&again), (vec![1, 3], 0));
    assert_eq!(counters.quarantined.get(), 0);
}

#[test]
fn a_full_disk_gets_back_what_is_delivered_however_often_senders_try() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, _) = open(folder.path());
    let slot = append(&store, 1).unwrap();
    store.done([(slot.segment, slot.sequence)]);
    // Noted before the next one comes: what is asked for at the same time is done in whatever order suits.
    let begun = Instant::now();
    while files(folder.path(), "done").is_empty() && !files(folder.path(), "seg").is_empty() {
        assert!(begun.elapsed() < Duration::from_mins(1), "what is done is noted");
        std::thread::sleep(Duration::from_millis(1));
    }
    *store.faults().room.lock() = Some(100);
    append(&store, 2).unwrap_err();
    assert!(files(folder.path(), "seg").is_empty(), "it is not kept for what cannot be written");
}

#[test]
fn after_a_failed_sync_nothing_is_promised_on_the_strength_of_a_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, _) = open(folder.path());
    let before = append(&store, 1).unwrap();
    store.faults().sync.store(true, Ordering::Relaxed);
    append(&store, 2).unwrap_err();
    store.faults().sync.store(false, Ordering::Relaxed);
    let after = append(&store, 3).unwrap();
    assert_ne!(before.segment.id(), after.segment.id(), "the segment that did not sync is left alone");
    let copy = crashed(folder.path());
    let (_, again, _) = open(copy.path());
    let (numbers, _) = read_all(&again);
    assert!(numbers.contains(&1) && numbers.contains(&3), "{numbers:?}");
}

#[test]
fn what_waits_while_the_disk_is_busy_is_one_group() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, counters) = open(folder.path());
    let (busy, go) = channel::<()>();
    let (sender, written) = channel();
    // The writer's thread is held by the first one's end.
    let first: Then = Box::new(move |_| go.recv().unwrap());
    store.append(Prepared::of(&parcel(0), 0), true, first).unwrap();
    until_taken(&store);
    for number in 1..=500 {
        let sender = sender.clone();
        let then: Then = Box::new(move |outcome| sender.send(outcome.is_ok()).unwrap());
        store.append(Prepared::of(&parcel(number), 0), true, then).unwrap();
    }
    busy.send(()).unwrap();
    assert!((0..500).all(|_| written.recv().unwrap()));
    assert_eq!(counters.commits.get(), 2);
}

#[test]
fn a_folder_has_one_user_and_errors_name_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, _spool, _) = open(folder.path());
    let error = Store::open(folder.path(), 1, counters()).unwrap_err().to_string();
    assert!(error.contains("in use") && error.contains(&folder.path().display().to_string()), "{error}");
    let file = folder.path().join("lock");
    let error = Store::open(&file.join("below"), 1, counters()).unwrap_err().to_string();
    assert!(error.contains("below") && error.contains("queue.folder"), "{error}");
}

#[test]
fn a_segment_that_goes_before_it_is_read_is_counted_as_lost_and_nothing_stops() {
    let folder = written(1200, 1);
    let (store, spool, _) = open(folder.path());
    let segments = files(folder.path(), "seg");
    fs::remove_file(&segments[1]).unwrap();
    fs::remove_file(segments.last().unwrap()).unwrap();
    // The errors are for the log.
    let (came, lost, _) = read_through(&spool, 1000);
    let came = came.len() as u64;
    assert_eq!(came + lost, 1200);
    assert!(came > 300 && lost > 300, "{came} came, {lost} lost");
    assert_eq!(spool.unread(), Sum::default());
    append(&store, 77).unwrap();
}

#[test]
fn a_file_that_ends_while_it_is_read_gives_what_came_before_once_and_the_rest_is_lost() {
    let folder = written(100, 1 << 30);
    let (store, spool, _) = open(folder.path());
    let [segment] = &files(folder.path(), "seg")[..] else { panic!("one segment") };
    let each = (fs::metadata(segment).unwrap().len() - Segment::START) / 100;
    // In mid-record, after it was found whole.
    File::options().write(true).open(segment).unwrap().set_len(Segment::START + each * 40 + each / 2).unwrap();
    // More at once than the file has left.
    let (numbers, lost, _) = read_through(&spool, 1 << 20);
    assert_eq!((numbers, lost), ((1..=40).collect(), 60));
    assert_eq!(spool.unread(), Sum::default());
    append(&store, 177).unwrap();
}

#[test]
fn a_segment_that_the_disk_will_not_give_is_counted_as_lost_and_nothing_stops() {
    let folder = written(1200, 1);
    let (store, spool, _) = open(folder.path());
    let segment = &files(folder.path(), "seg")[1];
    fs::remove_file(segment).unwrap();
    // At the places that a segment has, no memory is mapped: the kernel answers EIO.
    std::os::unix::fs::symlink("/proc/self/mem", segment).unwrap();
    let (came, lost, errors) = read_through(&spool, 1000);
    assert!(errors.iter().all(|error| error.raw_os_error() == Some(nix::libc::EIO)), "{errors:?}");
    let came = came.len() as u64;
    assert_eq!(came + lost, 1200);
    assert!(lost > 100 && lost < 600, "{came} came, {lost} lost");
    assert!((3..20).contains(&errors.len()), "each place is tried again, and given up: {errors:?}");
    append(&store, 77).unwrap();
}

#[test]
fn neither_files_nor_descriptors_are_left_behind_by_segments_that_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, _) = open_sized(folder.path(), 1);
    let mut segments = std::collections::BTreeSet::new();
    for round in 0..20 {
        let (sender, written) = channel();
        for number in 0..200 {
            let sender = sender.clone();
            let then: Then = Box::new(move |outcome| sender.send(outcome.unwrap()).unwrap());
            store.append(Prepared::of(&parcel(round * 200 + number), 0), false, then).unwrap();
        }
        let slots: Vec<_> = written.iter().take(200).collect();
        segments.extend(slots.iter().map(|slot| slot.segment.id()));
        store.done(slots.into_iter().map(|slot| (slot.segment, slot.sequence)));
    }
    store.flush();
    assert!(segments.len() > 5, "{segments:?}");
    // The segment that is written to, its list, the folder's lock, and what is new at this moment.
    let is_ours = |link: &Path| fs::read_link(link).is_ok_and(|file| file.starts_with(folder.path()));
    let descriptors = fs::read_dir("/proc/self/fd").unwrap().filter(|entry| is_ours(&entry.as_ref().unwrap().path()));
    assert!(descriptors.count() <= 4);
    assert!(fs::read_dir(folder.path()).unwrap().count() <= 4);
}
