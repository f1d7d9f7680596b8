//! The plugin: all policies together, over the traces of a call.

use std::time::Duration;

use tracemill_sdk::prelude::*;

use crate::asked::{Asked, Named};
use crate::build::Builder;
use crate::early;
use crate::fields::Hashed;
use crate::linked::{Known, Linked, MOST_REMEMBERED, REMEMBERED};
use crate::policy::{Call, Case, Nature};
use crate::predicate::Predicate;
use crate::randomness::Randomness;
use crate::rates::Rates;
use crate::settings::{self, Kind, Otherwise, Settings};
use crate::vote::{Verdict, Vote};

/// When a trace that was asked about early, and in vain, may be asked about again.
const NOT_YET: Duration = Duration::from_secs(1);

/// The plugin.
pub struct TailSample {
    drops: Vec<Named>,
    caps: Vec<Named>,
    keeps: Vec<Named>,
    linked: Option<(Linked, Reason)>,
    predicates: Vec<Predicate>,
    rates: Vec<Rates>,
    /// The trace state, where the randomness of traces has to be known.
    states: Option<Column<Words>>,
    first_match: bool,
    otherwise: Otherwise,
    nobody: Reason,
}

impl Sampler for TailSample {
    type Settings = Settings;

    fn configure(settings: Settings, plan: &mut SamplerPlanBuilder) -> Result<Self, Refusal> {
        check_names(&settings.policies)?;
        let nobody = plan.reason("no policy keeps it");
        let mut linked = None;
        let (mut drops, mut caps, mut keeps) = (Vec::new(), Vec::new(), Vec::new());
        let mut builder = Builder::new(plan);
        for (index, written) in settings.policies.into_iter().enumerate() {
            let at = format!("policies[{index}]");
            let reason = builder.plan.reason(written.name.clone());
            match written.kind {
                Kind::Drop => drops.push(drop(written, &at, reason, &mut builder)?),
                Kind::StressRelief => caps.push(cap(&written, &at, reason, &mut builder)?),
                Kind::Linked => {
                    written.check(&at)?;
                    let remember = written.linked.unwrap_or_default().remember.unwrap_or(REMEMBERED);
                    if linked.is_some() || !(16..=MOST_REMEMBERED).contains(&remember) {
                        let problem = "stands once, and remembers 16 to 65,536 traces";
                        return Err(Refusal::at(&at, problem));
                    }
                    builder.looks_at_spans = true;
                    linked = Some((Linked::declare(remember, builder.plan), reason));
                }
                _ => {
                    let name = written.name.clone();
                    let policy = builder.policy(written, &at, &name)?;
                    keeps.push(Named::new(policy, reason, &builder.predicates));
                }
            }
        }
        let Builder { plan, predicates, rates, looks_at_spans, looks_at_roots, has_salt, .. } = builder;
        if has_salt {
            host::log(Level::Info, "hash_salt says nothing here: shares are decided by each trace's own randomness");
        }
        let all = || drops.iter().chain(&caps).chain(&keeps);
        let chooses = linked.is_some() || all().any(|named| named.nature == Nature::Choosing);
        let states = (chooses && all().any(|named| named.policy.has_share())).then(|| plan.words("trace_state"));
        if (states.is_some() || looks_at_roots) && !looks_at_spans {
            plan.show(Show::Roots);
        }
        // What may be dropped for spans yet to come is not decided early.
        if drops.is_empty() {
            for list in keeps.iter().filter_map(|named| early::conditions(&named.policy, &predicates)).flatten() {
                plan.early(list.into_iter().map(Into::into));
            }
        }
        let (first_match, otherwise) = (settings.sample_on_first_match, settings.otherwise);
        Ok(Self { drops, caps, keeps, linked, predicates, rates, states, first_match, otherwise, nobody })
    }

