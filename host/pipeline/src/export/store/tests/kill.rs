//! kill -9 at every step of a record on the disk. What the process has written by then is what the next one finds.

use std::collections::BTreeSet;

use super::super::steps::{Step, Watch};
use super::*;

const STEPS: [Step; 8] =
    [Step::Made, Step::Begun, Step::Listed, Step::Written, Step::Synced, Step::Answered, Step::Noted, Step::Removed];

/// What a test knows of a store that is running.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Whose senders were told that they are safe.
    answered: BTreeSet<u64>,
    /// Which have been delivered; all of them but the last are noted.
    delivered: BTreeSet<u64>,
}

/// The folder at one step, and what was known then.
struct Moment {
    step: Step,
    folder: TempDir,
    known: Known,
}

/// Fills and empties a folder, and looks at each step.
fn moments() -> Vec<Moment> {
    let folder = tempfile::tempdir().unwrap();
    let (store, _spool, _) = open(folder.path());
    let (known, moments) = (Arc::<Mutex<Known>>::default(), Arc::<Mutex<Vec<Moment>>>::default());
    *store.faults().watch.lock() = Watch(Some({
        let (folder, known, moments) = (folder.path().to_owned(), Arc::clone(&known), Arc::clone(&moments));
        Box::new(move |step| {
            let moment = Moment { step, folder: crashed(&folder), known: known.lock().clone() };
            moments.lock().push(moment);
        })
    }));
    // Two segments, one after the other: the first goes when all of it is delivered.
    for first in [1, 21] {
        let (sender, written) = channel();
        for number in first..first + 20 {
            let (sender, known) = (sender.clone(), Arc::clone(&known));
            let then: Then = Box::new(move |outcome| {
                known.lock().answered.insert(number);
                sender.send((number, outcome.unwrap())).unwrap();
            });
            store.append(Prepared::of(&parcel(number), 0), true, then).unwrap();
            if number % 3 == 0 {
                // Groups of one and of several.
                until_taken(&store);
            }
        }
        for (number, slot) in written.iter().take(20) {
            known.lock().delivered.insert(number);
            store.done([(slot.segment, slot.sequence)]);
            store.flush();
        }
    }
    store.faults().watch.lock().0 = None;
    drop(store);
    Arc::into_inner(moments).unwrap().into_inner()
}

#[test]
fn wherever_it_is_killed_what_was_answered_comes_once_and_what_is_noted_stays_done() {
    let moments = moments();
    for step in STEPS {
        assert!(moments.iter().any(|moment| moment.step == step), "{step:?} was not reached");
    }
    for Moment { step, folder, known } in moments {
        let (store, spool, counters) = open(folder.path());
        let (numbers, lost) = read_all(&spool);
        let came: BTreeSet<u64> = numbers.iter().copied().collect();
        let missing: Vec<_> = known.answered.difference(&known.delivered).filter(|&one| !came.contains(one)).collect();
        assert!(missing.is_empty(), "{step:?}: answered and gone: {missing:?}");
        assert_eq!(numbers.len(), came.len(), "{step:?}: one of {numbers:?} came twice");
        // The last may be on its way to the list.
        let again: Vec<_> = known.delivered.intersection(&came).collect();
        let most = usize::from(!matches!(step, Step::Noted | Step::Removed));
        assert!(again.len() <= most, "{step:?}: noted and sent again: {again:?}");
        assert!(numbers.is_sorted(), "{step:?}: {numbers:?}");
        assert_eq!((lost, counters.quarantined.get()), (0, 0), "{step:?}: a crash is no damage");
        // It goes on from there.
        append(&store, 777).unwrap();
    }
}
