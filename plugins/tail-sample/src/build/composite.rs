//! Composites: several policies that share a rate of spans a second.

use tracemill_sdk::prelude::*;

use super::Builder;
use crate::limit::Limit;
use crate::policy::{Part, Policy};
use crate::settings::{self, Composite, Unit};

impl Builder<'_> {
    pub(super) fn composite(&mut self, composite: Composite, block: &str, name: &str) -> Result<Policy, Refusal> {
        let total = composite.max_total_spans_per_second;
        if total == 0 {
            return Err(Refusal::at(&format!("{block}.max_total_spans_per_second"), "must be at least 1"));
        }
        let subs = in_order(composite.composite_sub_policy, &composite.policy_order, block)?;
        let percents = percents(&subs, &composite.rate_allocation, block)?;
        let mut parts = Vec::with_capacity(subs.len());
        for ((index, sub), percent) in subs.into_iter().zip(percents) {
            let name = format!("{name}/{}", sub.name);
            let policy = self.policy(sub, &format!("{block}.composite_sub_policy[{index}]"), &name)?;
            let rate = total as f64 * percent / 100.0;
            let limit = Limit::new(self.name("limit", &name), Unit::Spans, rate, (rate as u64).max(1));
            parts.push(Part { policy, limit, reason: self.plan.reason(name) });
        }
        Ok(Policy::Composite(parts))
    }
}

/// The sub-policies with where they stand, in the order in which they are asked.
fn in_order(
    subs: Vec<settings::Policy>,
    order: &[String],
    block: &str,
) -> Result<Vec<(usize, settings::Policy)>, Refusal> {
    let at = |key: &str| format!("{block}.{key}");
    if subs.is_empty() {
        return Err(Refusal::at(&at("composite_sub_policy"), "is empty; name at least one policy"));
    }
    let mut left: Vec<_> = subs.into_iter().enumerate().collect();
    if order.is_empty() {
        return Ok(left);
    }
    let mut ordered = Vec::with_capacity(left.len());
    for (index, name) in order.iter().enumerate() {
        let found = left.iter().position(|(_, sub)| sub.name == *name);
        let found = found.ok_or_else(|| {
            Refusal::at(
                &format!("{}[{index}]", at("policy_order")),
                format!("there is no sub-policy named `{name}` left"),
            )
        })?;
        ordered.push(left.remove(found));
    }
    match left.first() {
        Some((_, sub)) => {
            let problem = format!("leaves out `{}`; name every sub-policy, or none", sub.name);
            Err(Refusal::at(&at("policy_order"), problem))
        }
        None => Ok(ordered),
    }
}

/// What each sub-policy gets, out of a hundred.
fn percents(
    subs: &[(usize, settings::Policy)],
    allocation: &[settings::Allocation],
    block: &str,
) -> Result<Vec<f64>, Refusal> {
    let at = format!("{block}.rate_allocation");
    let mut percents: Vec<Option<u64>> = vec![None; subs.len()];
    for (index, entry) in allocation.iter().enumerate() {
        let found = subs.iter().position(|(_, sub)| sub.name == entry.policy);
        let found = found.ok_or_else(|| {
            let problem = format!("there is no sub-policy named `{}`", entry.policy);
            Refusal::at(&format!("{at}[{index}].policy"), problem)
        })?;
        percents[found] = Some(entry.percent).filter(|percent| *percent > 0);
    }
    let given: u64 = percents.iter().flatten().fold(0, |sum, percent| sum.saturating_add(*percent));
    if given > 100 {
        return Err(Refusal::at(&at, format!("adds up to {given} percent; make it 100 at most")));
    }
    let without = percents.iter().filter(|percent| percent.is_none()).count();
    if without > 0 && given == 100 {
        return Err(Refusal::at(&at, "leaves nothing for the sub-policies that it does not name"));
    }
    let rest = (100 - given) as f64 / without.max(1) as f64;
    Ok(percents.into_iter().map(|percent| percent.map_or(rest, |percent| percent as f64)).collect())
}
