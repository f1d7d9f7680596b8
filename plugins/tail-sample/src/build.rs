//! From settings to policies: declares what they look at, and refuses what makes no sense.

mod composite;
mod keyed;
mod questions;

use tracemill_sdk::prelude::*;

use crate::fields::Fields;
use crate::limit::Limit;
use crate::policy::{Nature, Policy, Rare};
use crate::predicate::Predicate;
use crate::rates::Rates;
use crate::settings::{self, Kind, Unit};

/// Policies as they are built, with all that they share.
pub struct Builder<'p> {
    /// Where columns and reasons are declared.
    pub plan: &'p mut SamplerPlanBuilder,
    /// The questions of all policies.
    pub predicates: Vec<Predicate>,
    /// The rates of all policies.
    pub rates: Vec<Rates>,
    /// True if something looks at all spans.
    pub looks_at_spans: bool,
    /// True if something looks at roots.
    pub looks_at_roots: bool,
    /// True if a hash salt is set, which says nothing here.
    pub has_salt: bool,
    /// How many columns of words make keys.
    words: usize,
    /// Names in the state that are taken.
    names: Vec<String>,
}

impl<'p> Builder<'p> {
    /// Before the first policy.
    pub fn new(plan: &'p mut SamplerPlanBuilder) -> Self {
        let (predicates, rates, names) = (Vec::new(), Vec::new(), Vec::new());
        let (looks_at_spans, looks_at_roots, has_salt, words) = (false, false, false, 0);
        Self { plan, predicates, rates, looks_at_spans, looks_at_roots, has_salt, words, names }
    }

    /// A policy. `at` is where it stands in the settings, `name` what it is called, with those that it is within.
    pub fn policy(&mut self, written: settings::Policy, at: &str, name: &str) -> Result<Policy, Refusal> {
        written.check(at)?;
        let block = format!("{at}.{}", written.kind.name());
        let settings::Policy { kind, .. } = written;
        Ok(match kind {
            Kind::AlwaysSample => Policy::Always,
            Kind::Drop | Kind::Linked | Kind::StressRelief => {
                let problem = format!("`{}` stands beside other policies, not within one", kind.name());
                return Err(Refusal::at(&format!("{at}.type"), problem));
            }
            Kind::And => {
                let subs = written.and.unwrap_or_default();
                if !subs.drop_sub_policy.is_empty() {
                    return Err(Refusal::at(&format!("{block}.drop_sub_policy"), "belongs to `type: drop`"));
                }
                self.all(subs.and_sub_policy, &format!("{block}.and_sub_policy"), name)?
            }
            Kind::Not => match written.not {
                Some(not) => self.not(not, &block, name)?,
                None => Policy::Always,
            },
            Kind::Composite => match written.composite {
                Some(composite) => self.composite(composite, &block, name)?,
                None => Policy::Always,
            },
            Kind::Probabilistic => {
                let share = written.probabilistic.unwrap_or_default();
                self.has_salt |= !share.hash_salt.is_empty();
                // The Collector takes whatever is above a hundred for all.
                if share.sampling_percentage.is_nan() || share.sampling_percentage < 0.0 {
                    return Err(Refusal::at(&format!("{block}.sampling_percentage"), "must be from 0 to 100"));
                }
                Policy::Share((share.sampling_percentage / 100.0).min(1.0))
            }
            Kind::RateLimiting => {
                let rate = written.rate_limiting.unwrap_or_default();
                let (rate, burst) = (rate.spans_per_second, rate.burst_capacity);
                Policy::Limit(self.limit(Unit::Spans, rate, burst, &format!("{block}.spans_per_second"), name)?)
            }
            Kind::BytesLimiting => {
                let rate = written.bytes_limiting.unwrap_or_default();
                let (rate, burst) = (rate.bytes_per_second, rate.burst_capacity);
                Policy::Limit(self.limit(Unit::Bytes, rate, burst, &format!("{block}.bytes_per_second"), name)?)
            }
            Kind::Rare => match written.rare {
                Some(rare) => self.rare(&rare, &block, name)?,
                None => Policy::Always,
            },
            Kind::Dynamic | Kind::EmaDynamic | Kind::Throughput | Kind::Budget => self.keyed(written, &block, name)?,
            _ => self.test(written, &block)?,
        })
    }

    /// All of several, in the order in which they are asked.
    pub fn all(&mut self, subs: Vec<settings::Policy>, at: &str, name: &str) -> Result<Policy, Refusal> {
        if subs.is_empty() {
            return Err(Refusal::at(at, "is empty; name at least one policy"));
        }
        let (mut pure, mut counting, mut choosing) = (Vec::new(), Vec::new(), Vec::new());
        for (index, sub) in subs.into_iter().enumerate() {
            let name = format!("{name}/{}", sub.name);
            let policy = self.policy(sub, &format!("{at}[{index}]"), &name)?;
            match policy.nature() {
                Nature::Pure => pure.push(policy),
                Nature::Counting => counting.push(policy),
                Nature::Choosing => choosing.push(policy),
            }
        }
        pure.append(&mut counting);
        pure.append(&mut choosing);
        Ok(Policy::All(pure))
    }

    fn not(&mut self, not: settings::Not, block: &str, name: &str) -> Result<Policy, Refusal> {
        let name = format!("{name}/{}", not.not_sub_policy.name);
        let policy = self.policy(*not.not_sub_policy, &format!("{block}.not_sub_policy"), &name)?;
        Ok(Policy::Not(Box::new(policy)))
    }

    fn limit(&mut self, unit: Unit, rate: u64, burst: u64, at: &str, name: &str) -> Result<Limit, Refusal> {
        if rate == 0 {
            return Err(Refusal::at(at, "must be at least 1"));
        }
        let burst = if burst == 0 { rate.saturating_mul(2) } else { burst };
        Ok(Limit::new(self.name("limit", name), unit, rate as f64, burst))
    }

    fn rare(&mut self, rare: &settings::Rare, block: &str, name: &str) -> Result<Policy, Refusal> {
        let seconds = keyed::seconds(rare.interval, &format!("{block}.interval"))?;
        if rare.first == 0 {
            return Err(Refusal::at(&format!("{block}.first"), "must be at least 1"));
        }
        let fields = self.fields(&rare.field_list, &format!("{block}.field_list"))?;
        let per_second = rare.first as f64 / seconds;
        Ok(Policy::Rare(Rare { name: self.name("rare", name), fields, per_second, first: rare.first }))
    }

    fn fields(&mut self, list: &[String], at: &str) -> Result<Fields, Refusal> {
        let fields = Fields::declare(list, at, self.plan, &mut self.words)?;
        self.looks_at_spans |= !fields.are_of_roots();
        self.looks_at_roots |= !list.is_empty();
        Ok(fields)
    }

    /// A name in the state of a policy's own.
    fn name(&mut self, what: &str, policy: &str) -> String {
        let mut name = format!("{what}/{policy}");
        while self.names.contains(&name) {
            name.push('+');
        }
        self.names.push(name.clone());
        name
    }
}
