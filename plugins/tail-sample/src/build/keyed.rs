//! Rates by key: what is a goal and what is none.

use tracemill_sdk::prelude::*;
use tracemill_sdk::settings::Duration;

use super::Builder;
use crate::policy::{Keyed, Policy};
use crate::rates::{Goal, KEY, Rates, Rules};
use crate::settings::{self, Unit};

/// The shortest interval, in nanoseconds: shorter ones count too little to go by.
const LEAST_INTERVAL: u64 = 100_000_000;
/// The most keys of one policy: a table of them is a quarter of a megabyte.
const MOST_KEYS: usize = 4_000;

impl Builder<'_> {
    pub(super) fn keyed(&mut self, written: settings::Policy, block: &str, name: &str) -> Result<Policy, Refusal> {
        let name = self.name("rates", name);
        let at = |key: &str| format!("{block}.{key}");
        let blank =
            Rules { name, goal: Goal::OneIn(1.0), interval: 0, weight: 1.0, age_out: 0.0, burst: 0.0, most_keys: 0 };
        let (rules, list, list_at, unit, with_length) = if let Some(dynamic) = written.dynamic {
            let goal = Goal::OneIn(at_least(1.0, dynamic.goal_sample_rate, &at("goal_sample_rate"))?);
            let interval = interval(dynamic.clear_frequency, &at("clear_frequency"))?;
            let rules = Rules { goal, interval, most_keys: dynamic.max_keys, ..blank };
            (rules, dynamic.field_list, at("field_list"), Unit::Traces, dynamic.use_trace_length)
        } else if let Some(ema) = written.ema_dynamic {
            let goal = Goal::OneIn(at_least(1.0, ema.goal_sample_rate, &at("goal_sample_rate"))?);
            let interval = interval(ema.adjustment_interval, &at("adjustment_interval"))?;
            let (weight, age_out) = (weight(ema.weight, &at("weight"))?, ema.age_out_value);
            let (burst, most_keys) = (ema.burst_multiple, ema.max_keys);
            let rules = Rules { goal, interval, weight, age_out, burst, most_keys, ..blank };
            (rules, ema.field_list, at("field_list"), Unit::Traces, ema.use_trace_length)
        } else if let Some(target) = written.throughput {
            let per_second = above_nothing(target.goal_throughput_per_sec, &at("goal_throughput_per_sec"))?;
            let interval = interval(target.adjustment_interval, &at("adjustment_interval"))?;
            let (weight, age_out) = (weight(target.weight, &at("weight"))?, target.age_out_value);
            let (goal, burst, most_keys) = (Goal::Logarithmic(per_second), target.burst_multiple, target.max_keys);
            let rules = Rules { goal, interval, weight, age_out, burst, most_keys, ..blank };
            (rules, target.field_list, at("field_list"), target.unit, false)
        } else if let Some(budget) = written.budget {
            if budget.by.is_empty() || budget.by.len() > KEY {
                return Err(Refusal::at(&at("by"), format!("must name 1 to {KEY} levels, the outermost first")));
            }
            let goal = Goal::Fair(above_nothing(budget.per_second, &at("per_second"))?, budget.by.len());
            let interval = interval(budget.adjustment_interval, &at("adjustment_interval"))?;
            let weight = weight(budget.weight, &at("weight"))?;
            let rules = Rules { goal, interval, weight, burst: 2.0, most_keys: budget.max_keys, ..blank };
            (rules, budget.by, at("by"), budget.unit, false)
        } else {
            return Err(Refusal::at(block, "is missing"));
        };
        if !(1..=MOST_KEYS).contains(&rules.most_keys) {
            return Err(Refusal::at(&at("max_keys"), format!("must be from 1 to {MOST_KEYS}")));
        }
        if list.is_empty() && matches!(rules.goal, Goal::OneIn(_)) && !with_length {
            return Err(Refusal::at(&list_at, "is empty; name at least one field"));
        }
        let is_nested = matches!(rules.goal, Goal::Fair(..));
        let fields = self.fields(&list, &list_at)?;
        Ok(Policy::Rates(Keyed { rates: self.rates(rules), fields, is_nested, with_length, unit }))
    }

    /// Everything thinned above a load, under one key.
    pub fn stress(&mut self, stress: &settings::Stress, block: &str, name: &str) -> Result<Policy, Refusal> {
        let target = above_nothing(stress.per_second, &format!("{block}.per_second"))?;
        let interval = interval(stress.adjustment_interval, &format!("{block}.adjustment_interval"))?;
        let goal = Goal::Fair(target, 1);
        let name = self.name("rates", name);
        let rules = Rules { name, goal, interval, weight: 1.0, age_out: 0.0, burst: 2.0, most_keys: 1 };
        let fields = self.fields(&[], block)?;
        let rates = self.rates(rules);
        Ok(Policy::Rates(Keyed { rates, fields, is_nested: true, with_length: false, unit: stress.unit }))
    }

    fn rates(&mut self, rules: Rules) -> usize {
        self.rates.push(Rates::new(rules));
        self.rates.len() - 1
    }
}

fn at_least(least: f64, number: f64, at: &str) -> Result<f64, Refusal> {
    if number >= least && number.is_finite() {
        Ok(number)
    } else {
        Err(Refusal::at(at, format!("must be at least {}", least as u64)))
    }
}

fn above_nothing(number: f64, at: &str) -> Result<f64, Refusal> {
    if number > 0.0 && number.is_finite() { Ok(number) } else { Err(Refusal::at(at, "must be greater than 0")) }
}

fn weight(weight: f64, at: &str) -> Result<f64, Refusal> {
    if weight > 0.0 && weight <= 1.0 { Ok(weight) } else { Err(Refusal::at(at, "must be above 0, and 1 at most")) }
}

fn interval(interval: Duration, at: &str) -> Result<u64, Refusal> {
    if interval.nanoseconds >= LEAST_INTERVAL {
        Ok(interval.nanoseconds)
    } else {
        Err(Refusal::at(at, "must be at least 100ms"))
    }
}

pub(super) fn seconds(time: Duration, at: &str) -> Result<f64, Refusal> {
    interval(time, at).map(|nanoseconds| nanoseconds as f64 / 1e9)
}