    fn decide(&mut self, traces: &Traces<'_>, decisions: &mut Decisions<'_>) -> Result<(), Refusal> {
        let now = host::now();
        self.rates.iter_mut().for_each(|rates| rates.refresh(now));
        let marks = self.predicates.iter().map(|predicate| predicate.judge(traces)).collect();
        let states = self.states.map(|column| traces.read(column));
        let mut known = self.linked.as_ref().map(|(linked, _)| linked.begin(traces));
        let asked = Asked { drops: &self.drops, caps: &self.caps, keeps: &self.keeps, first_match: self.first_match };
        let hashed = Hashed::default();
        let mut call = Call { traces, predicates: &self.predicates, marks, hashed, rates: &mut self.rates };
        for trace in traces {
            let row = trace.root().unwrap_or(trace.rows().start);
            let state = states.filter(|_| !trace.rows().is_empty()).and_then(|states| states.get(row));
            let weight = trace.weight() / f64::from(trace.spans().max(1));
            let mut case = Case {
                trace,
                randomness: Randomness::new(trace.id(), state.map_or(b"", Str::as_bytes)),
                arrived: if weight > 1.0 { 1.0 / weight } else { 1.0 },
                part: None,
            };
            if trace.due() == Due::Early {
                match asked.certain(&mut call, &mut case) {
                    Some(verdict) => {
                        answer(verdict, &case, decisions);
                        remember(verdict, &case, known.as_mut());
                    }
                    None => decisions.wait(&trace, NOT_YET),
                }
                continue;
            }
            let mut poll = asked.poll(&mut call, &mut case);
            let mut verdict = poll.verdict(case.randomness);
            let is_kept = remember(verdict, &case, known.as_mut());
            if let (Some(known), Some((_, reason)), false) = (known.as_mut(), &self.linked, is_kept)
                && known.has(&trace)
            {
                poll.keep(Vote::Chosen(true), *reason);
                verdict = poll.verdict(case.randomness);
            }
            match (verdict, self.otherwise) {
                (Verdict::Nobody, Otherwise::Drop) => decisions.drop(&trace, self.nobody),
                (Verdict::Nobody, Otherwise::Abstain) => decisions.abstain(&trace),
                (verdict, _) => answer(verdict, &case, decisions),
            }
        }
        if let (Some((linked, _)), Some(known)) = (&self.linked, known) {
            linked.end(known);
        }
        Ok(())
    }
}

/// Remembers a trace that is kept for its own sake; true if it is kept.
fn remember(verdict: Verdict<Reason>, case: &Case<'_>, known: Option<&mut Known>) -> bool {
    let is_kept = match verdict {
        Verdict::Keep(_) | Verdict::Kept(_) => true,
        Verdict::Sample(probability, _) => case.randomness.suffices(probability),
        Verdict::Drop(_) | Verdict::Nobody => false,
    };
    if let (true, Some(known)) = (is_kept, known) {
        known.keep(&case.trace);
    }
    is_kept
}

fn answer(verdict: Verdict<Reason>, case: &Case<'_>, decisions: &mut Decisions<'_>) {
    let trace = &case.trace;
    match verdict {
        Verdict::Keep(reason) => decisions.keep(trace, reason),
        Verdict::Sample(probability, reason) => decisions.sample(trace, probability, Sampling::Equalizing, reason),
        Verdict::Kept(reason) => decisions.kept(trace, None, reason),
        Verdict::Drop(reason) => decisions.drop(trace, reason),
        Verdict::Nobody => decisions.abstain(trace),
    }
}

fn drop(written: settings::Policy, at: &str, reason: Reason, builder: &mut Builder<'_>) -> Result<Named, Refusal> {
    written.check(at)?;
    let subs = written.drop.unwrap_or_default();
    if !subs.and_sub_policy.is_empty() {
        return Err(Refusal::at(&format!("{at}.drop.and_sub_policy"), "belongs to `type: and`"));
    }
    let policy = builder.all(subs.drop_sub_policy, &format!("{at}.drop.drop_sub_policy"), &written.name)?;
    Ok(Named::new(policy, reason, &builder.predicates))
}

fn cap(written: &settings::Policy, at: &str, reason: Reason, builder: &mut Builder<'_>) -> Result<Named, Refusal> {
    written.check(at)?;
    let block = format!("{at}.stress_relief");
    let Some(stress) = &written.stress_relief else { return Err(Refusal::at(&block, "is missing")) };
    let policy = builder.stress(stress, &block, &written.name)?;
    Ok(Named::new(policy, reason, &builder.predicates))
}

fn check_names(policies: &[settings::Policy]) -> Result<(), Refusal> {
    if policies.is_empty() {
        return Err(Refusal::at("policies", "is empty, so that no trace would be kept; name at least one policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        if policies[..index].iter().any(|other| other.name == policy.name && !policy.name.is_empty()) {
            return Err(Refusal::at(&format!("policies[{index}].name"), format!("`{}` is there already", policy.name)));
        }
    }
    Ok(())
}
