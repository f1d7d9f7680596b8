//! Power failures, simulated: of what was written and not synced, any part may be gone or be zeros; of what was removed, any part may be back.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

/// What a test knows of a store that is running.
struct Machine {
    rng: StdRng,
    folder: TempDir,
    /// Another name for each segment that there ever was: they can be brought back.
    kept: TempDir,
    /// Up to where each segment is known to be on the disk.
    synced: Arc<Mutex<BTreeMap<PathBuf, u64>>>,
    next: u64,
    promised: Arc<Mutex<BTreeSet<u64>>>,
    delivered: BTreeSet<u64>,
}

impl Machine {
    /// Has records written, some of which are promised to be safe, and waits for them.
    fn write(&mut self, store: &Store) {
        for _ in 0..self.rng.random_range(1..40) {
            let (number, sync) = (self.next, self.rng.random_bool(0.7));
            self.next += 1;
            let (synced, promised) = (Arc::clone(&self.synced), Arc::clone(&self.promised));
            let kept = self.kept.path().to_owned();
            let then: Then = Box::new(move |outcome| {
                let path = outcome.unwrap().segment.path().to_owned();
                let _there_already = fs::hard_link(&path, kept.join(path.file_name().unwrap()));
                if sync {
                    // On the writer's thread: nothing was written since the sync.
                    synced.lock().insert(path.clone(), fs::metadata(&path).unwrap().len());
                    promised.lock().insert(number);
                }
            });
            store.append(Prepared::of(&parcel(number), 0), sync, then).unwrap();
        }
        until_taken(store);
    }

    /// Reads some, and delivers some of these.
    fn deliver(&mut self, spool: &Spool, waiting: &mut Vec<(u64, Ticket)>) {
        if spool.has_unread() {
            let most = self.rng.random_range(1..4000);
            let read = spool.read(most, |piece| {
                waiting.extend(piece.parcels.into_iter().map(|read| (number(&read.parcel), read.ticket)));
            });
            read.unwrap();
        }
        let some = self.rng.random_range(0..=waiting.len());
        let done: Vec<_> = waiting.drain(..some).collect();
        self.delivered.extend(done.iter().map(|(number, _)| *number));
        Ticket::settle(done.into_iter().map(|(_, ticket)| ticket));
    }

    /// The folder as it may look when the power comes back.
    fn failed(&mut self) -> TempDir {
        let after = tempfile::tempdir().unwrap();
        let here = |path: &Path| after.path().join(path.file_name().unwrap());
        for path in files(self.folder.path(), "seg") {
            let bytes = fs::read(&path).unwrap();
            let safe = (self.synced.lock().get(&path).copied().unwrap_or(0) as usize).min(bytes.len());
            let end = self.rng.random_range(safe..=bytes.len());
            let mut left = bytes[..end].to_vec();
            if self.rng.random_bool(0.5) {
                let from = self.rng.random_range(safe..=end);
                left[from..].fill(0);
            }
            fs::write(here(&path), left).unwrap();
        }
        for path in files(self.folder.path(), "done") {
            let bytes = fs::read(&path).unwrap();
            let end = self.rng.random_range(0..=bytes.len());
            fs::write(here(&path), &bytes[..end]).unwrap();
        }
        for path in files(self.kept.path(), "seg") {
            if !here(&path).exists() && self.rng.random_bool(0.3) {
                fs::copy(&path, here(&path)).unwrap();
            }
        }
        after
    }
}

#[test]
fn what_was_promised_comes_whenever_the_power_fails() {
    let seed: u64 =
        std::env::var("TRACEMILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("TRACEMILL_SEED={seed}");
    for life in 0..20 {
        let mut machine = Machine {
            rng: StdRng::seed_from_u64(seed.wrapping_add(life)),
            folder: tempfile::tempdir().unwrap(),
            kept: tempfile::tempdir().unwrap(),
            synced: Arc::default(),
            next: 1,
            promised: Arc::default(),
            delivered: BTreeSet::new(),
        };
        for _ in 0..6 {
            let after = {
                // Segments of 64 KiB, so that some are removed on the way.
                let (store, spool, _) = open_sized(machine.folder.path(), 1);
                let mut waiting = Vec::new();
                for _ in 0..machine.rng.random_range(1..20) {
                    machine.write(&store);
                    machine.deliver(&spool, &mut waiting);
                }
                store.flush();
                machine.failed()
            };
            machine.kept = tempfile::tempdir().unwrap();
            // What has come back is on the disk.
            let mut synced = machine.synced.lock();
            synced.clear();
            for path in files(after.path(), "seg") {
                fs::hard_link(&path, machine.kept.path().join(path.file_name().unwrap())).unwrap();
                synced.insert(path.clone(), fs::metadata(&path).unwrap().len());
            }
            drop(synced);
            machine.folder = after;
        }
        let (store, spool, _) = open_sized(machine.folder.path(), 1);
        machine.delivered.extend(read_all(&spool).0);
        let missing: Vec<_> = machine.promised.lock().difference(&machine.delivered).copied().collect();
        assert!(missing.is_empty(), "seed {seed}, life {life}: promised and gone: {missing:?}");
        append(&store, 77).unwrap();
    }
}
