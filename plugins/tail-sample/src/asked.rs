//! Who is asked in which order, and what comes of the votes.
//!
//! What drops comes first, as in the Collector. Of what keeps, questions and shares come before rates, which count only what nobody keeps for
//! certain, and limits come last, as they take from what others could have.

use tracemill_sdk::prelude::*;

use crate::early;
use crate::policy::{Call, Case, Nature, Policy};
use crate::predicate::Predicate;
use crate::vote::{Poll, Verdict, Vote};

/// A policy with what is said where it decides.
pub struct Named {
    /// The policy.
    pub policy: Policy,
    /// What is said.
    pub reason: Reason,
    /// When it is asked.
    pub nature: Nature,
    /// True if a yes stays a yes however the trace grows.
    is_final: bool,
}

impl Named {
    /// A policy over these questions.
    pub fn new(policy: Policy, reason: Reason, predicates: &[Predicate]) -> Self {
        let nature = policy.nature();
        let is_final = early::conditions(&policy, predicates).is_some();
        Self { policy, reason, nature, is_final }
    }
}

/// The policies, as they are asked about one trace after another.
pub struct Asked<'s> {
    /// Those that drop.
    pub drops: &'s [Named],
    /// Those that thin what others keep.
    pub caps: &'s [Named],
    /// Those that keep.
    pub keeps: &'s [Named],
    /// Whether limits are spared where an earlier policy has kept the trace.
    pub first_match: bool,
}

impl Asked<'_> {
    /// What all policies say.
    pub fn poll(&self, call: &mut Call<'_, '_>, case: &mut Case<'_>) -> Poll<Reason> {
        let mut poll = Poll::new();
        for named in self.drops {
            poll.drop(named.policy.vote(call, case), named.reason);
            if poll.is_dropped() {
                return poll;
            }
        }
        self.cap(&mut poll, call, case);
        let mut first_to_hold = usize::MAX;
        for nature in [Nature::Pure, Nature::Counting, Nature::Choosing] {
            // What is kept for certain is no part of what a rate is made for.
            if nature == Nature::Counting && poll.is_certain() {
                continue;
            }
            // What goes whoever keeps it takes nothing from what others could have.
            if nature == Nature::Choosing && !poll.allows(case.randomness) {
                break;
            }
            for (index, named) in self.keeps.iter().enumerate().filter(|(_, named)| named.nature == nature) {
                if nature == Nature::Choosing && self.first_match && first_to_hold < index {
                    continue;
                }
                case.part = None;
                let vote = named.policy.vote(call, case);
                if vote.holds(case.randomness) {
                    first_to_hold = first_to_hold.min(index);
                }
                poll.keep(vote, case.part.unwrap_or(named.reason));
            }
        }
        poll
    }

    /// What the policies say whose yes is final, of a trace that is still growing; none if there is no yes yet.
    pub fn certain(&self, call: &mut Call<'_, '_>, case: &mut Case<'_>) -> Option<Verdict<Reason>> {
        if !self.drops.is_empty() {
            return None;
        }
        let mut is_yes = |named: &&Named| named.is_final && named.policy.vote(call, case) == Vote::YES;
        let named = self.keeps.iter().find(&mut is_yes)?;
        let mut poll = Poll::new();
        self.cap(&mut poll, call, case);
        poll.keep(Vote::YES, named.reason);
        Some(poll.verdict(case.randomness))
    }

    fn cap(&self, poll: &mut Poll<Reason>, call: &mut Call<'_, '_>, case: &mut Case<'_>) {
        for named in self.caps {
            if let Vote::By(probability) = named.policy.vote(call, case) {
                poll.cap(probability);
            }
        }
    }
}
