//! Who answers for spans that were taken, for a sender that can send them again: one that reads from a log and says how far it has come.
//!
//! A receiver makes one custody for what it hands over, and clones of it (`Arc`) travel with the spans: with the request, with the
//! parcel in a queue, in the trace buffer. Whoever lets go of its spans for good (delivered, on a disk, dropped by a rule that is counted)
//! just drops its clone. Whoever loses them first says [`Custody::fail`]. When the last clone is gone, the receiver hears which it was.
//!
//! A receiver may lose what it reads from to another ([`Custody::is_gone`]): then what is under its custody comes again there, and whoever has not
//! decided yet what becomes of it need not do so.
//!
//! Invariant: the receiver hears exactly once of each custody, after the last clone is gone; never `Settled` if anybody has failed, or
//! if a panic has dropped that clone.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What became of all spans under one custody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nobody needs them again.
    Settled,
    /// Some may be lost: they are to be sent again.
    Failed,
}

type Then = Box<dyn FnOnce(Fate) + Send + Sync>;

/// Says, once it is set, that what somebody reads from is another's.
pub type Gone = Arc<AtomicBool>;

/// A counted guard over spans: see the module's text. Counted by the `Arc` around it.
pub struct Custody {
    failed: AtomicBool,
    kind: Kind,
}

enum Kind {
    /// Of what a receiver has handed over.
    Own(Option<Then>, Option<Gone>),
    /// Of what was joined: those of its parts.
    Joined(Vec<Arc<Custody>>),
}

impl Custody {
    /// A custody whose end `then` hears of, on the thread that drops the last clone: it must not wait.
    pub fn new(then: impl FnOnce(Fate) + Send + Sync + 'static) -> Arc<Self> {
        Self::own(then, None)
    }

    /// The same of what comes again elsewhere once `gone` is set.
    pub fn until_gone(gone: Gone, then: impl FnOnce(Fate) + Send + Sync + 'static) -> Arc<Self> {
        Self::own(then, Some(gone))
    }

    fn own(then: impl FnOnce(Fate) + Send + Sync + 'static, gone: Option<Gone>) -> Arc<Self> {
        Arc::new(Self { failed: AtomicBool::new(false), kind: Kind::Own(Some(Box::new(then)), gone) })
    }

    /// One for all of what was joined: each part ends no sooner than this does. `None` where nobody asks.
    pub fn join<'c>(parts: impl IntoIterator<Item = &'c Option<Arc<Self>>>) -> Option<Arc<Self>> {
        let mut parts: Vec<_> = parts.into_iter().flatten().cloned().collect();
        if parts.len() <= 1 {
            return parts.pop();
        }
        Some(Arc::new(Self { failed: AtomicBool::new(false), kind: Kind::Joined(parts) }))
    }

    /// Whether all of it comes again elsewhere, unless it is delivered from here. Who lets go of it because of that says [`Custody::fail`].
    pub fn is_gone(&self) -> bool {
        match &self.kind {
            Kind::Own(_, gone) => gone.as_ref().is_some_and(|gone| gone.load(Ordering::Relaxed)),
            Kind::Joined(parts) => parts.iter().all(|part| part.is_gone()),
        }
    }

    /// Whether that may ever be so.
    pub fn may_go(&self) -> bool {
        match &self.kind {
            Kind::Own(_, gone) => gone.is_some(),
            Kind::Joined(parts) => parts.iter().all(|part| part.may_go()),
        }
    }

    /// Whether what is under one goes when what is under the other does: joined, all of it is known to have gone as soon as a part has.
    #[must_use]
    pub fn go_together(one: Option<&Self>, other: Option<&Self>) -> bool {
        let gone = |custody: Option<&Self>| match &custody?.kind {
            Kind::Own(_, gone) => gone.as_ref().map(Arc::as_ptr),
            Kind::Joined(_) => None,
        };
        gone(one) == gone(other)
    }

    /// Spans are lost here that nobody else has: whoever sent them is to send them again.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        if let Kind::Joined(parts) = &self.kind {
            for part in parts {
                part.fail();
            }
        }
    }
}

impl Drop for Custody {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail();
        }
        if let Kind::Own(then, _) = &mut self.kind
            && let Some(then) = then.take()
        {
            // The last clone was released after all others: what they stored is seen here.
            then(if *self.failed.get_mut() { Fate::Failed } else { Fate::Settled });
        }
    }
}

