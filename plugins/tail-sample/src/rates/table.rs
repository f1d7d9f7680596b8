//! The table that all instances share: what was counted in the running interval, the average of those before, and each key's share.

use std::collections::HashMap;
use std::ops::AddAssign;

use super::{Rules, SECOND};

/// Elements of a key.
pub const KEY: usize = 4;
/// The hashes of a key's fields, level by level; 0 where there are fewer.
pub type Key = [u64; KEY];
/// What the keys share that there is no room for.
pub const OTHERS: Key = [u64::MAX; KEY];

/// Bytes of an entry, and of what stands before the first.
const ENTRY: usize = 8 * (KEY + 5);
const HEAD: usize = 10;
/// How this version writes the table.
const FORMAT: u8 = 1;
/// A key is forgotten below this, whatever the rules say.
const NOTHING: f64 = 1e-6;

/// How many traces, and how much of what is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Count {
    /// Traces.
    pub traces: f64,
    /// Spans or bytes or traces.
    pub cost: f64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.traces += other.traces;
        self.cost += other.cost;
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Entry {
    /// In the running interval.
    now: Count,
    /// A second, on average.
    average: Count,
    /// How much of it is kept.
    share: f64,
}

/// The table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// When the running interval began.
    start: u64,
    /// True once an interval has ended.
    has_shares: bool,
    entries: HashMap<Key, Entry>,
}

impl Table {
    /// An empty one, whose first interval begins now.
    pub fn new(now: u64) -> Self {
        Self { start: now, has_shares: false, entries: HashMap::new() }
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if it has this key.
    pub fn has(&self, key: &Key) -> bool {
        self.entries.contains_key(key)
    }

    /// True once an interval has ended.
    pub fn has_shares(&self) -> bool {
        self.has_shares
    }

    /// A key's share; none before an interval in which it came has ended.
    pub fn share(&self, key: &Key) -> Option<f64> {
        self.entries.get(key).filter(|_| self.has_shares).map(|entry| entry.share)
    }

    /// How much is measured of a trace on average; 0 while nothing is known.
    pub fn usual_cost(&self) -> f64 {
        let mut all = Count::default();
        self.entries.values().for_each(|entry| all += entry.average);
        if all.traces > 0.0 { all.cost / all.traces } else { 0.0 }
    }

    /// Counts.
    pub fn add(&mut self, key: Key, count: Count, most_keys: usize) {
        let key = if self.has(&key) || self.entries.len() < most_keys { key } else { OTHERS };
        let new = Entry { now: Count::default(), average: Count::default(), share: 1.0 };
        self.entries.entry(key).or_insert(new).now += count;
    }

    /// True if it is time to make the shares anew. The first interval is a tenth of the others, so that there are shares soon.
    pub fn is_over(&self, now: u64, rules: &Rules) -> bool {
        let ran = now.saturating_sub(self.start);
        ran >= rules.interval || (ran >= rules.interval / 10 && (!self.has_shares || self.is_a_burst(rules)))
    }

    /// After a rest in which all keys were forgotten, whatever comes is one: there is nothing else to go by.
    fn is_a_burst(&self, rules: &Rules) -> bool {
        let average: f64 = self.entries.values().map(|entry| entry.average.cost).sum();
        let usual = average * rules.interval as f64 / SECOND as f64;
        let now: f64 = self.entries.values().map(|entry| entry.now.cost).sum();
        now > 0.0 && (usual <= 0.0 || (rules.burst > 0.0 && now > rules.burst * usual))
    }

    /// The clock was set back: the running interval begins now, or it would not end for as long.
    pub fn begin_by(&mut self, now: u64) {
        self.start = self.start.min(now);
    }

    /// Ends the interval: averages, forgets and shares out.
    pub fn turn(&mut self, now: u64, rules: &Rules) {
        let ran = now.saturating_sub(self.start).max(1) as f64;
        let seconds = ran / SECOND as f64;
        // A pause counts as the intervals that it lasted. A burst counts as a whole one, as it is to be felt.
        let intervals = (ran / rules.interval as f64).max(1.0);
        let weight = if self.has_shares { 1.0 - (1.0 - rules.weight).powf(intervals) } else { 1.0 };
        let mix = |average: f64, now: f64| average + weight * (now / seconds - average);
        for entry in self.entries.values_mut() {
            // What is new has no average to be mixed with.
            entry.average = if entry.average == Count::default() {
                Count { traces: entry.now.traces / seconds, cost: entry.now.cost / seconds }
            } else {
                let Count { traces, cost } = entry.average;
                Count { traces: mix(traces, entry.now.traces), cost: mix(cost, entry.now.cost) }
            };
            entry.now = Count::default();
        }
        let an_interval = rules.interval as f64 / SECOND as f64;
        let least = rules.age_out.max(NOTHING);
        self.entries.retain(|_, entry| entry.average.traces * an_interval >= least);
        let counts: Vec<_> = self.entries.iter().map(|(key, entry)| (*key, entry.average)).collect();
        for ((key, _), share) in counts.iter().zip(rules.shares(&counts)) {
            if let Some(entry) = self.entries.get_mut(key) {
                entry.share = share;
            }
        }
        (self.start, self.has_shares) = (now, true);
    }

    /// As it stands in the state.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.entries.len() * ENTRY);
        bytes.push(FORMAT);
        bytes.push(u8::from(self.has_shares));
        bytes.extend(self.start.to_le_bytes());
        for (key, entry) in &self.entries {
            bytes.extend(key.iter().flat_map(|part| part.to_le_bytes()));
            let Entry { now, average, share } = *entry;
            let numbers = [now.traces, now.cost, average.traces, average.cost, share];
            bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        }
        bytes
    }

