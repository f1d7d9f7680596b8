//! Policies as they are asked: a tree of questions, shares and limits, which answers a vote.

use tracemill_sdk::prelude::*;

use crate::fields::{self, Fields, Hashed};
use crate::limit::{self, Limit};
use crate::predicate::Predicate;
use crate::randomness::Randomness;
use crate::rates::{Count, KEY, Key, Rates};
use crate::settings::Unit;
use crate::vote::Vote;

/// A policy.
pub enum Policy {
    /// Yes.
    Always,
    /// A yes-or-no question, by its number, or its opposite.
    Test { predicate: usize, inverted: bool },
    /// A share of all traces.
    Share(f64),
    /// As much as fits.
    Limit(Limit),
    /// The first of each key.
    Rare(Rare),
    /// A share by key.
    Rates(Keyed),
    /// All of several. Questions stand before rates, and these before limits.
    All(Vec<Policy>),
    /// The opposite.
    Not(Box<Policy>),
    /// The first that says yes, within its part of a rate.
    Composite(Vec<Part>),
}

/// The first traces of each key.
pub struct Rare {
    /// Where the keys stand in the state.
    pub name: String,
    /// What makes the key.
    pub fields: Fields,
    /// How many a second, over time.
    pub per_second: f64,
    /// How many at once.
    pub first: u64,
}

/// Rates with what makes their key.
pub struct Keyed {
    /// The rates' number.
    pub rates: usize,
    /// What makes the key.
    pub fields: Fields,
    /// Whether each field is a level of its own.
    pub is_nested: bool,
    /// Whether the number of spans belongs to the key.
    pub with_length: bool,
    /// What is measured.
    pub unit: Unit,
}

/// A policy of a composite.
pub struct Part {
    /// The policy.
    pub policy: Policy,
    /// Its part of the rate.
    pub limit: Limit,
    /// What is said where it keeps a trace.
    pub reason: Reason,
}

/// How far a policy's vote can be foreseen; policies are asked in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nature {
    /// The trace alone says it.
    Pure,
    /// What has come before says it too.
    Counting,
    /// A choice of the sampler's own.
    Choosing,
}

/// What is known in one call.
pub struct Call<'c, 'a> {
    /// The traces.
    pub traces: &'c Traces<'a>,
    /// The questions.
    pub predicates: &'c [Predicate],
    /// The rows that say yes, for each question that looks at rows.
    pub marks: Vec<Option<Mask>>,
    /// What was hashed of their words.
    pub hashed: Hashed,
    /// All rates.
    pub rates: &'c mut [Rates],
}

/// One trace of a call.
pub struct Case<'a> {
    /// The trace.
    pub trace: Trace<'a>,
    /// Its randomness.
    pub randomness: Randomness,
    /// The probability with which it came.
    pub arrived: f64,
    /// The part of a composite that kept it.
    pub part: Option<Reason>,
}

impl Policy {
    /// How far its vote can be foreseen.
    pub fn nature(&self) -> Nature {
        match self {
            Self::Always | Self::Test { .. } | Self::Share(_) => Nature::Pure,
            Self::Rates(_) => Nature::Counting,
            Self::Limit(_) | Self::Rare(_) | Self::Composite(_) => Nature::Choosing,
            Self::All(policies) => policies.iter().map(Self::nature).max().unwrap_or(Nature::Pure),
            Self::Not(policy) => policy.nature(),
        }
    }

    /// True if there is a share in it that is neither all nor nothing.
    pub fn has_share(&self) -> bool {
        match self {
            Self::Share(probability) => *probability > 0.0 && *probability < 1.0,
            Self::Rates(_) => true,
            Self::Always | Self::Test { .. } | Self::Limit(_) | Self::Rare(_) => false,
            Self::All(policies) => policies.iter().any(Self::has_share),
            Self::Not(policy) => policy.has_share(),
            Self::Composite(parts) => parts.iter().any(|part| part.policy.has_share()),
        }
    }

    /// Its vote on a trace.
    pub fn vote(&self, call: &mut Call<'_, '_>, case: &mut Case<'_>) -> Vote {
        match self {
            Self::Always => Vote::YES,
            Self::Test { predicate, inverted } => {
                let holds = call.predicates[*predicate].holds(&case.trace, call.marks[*predicate].as_ref());
                Vote::from(holds != *inverted)
            }
            Self::Share(probability) => Vote::By(*probability),
            Self::Limit(limit) => Vote::Chosen(limit.take(&case.trace)),
            Self::Rare(rare) => Vote::Chosen(rare.take(call, &case.trace)),
            Self::Rates(keyed) => keyed.vote(call, case),
            Self::All(policies) => all(policies, call, case),
            Self::Not(policy) => policy.vote(call, case).not(),
            Self::Composite(parts) => Vote::Chosen(composite(parts, call, case)),
        }
    }
}

/// All of several: what the first denies, the others are not asked about.
fn all(policies: &[Policy], call: &mut Call<'_, '_>, case: &mut Case<'_>) -> Vote {
    let mut least: f64 = 1.0;
    let mut is_chosen = false;
    for policy in policies {
        if policy.nature() == Nature::Choosing && !case.randomness.suffices(least) {
            return Vote::Chosen(false);
        }
        match policy.vote(call, case) {
            Vote::By(probability) if probability <= 0.0 => return Vote::NO,
            Vote::By(probability) => least = least.min(probability),
            Vote::Chosen(false) => return Vote::Chosen(false),
            Vote::Chosen(true) => is_chosen = true,
        }
    }
    if is_chosen { Vote::Chosen(case.randomness.suffices(least)) } else { Vote::By(least) }
}

/// The first part that says yes decides: within its rate the trace is kept, and beyond it nobody else is asked.
fn composite(parts: &[Part], call: &mut Call<'_, '_>, case: &mut Case<'_>) -> bool {
    for part in parts {
        if part.policy.vote(call, case).holds(case.randomness) {
            let fits = part.limit.take(&case.trace);
            case.part = fits.then_some(part.reason);
            return fits;
        }
    }
    false
}

impl Rare {
    fn take(&self, call: &mut Call<'_, '_>, trace: &Trace<'_>) -> bool {
        let hashes = self.fields.hashes(call.traces, trace, &mut call.hashed);
        let key = format!("{}/{:016x}", self.name, fields::join(hashes));
        state::take(&key, 1, 1, self.per_second, self.first) == 1
    }
}

impl Keyed {
    /// A proportion of what arrives, as a probability of the whole.
    fn vote(&self, call: &mut Call<'_, '_>, case: &Case<'_>) -> Vote {
        let mut count = Count { traces: 1.0, cost: limit::cost(&case.trace, self.unit) as f64 };
        if case.trace.due() == Due::Early {
            // There is more of it to come, which will not be asked about.
            count.cost = count.cost.max(call.rates[self.rates].usual_cost());
        }
        let key = self.key(call, &case.trace);
        let share = call.rates[self.rates].share(key, count);
        Vote::By(if share >= 1.0 { 1.0 } else { share * case.arrived })
    }

    fn key(&self, call: &mut Call<'_, '_>, trace: &Trace<'_>) -> Key {
        let mut key = [0; KEY];
        let hashes = self.fields.hashes(call.traces, trace, &mut call.hashed);
        if self.is_nested {
            key.iter_mut().zip(hashes).for_each(|(part, hash)| *part = hash);
        } else {
            let length = self.with_length.then(|| u64::from(trace.spans()));
            key[0] = fields::join(hashes.chain(length));
        }
        key
    }
}
