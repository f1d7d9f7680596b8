//! What a policy says of a trace, and what several of them say together.
//!
//! Most policies look at the trace and say yes or no. A share says: if the trace's randomness is high enough; that is left to the host,
//! which writes it down as `ot=th`. So a vote is a probability, 0 and 1 among them, and votes combine without losing it:
//!
//! - all of several: the least, as a trace whose randomness suffices for the least suffices for all;
//! - any of several: the greatest;
//! - not: the rest.
//!
//! A rate limit chooses for itself. What depends on one has no probability that could be known, and says yes or no only.

use crate::randomness::Randomness;

/// What a policy says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Vote {
    /// Yes with this probability, decided by the trace's randomness.
    By(f64),
    /// Yes or no, by a choice of the sampler's own.
    Chosen(bool),
}

impl Vote {
    /// Yes.
    pub const YES: Self = Self::By(1.0);
    /// No.
    pub const NO: Self = Self::By(0.0);

    /// True if it is yes for a trace with this randomness.
    pub fn holds(self, randomness: Randomness) -> bool {
        match self {
            Self::By(probability) => randomness.suffices(probability),
            Self::Chosen(yes) => yes,
        }
    }

    /// The opposite. Of a share it is the rest: where one keeps a tenth, the other keeps nine tenths.
    #[must_use]
    pub fn not(self) -> Self {
        match self {
            Self::By(probability) => Self::By(1.0 - probability),
            Self::Chosen(yes) => Self::Chosen(!yes),
        }
    }
}

impl From<bool> for Vote {
    fn from(yes: bool) -> Self {
        if yes { Self::YES } else { Self::NO }
    }
}

/// All votes on a trace, as they come in. `R` says who voted.
#[derive(Debug, Clone)]
pub struct Poll<R> {
    /// The greatest probability, and whose it is.
    best: Option<(f64, R)>,
    /// Who chose to keep the trace.
    chosen: Option<R>,
    /// With which probability at most the trace may be kept.
    limit: f64,
    /// True if a rate limit spared it, so that nothing is known of its probability.
    spared: bool,
    /// Who drops it.
    dropped: Option<R>,
}

/// What becomes of a trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict<R> {
    /// It is kept, whatever its randomness.
    Keep(R),
    /// The host decides by its randomness.
    Sample(f64, R),
    /// It is kept, with a probability that nobody knows.
    Kept(R),
    /// It is dropped.
    Drop(R),
    /// Nobody keeps it.
    Nobody,
}

impl<R: Copy> Poll<R> {
    /// Before anybody has voted.
    pub fn new() -> Self {
        Self { best: None, chosen: None, limit: 1.0, spared: false, dropped: None }
    }

    /// A policy's vote for keeping it. Of equal votes the first counts.
    pub fn keep(&mut self, vote: Vote, by: R) {
        match vote {
            Vote::By(probability) => {
                if probability > self.best.map_or(0.0, |(best, _)| best) {
                    self.best = Some((probability, by));
                }
            }
            Vote::Chosen(true) => self.chosen = self.chosen.or(Some(by)),
            Vote::Chosen(false) => {}
        }
    }

    /// A policy's vote for dropping it. A share that is dropped leaves the rest.
    pub fn drop(&mut self, vote: Vote, by: R) {
        match vote {
            Vote::By(probability) if probability >= 1.0 => self.dropped = self.dropped.or(Some(by)),
            Vote::By(probability) => self.cap(1.0 - probability),
            Vote::Chosen(true) => self.dropped = self.dropped.or(Some(by)),
            Vote::Chosen(false) => self.spared = true,
        }
    }

    /// Whatever keeps it, it is kept with this probability at most.
    pub fn cap(&mut self, probability: f64) {
        self.limit = self.limit.min(probability);
    }

    /// True if nothing can keep it any more.
    pub fn is_dropped(&self) -> bool {
        self.dropped.is_some()
    }

    /// True if what drops a share, or thins everything, leaves a trace with this randomness.
    pub fn allows(&self, randomness: Randomness) -> bool {
        randomness.suffices(self.limit)
    }

    /// True if a policy that voted keeps it whatever its randomness.
    pub fn is_certain(&self) -> bool {
        self.best.as_ref().is_some_and(|(best, _)| *best >= 1.0)
    }