    /// Reads it; none if another version has written it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD)?;
        let [FORMAT, has_shares, start @ ..] = head else { return None };
        if rest.len() % ENTRY != 0 {
            return None;
        }
        let start = u64::from_le_bytes(start.try_into().ok()?);
        let entry = |bytes: &[u8]| {
            let mut words = bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
            let key = std::array::from_fn(|_| words.next().unwrap_or(0));
            let mut number = || f64::from_bits(words.next().unwrap_or(0));
            let now = Count { traces: number(), cost: number() };
            let average = Count { traces: number(), cost: number() };
            (key, Entry { now, average, share: number() })
        };
        let entries = rest.chunks_exact(ENTRY).map(entry).collect();
        Some(Self { start, has_shares: *has_shares != 0, entries })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Goal;
    use super::*;

    fn rules(goal: Goal) -> Rules {
        Rules {
            name: "rates/a".to_owned(),
            goal,
            interval: 10 * SECOND,
            weight: 0.5,
            age_out: 0.5,
            burst: 2.0,
            most_keys: 3,
        }
    }

    fn key(number: u64) -> Key {
        [number, 0, 0, 0]
    }

    fn count(traces: f64) -> Count {
        Count { traces, cost: 2.0 * traces }
    }

    #[test]
    fn a_table_survives_the_state() {
        let mut table = Table::new(5);
        table.add(key(1), count(7.0), 3);
        table.add(key(2), count(1.5), 3);
        assert_eq!(Table::decode(&table.encode()), Some(table.clone()));
        table.turn(2 * SECOND, &rules(Goal::OneIn(2.0)));
        assert_eq!(Table::decode(&table.encode()), Some(table));
        assert_eq!(Table::decode(b""), None);
        assert_eq!(Table::decode(&[FORMAT; 11]), None);
        assert_eq!(Table::decode(&[FORMAT + 1; HEAD]), None);
    }

    #[test]
    fn the_goal_is_met_and_the_rare_is_kept() {
        let mut table = Table::new(0);
        for (number, traces) in [(1, 1000.0), (2, 100.0), (3, 2.0)] {
            table.add(key(number), count(traces), 3);
        }
        table.turn(10 * SECOND, &rules(Goal::OneIn(10.0)));
        let share = |number| table.share(&key(number)).expect("it is known");
        let kept = 1000.0 * share(1) + 100.0 * share(2) + 2.0 * share(3);
        assert!((kept - 110.2).abs() < 1e-6, "{kept}");
        assert!(share(3) >= 1.0 && share(2) > share(1) && share(1) > 0.0, "{} {} {}", share(1), share(2), share(3));
    }

