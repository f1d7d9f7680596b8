//! Rates by key: how much of each key is kept, so that all of it together meets a goal.
//!
//! All instances count into one table in the plugin's state. When an interval is over, whoever notices first makes the shares anew from what
//! was counted, and puts both back in one step; the others read it within a tenth of an interval, a second at most. A share is a proportion of
//! what arrives. What a trace is kept with is that times the probability with which it came, so it is decided by the trace's randomness and
//! its weight stays exact, even while two instances do not have the same table yet.

mod share;
mod table;

pub use table::{Count, KEY, Key};

use std::collections::HashMap;

use share::Demand;
use table::Table;
use tracemill_sdk::prelude::*;

const SECOND: u64 = 1_000_000_000;
/// How often another instance may be faster before what was counted is kept for the next time.
const MOST_TRIES: usize = 8;

/// What all keys together are to meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// One trace in so many, with a key's part by the logarithm of its number: the rare ones are kept more often.
    OneIn(f64),
    /// So much a second, likewise.
    Logarithmic(f64),
    /// So much a second, shared fairly at each of so many levels of the key: whoever asks for less than an equal part gets it all.
    Fair(f64, usize),
}

/// How rates are made.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Where the table stands in the state.
    pub name: String,
    /// What is to be met.
    pub goal: Goal,
    /// How often, in nanoseconds.
    pub interval: u64,
    /// How much the last interval counts in the average; 1 for nothing but it.
    pub weight: f64,
    /// A key with fewer traces in an interval on average is forgotten.
    pub age_out: f64,
    /// An interval ends early when so many times the average has come; 0 for never.
    pub burst: f64,
    /// How many keys are told apart. All others share one.
    pub most_keys: usize,
}

/// Rates as an instance knows them.
pub struct Rates {
    rules: Rules,
    table: Table,
    /// Counted here, and not in the state yet.
    pending: HashMap<Key, Count>,
    /// When the table was read.
    read_at: Option<u64>,
    /// True while the state refuses the table: this instance goes by its own then.
    is_alone: bool,
    /// True once that was said.
    said: bool,
}

impl Rates {
    /// Rates before anything was counted.
    pub fn new(rules: Rules) -> Self {
        Self { rules, table: Table::new(0), pending: HashMap::new(), read_at: None, is_alone: false, said: false }
    }

    /// Brings the table up to date where it is time.
    pub fn refresh(&mut self, now: u64) {
        let between = (self.rules.interval / 10).min(SECOND);
        let is_fresh = self.read_at.is_some_and(|read_at| now < read_at + between && now >= read_at);
        if is_fresh && !self.table.is_over(now, &self.rules) {
            return;
        }
        for _ in 0..MOST_TRIES {
            let known = state::get(&self.rules.name);
            let version = known.as_ref().map_or(0, |known| known.version);
            let mut table = if self.is_alone {
                self.table.clone()
            } else {
                known.and_then(|known| Table::decode(&known.value)).unwrap_or_else(|| Table::new(now))
            };
            table.begin_by(now);
            for (key, count) in &self.pending {
                table.add(*key, *count, self.rules.most_keys);
            }
            if table.is_over(now, &self.rules) {
                table.turn(now, &self.rules);
            } else if self.pending.is_empty() && version != 0 {
                (self.table, self.read_at) = (table, Some(now));
                return;
            }
            match state::replace(&self.rules.name, version, &table.encode()) {
                Ok(true) => {
                    self.is_alone = false;
                    self.pending.clear();
                    (self.table, self.read_at) = (table, Some(now));
                    return;
                }
                Ok(false) => {}
                Err(problem) => {
                    self.say(&problem);
                    self.is_alone = true;
                    self.pending.clear();
                    self.table = table;
                    break;
                }
            }
        }
        self.read_at = Some(now);
    }

    /// Counts a trace, and tells which share of its key's traces is kept.
    pub fn share(&mut self, key: Key, count: Count) -> f64 {
        let key = if self.table.has(&key) || self.pending.contains_key(&key) || self.has_room() {
            key
        } else {
            table::OTHERS
        };
        *self.pending.entry(key).or_default() += count;
        match (self.table.share(&key), self.rules.goal) {
            (Some(share), _) => share,
            // Nothing is known yet.
            (None, Goal::OneIn(goal)) if !self.table.has_shares() => 1.0 / goal,
            // A key that is new is as rare as can be.
            (None, _) => 1.0,
        }
    }

    /// How much is measured of a trace on average; 0 while nothing is known.
    pub fn usual_cost(&self) -> f64 {
        self.table.usual_cost()
    }

    fn has_room(&self) -> bool {
        self.table.len() + self.pending.len() < self.rules.most_keys
    }

    fn say(&mut self, problem: &str) {
        if !self.said {
            let name = &self.rules.name;
            host::log(Level::Warn, &format!("the rates of {name} are each instance's own: {problem}"));
            self.said = true;
        }
    }
}

impl Rules {
    /// The shares of keys that ask for so many traces, and so much of what is measured, a second.
    fn shares(&self, counts: &[(Key, Count)]) -> Vec<f64> {
        let logarithmic = |ask: f64| Demand { ask, weight: ask.ln_1p() };
        let seconds = self.interval as f64 / SECOND as f64;
        let (asks, grants): (Vec<f64>, Vec<f64>) = match self.goal {
            Goal::OneIn(goal) => {
                // By the number in an interval: a logarithm needs numbers, not rates.
                let asks: Vec<f64> = counts.iter().map(|(_, count)| count.traces * seconds).collect();
                let demands: Vec<Demand> = asks.iter().copied().map(logarithmic).collect();
                let grants = share::fill(asks.iter().sum::<f64>() / goal, &demands);
                (asks, grants)
            }
            Goal::Logarithmic(target) => {
                let asks: Vec<f64> = counts.iter().map(|(_, count)| count.cost).collect();
                let weight = |count: &Count| (count.traces * seconds).ln_1p();
                let demands = counts.iter().map(|(_, count)| Demand { ask: count.cost, weight: weight(count) });
                let grants = share::fill(target, &demands.collect::<Vec<_>>());
                (asks, grants)
            }
            Goal::Fair(target, levels) => {
                let asks: Vec<(Key, f64)> = counts.iter().map(|(key, count)| (*key, count.cost)).collect();
                let grants = share::nested(target, &asks, levels);
                (asks.into_iter().map(|(_, ask)| ask).collect(), grants)
            }
        };
        let share = |(ask, grant): (f64, f64)| if ask > 0.0 { (grant / ask).clamp(0.0, 1.0) } else { 1.0 };
        asks.into_iter().zip(grants).map(share).collect()
    }
}