    /// What comes of it.
    pub fn verdict(&self, randomness: Randomness) -> Verdict<R> {
        if let Some(by) = self.dropped {
            return Verdict::Drop(by);
        }
        let best = self.best.map(|(probability, by)| (probability.min(self.limit), by));
        let by_randomness = best.filter(|&(probability, _)| randomness.suffices(probability));
        // Those whose randomness decides for them have a probability, unless a rate limit might have dropped them.
        if let (Some((probability, by)), false) = (by_randomness, self.spared) {
            return if probability >= 1.0 { Verdict::Keep(by) } else { Verdict::Sample(probability, by) };
        }
        let chosen = self.chosen.filter(|_| self.allows(randomness));
        match (by_randomness.map(|(_, by)| by).or(chosen), best) {
            (Some(by), _) => Verdict::Kept(by),
            // The host drops it, and counts for whom.
            (None, Some((probability, by))) if probability > 0.0 && !self.spared => Verdict::Sample(probability, by),
            _ => Verdict::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A randomness that suffices for probabilities of `share` and more.
    fn randomness(share: f64) -> Randomness {
        Randomness::of_fraction(1.0 - share)
    }

    fn poll(keeps: &[Vote], drops: &[Vote]) -> Poll<usize> {
        let mut poll = Poll::new();
        drops.iter().enumerate().for_each(|(index, vote)| poll.drop(*vote, 100 + index));
        keeps.iter().enumerate().for_each(|(index, vote)| poll.keep(*vote, index));
        poll
    }

    /// Votes to keep, votes to drop, the verdict where the randomness suffices for a tenth, and where only for all.
    type Row = (&'static [Vote], &'static [Vote], Verdict<usize>, Verdict<usize>);

    #[test]
    fn verdicts_follow_from_votes() {
        const YES: Vote = Vote::YES;
        const NO: Vote = Vote::NO;
        const TENTH: Vote = Vote::By(0.1);
        const HALF: Vote = Vote::By(0.5);
        const TAKEN: Vote = Vote::Chosen(true);
        const REFUSED: Vote = Vote::Chosen(false);
        let table: &[Row] = &[
            (&[], &[], Verdict::Nobody, Verdict::Nobody),
            (&[NO], &[NO], Verdict::Nobody, Verdict::Nobody),
            (&[NO, YES], &[], Verdict::Keep(1), Verdict::Keep(1)),
            (&[TENTH, HALF, HALF], &[], Verdict::Sample(0.5, 1), Verdict::Sample(0.5, 1)),
            (&[TENTH, YES], &[NO], Verdict::Keep(1), Verdict::Keep(1)),
            (&[YES], &[YES], Verdict::Drop(100), Verdict::Drop(100)),
            (&[YES], &[NO, TAKEN], Verdict::Drop(101), Verdict::Drop(101)),
            (&[YES], &[HALF], Verdict::Sample(0.5, 0), Verdict::Sample(0.5, 0)),
            (&[TENTH], &[HALF], Verdict::Sample(0.1, 0), Verdict::Sample(0.1, 0)),
            (&[TENTH, TAKEN], &[], Verdict::Sample(0.1, 0), Verdict::Kept(1)),
            (&[TENTH, REFUSED], &[], Verdict::Sample(0.1, 0), Verdict::Sample(0.1, 0)),
            (&[TAKEN], &[HALF], Verdict::Kept(0), Verdict::Nobody),
            (&[TAKEN, YES], &[], Verdict::Keep(1), Verdict::Keep(1)),
            (&[YES], &[REFUSED], Verdict::Kept(0), Verdict::Kept(0)),
            (&[TENTH], &[REFUSED], Verdict::Kept(0), Verdict::Nobody),
            (&[REFUSED], &[], Verdict::Nobody, Verdict::Nobody),
        ];
        for (keeps, drops, high, low) in table {
            let poll = poll(keeps, drops);
            assert_eq!(poll.verdict(randomness(0.05)), *high, "{keeps:?} {drops:?} with high randomness");
            assert_eq!(poll.verdict(randomness(0.99)), *low, "{keeps:?} {drops:?} with low randomness");
        }
    }

    fn vote() -> impl Strategy<Value = Vote> {
        prop_oneof![
            Just(Vote::YES),
            Just(Vote::NO),
            (0.0..=1.0).prop_map(Vote::By),
            any::<bool>().prop_map(Vote::Chosen),
        ]
    }

    proptest! {
        /// What is kept is what the votes, taken as yes and no, keep.
        #[test]
        fn a_verdict_keeps_what_the_votes_keep(
            keeps in prop::collection::vec(vote(), 0..5),
            drops in prop::collection::vec(vote(), 0..3),
            fraction in 0.0..1.0,
        ) {
            let randomness = Randomness::of_fraction(fraction);
            let kept = match poll(&keeps, &drops).verdict(randomness) {
                Verdict::Keep(_) | Verdict::Kept(_) => true,
                Verdict::Sample(probability, _) => randomness.suffices(probability),
                Verdict::Drop(_) | Verdict::Nobody => false,
            };
            let wanted = keeps.iter().any(|vote| vote.holds(randomness));
            let spared = drops.iter().all(|vote| vote.not().holds(randomness));
            prop_assert_eq!(kept, wanted && spared);
        }

        /// A probability is written only where it is that of being kept at all: the same votes keep a trace of another
        /// randomness exactly if that suffices.
        #[test]
        fn a_known_probability_is_the_right_one(
            keeps in prop::collection::vec((0.0..=1.0).prop_map(Vote::By), 1..5),
            drops in prop::collection::vec((0.0..=1.0).prop_map(Vote::By), 0..3),
            fraction in 0.0..1.0,
        ) {
            let best = keeps.iter().map(|vote| match vote { Vote::By(p) => *p, Vote::Chosen(_) => 0.0 }).fold(0.0, f64::max);
            let limit = drops.iter().map(|vote| match vote { Vote::By(p) => 1.0 - p, Vote::Chosen(_) => 1.0 }).fold(1.0, f64::min);
            let expected = best.min(limit);
            match poll(&keeps, &drops).verdict(Randomness::of_fraction(fraction)) {
                Verdict::Keep(_) => prop_assert!(expected >= 1.0),
                Verdict::Sample(probability, _) => prop_assert!((probability - expected).abs() < 1e-12),
                Verdict::Kept(_) => prop_assert!(false, "nothing was chosen"),
                Verdict::Drop(_) | Verdict::Nobody => prop_assert!(expected <= 0.0),
            }
        }
    }
}