impl fmt::Debug for Custody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = if let Kind::Joined(parts) = &self.kind { parts.len() } else { 0 };
        f.debug_struct("Custody").field("failed", &self.failed).field("parts", &parts).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use parking_lot::Mutex;
    use proptest::prelude::*;

    use super::*;

    /// Custodies that note their ends, in order.
    #[derive(Clone, Default)]
    struct Ends(Arc<Mutex<Vec<(usize, Fate)>>>);

    impl Ends {
        fn custody(&self, number: usize) -> Arc<Custody> {
            let ends = self.clone();
            Custody::new(move |fate| ends.0.lock().push((number, fate)))
        }

        fn so_far(&self) -> Vec<(usize, Fate)> {
            self.0.lock().clone()
        }
    }

    #[test]
    fn the_last_clone_tells_and_only_that() {
        let ends = Ends::default();
        let one = ends.custody(1);
        let other = Arc::clone(&one);
        drop(one);
        assert_eq!(ends.so_far(), []);
        drop(other);
        assert_eq!(ends.so_far(), [(1, Fate::Settled)]);
    }

    #[test]
    fn what_fails_anywhere_has_failed() {
        let ends = Ends::default();
        let one = ends.custody(1);
        let other = Arc::clone(&one);
        one.fail();
        drop(one);
        drop(other);
        assert_eq!(ends.so_far(), [(1, Fate::Failed)]);
    }

    #[test]
    fn what_a_panic_drops_has_failed() {
        let ends = Ends::default();
        let one = ends.custody(1);
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _held = one;
            panic!("as a test");
        }));
        assert!(panicked.is_err());
        assert_eq!(ends.so_far(), [(1, Fate::Failed)]);
    }

    #[test]
    fn nobody_asks_for_what_no_receiver_answers_for() {
        let ends = Ends::default();
        assert!(Custody::join(&[None, None]).is_none());
        let only = Some(ends.custody(1));
        let joined = Custody::join([&None, &only]).unwrap();
        assert!(Arc::ptr_eq(&joined, only.as_ref().unwrap()), "one alone is not wrapped");
    }

    #[test]
    fn what_is_joined_has_gone_when_all_of_it_has() {
        let gone = [Gone::default(), Gone::default()];
        let parts = gone.clone().map(|gone| Some(Custody::until_gone(gone, |_| ())));
        let joined = Custody::join(&parts).unwrap();
        gone[0].store(true, Ordering::Relaxed);
        assert!(parts[0].as_ref().unwrap().is_gone() && !joined.is_gone());
        gone[1].store(true, Ordering::Relaxed);
        assert!(joined.is_gone());
        assert!(!Custody::new(|_| ()).is_gone());
    }

    #[test]
    fn what_is_read_from_one_place_goes_together() {
        let [here, there] = [Gone::default(), Gone::default()];
        let of = |gone: &Gone| Custody::until_gone(Arc::clone(gone), |_| ());
        let [one, other, elsewhere, stays] = [of(&here), of(&here), of(&there), Custody::new(|_| ())];
        assert!(Custody::go_together(Some(&one), Some(&other)));
        assert!(!Custody::go_together(Some(&one), Some(&elsewhere)));
        assert!(!Custody::go_together(Some(&one), Some(&stays)) && !Custody::go_together(None, Some(&one)));
        assert!(Custody::go_together(None, Some(&stays)) && Custody::go_together(None, None), "neither ever goes");
    }

    proptest! {
        /// Whatever is joined with whatever, dropped in any order: each end is told once, when the last that holds it is gone, and failures
        /// reach exactly the parts of what failed.
        #[test]
        fn each_end_is_told_once_and_truly(
            joins in prop::collection::vec((prop::collection::vec(0..6_usize, 1..4), any::<bool>()), 0..6),
            order in Just((0..12_usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let ends = Ends::default();
            let own: Vec<Option<Arc<Custody>>> = (0..6).map(|number| Some(ends.custody(number))).collect();
            let mut failed = [false; 6];
            let mut all: Vec<(Vec<usize>, Option<Arc<Custody>>)> = Vec::new();
            for (parts, fails) in &joins {
                let joined = Custody::join(parts.iter().map(|part| &own[*part]));
                if *fails {
                    joined.as_ref().unwrap().fail();
                    for part in parts {
                        failed[*part] = true;
                    }
                }
                all.push((parts.clone(), joined));
            }
            all.extend(own.into_iter().enumerate().map(|(number, custody)| (vec![number], custody)));
            for at in order.into_iter().filter(|at| *at < joins.len() + 6) {
                all[at].1 = None;
                for (number, has_failed) in failed.iter().enumerate() {
                    let is_held = all.iter().any(|(parts, custody)| custody.is_some() && parts.contains(&number));
                    let told: Vec<_> = ends.so_far().into_iter().filter(|(told, _)| *told == number).collect();
                    let fate = if *has_failed { Fate::Failed } else { Fate::Settled };
                    prop_assert_eq!(told, if is_held { vec![] } else { vec![(number, fate)] });
                }
            }
        }
    }
}