    #[test]
    fn a_target_is_of_what_is_measured() {
        let mut table = Table::new(0);
        table.add(key(1), count(1000.0), 3);
        table.add(key(2), count(10.0), 3);
        // 2,020 spans in ten seconds, of which ten a second may stay.
        table.turn(10 * SECOND, &rules(Goal::Logarithmic(10.0)));
        let share = |number| table.share(&key(number)).expect("it is known");
        let kept = 200.0 * share(1) + 2.0 * share(2);
        assert!((kept - 10.0).abs() < 1e-6, "{kept}");
        assert!(share(2) >= 1.0);
    }

    #[test]
    fn too_many_keys_share_one() {
        let mut table = Table::new(0);
        (0..10).for_each(|number| table.add(key(number), count(1.0), 3));
        assert_eq!((table.len(), table.has(&OTHERS)), (4, true));
    }

    #[test]
    fn intervals_end_in_time_and_early_in_a_burst() {
        let rules = rules(Goal::OneIn(2.0));
        let mut table = Table::new(0);
        table.add(key(1), count(100.0), 3);
        assert!(!table.is_over(SECOND - 1, &rules) && table.is_over(SECOND, &rules), "the first is a tenth");
        table.turn(SECOND, &rules);
        table.add(key(1), count(1999.0), 3);
        assert!(!table.is_over(4 * SECOND, &rules) && table.is_over(11 * SECOND, &rules));
        table.add(key(1), count(2.0), 3);
        assert!(!table.is_over(SECOND + 1, &rules) && table.is_over(4 * SECOND, &rules), "twice the usual has come");
    }

    #[test]
    fn a_burst_after_a_rest_is_felt_as_soon_as_the_first() {
        let rules = rules(Goal::Fair(10.0, 1));
        let mut table = Table::new(0);
        table.add(key(1), count(1.0), 3);
        table.turn(10 * SECOND, &rules);
        (2..8).for_each(|interval| table.turn(interval * 10 * SECOND, &rules));
        assert_eq!((table.len(), table.is_over(71 * SECOND, &rules)), (0, false), "nothing is to be shared out");
        table.add(key(1), count(1.0), 3);
        assert!(!table.is_over(71 * SECOND - 1, &rules) && table.is_over(71 * SECOND, &rules));
    }

    #[test]
    fn a_clock_that_is_set_back_freezes_no_shares() {
        let rules = rules(Goal::OneIn(2.0));
        let mut table = Table::new(0);
        table.add(key(1), count(1000.0), 3);
        table.turn(1000 * SECOND, &rules);
        table.begin_by(500 * SECOND);
        table.add(key(1), count(10.0), 3);
        assert!(!table.is_over(509 * SECOND, &rules) && table.is_over(510 * SECOND, &rules));
    }

    #[test]
    fn averages_move_and_what_is_gone_is_forgotten() {
        let rules = rules(Goal::OneIn(2.0));
        let mut table = Table::new(0);
        table.add(key(1), count(10.0), 3);
        table.add(key(2), count(1.0), 3);
        table.turn(10 * SECOND, &rules);
        table.add(key(1), count(20.0), 3);
        table.turn(20 * SECOND, &rules);
        let average = |table: &Table, number| table.entries.get(&key(number)).map(|entry| entry.average.traces);
        assert_eq!((average(&table, 1), average(&table, 2)), (Some(1.5), Some(0.05)));
        table.turn(30 * SECOND, &rules);
        assert_eq!((average(&table, 1), average(&table, 2)), (Some(0.75), None));
        // A pause of three intervals counts as three.
        table.turn(60 * SECOND, &rules);
        assert_eq!(average(&table, 1), Some(0.09375));
    }
}
