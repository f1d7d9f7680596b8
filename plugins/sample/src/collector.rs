//! The decision of the OpenTelemetry Collector's probabilistic sampler in its mode `hash_seed`.
//!
//! Facts, from contrib's `probabilisticsamplerprocessor`: a trace id is hashed by FNV-1a of 32 bits, after the seed's
//! four bytes with the lowest first; the lowest 14 bits are its bucket; it is kept if the bucket is below the rate in
//! percent times 163.84, multiplied and cut off as 32-bit floats. Spans without a trace id, and spans whose trace state
//! has an `rv` or `th` already, are dropped unless `fail_closed` is off. The attribute `sampling.priority` overrides all
//! of this: 0 drops, more keeps.
//!
//! Kept spans stay as they are. The Collector writes its hash as `rv` into the trace state, which changes the trace's
//! randomness for every sampler behind it; tracemill does not, and their weight stays unknown.

use tracemill_sdk::prelude::*;

use crate::rules::Rules;
use crate::settings::{Rate, Settings};

/// Buckets of a hash: its lowest 14 bits.
const BUCKETS: u32 = 1 << 14;
/// Buckets for each percent.
const BUCKETS_PER_PERCENT: f32 = 163.84;

/// The compatible decision.
pub struct HashSeed {
    seeded: u32,
    fail_closed: bool,
    trace_ids: Column<Ids>,
    trace_states: Column<Words>,
    priorities: Option<Priorities>,
}

/// `sampling.priority` in the types that clients send it in.
struct Priorities {
    integers: Column<Integers>,
    floats: Column<Floats>,
    texts: Column<Words>,
}

/// What `sampling.priority` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Priority {
    Undecided,
    Keep,
    Drop,
}

impl HashSeed {
    /// Declares the columns that the decision reads.
    pub fn configure(settings: &Settings, plan: &mut PlanBuilder) -> Self {
        let path = attribute("sampling.priority");
        let priorities = settings.sampling_priority.unwrap_or(true).then(|| Priorities {
            integers: plan.integers(path.clone()),
            floats: plan.floats(path.clone()),
            texts: plan.words(path),
        });
        Self {
            seeded: fnv(FNV_OFFSET, &settings.hash_seed.to_le_bytes()),
            fail_closed: settings.fail_closed.unwrap_or(true),
            trace_ids: plan.ids("trace_id"),
            trace_states: plan.words("trace_state"),
            priorities,
        }
    }

    /// The rows to drop.
    pub fn dropped(&self, batch: &Batch<'_>, rules: &Rules, kept: Option<&Mask>) -> Rows {
        let ids = batch.read(self.trace_ids);
        let mut sampled_already = Mask::none(batch.rows());
        batch.read(self.trace_states).mark_where(says_how_it_was_sampled, &mut sampled_already);
        let mut dropped = Mask::none(batch.rows());
        for (rows, rate) in rules.groups(batch, kept) {
            let below = threshold(rate);
            for_each(&rows, batch.rows(), |row| {
                let drop = if below == 0 {
                    true
                } else {
                    match ids.get(row) {
                        Some(id) if !sampled_already.has(row) => self.bucket(id) >= below,
                        _ => self.fail_closed,
                    }
                };
                if drop {
                    dropped.set(row);
                }
            });
        }
        if let Some(priorities) = &self.priorities {
            priorities.apply(batch, kept, &mut dropped);
        }
        dropped.into()
    }

    fn bucket(&self, trace_id: &[u8]) -> u32 {
        fnv(self.seeded, trace_id) % BUCKETS
    }
}

impl Priorities {
    fn apply(&self, batch: &Batch<'_>, kept: Option<&Mask>, dropped: &mut Mask) {
        let (integers, floats, texts) = (batch.read(self.integers), batch.read(self.floats), batch.read(self.texts));
        let by_word: Vec<Priority> = texts.words().iter().map(|word| of_text(word.to_str())).collect();
        for row in 0..batch.rows() {
            let priority = if let Some(number) = integers.get(row) {
                of_number(number as f64)
            } else if let Some(number) = floats.get(row) {
                of_number(number)
            } else if texts.present().at(row) {
                by_word[texts.codes()[row as usize] as usize]
            } else {
                Priority::Undecided
            };
            match priority {
                Priority::Keep => dropped.clear(row),
                Priority::Drop if kept.is_none_or(|kept| !kept.has(row)) => dropped.set(row),
                Priority::Drop | Priority::Undecided => {}
            }
        }
    }
}

fn of_number(number: f64) -> Priority {
    if number > 0.0 {
        Priority::Keep
    } else if number == 0.0 {
        Priority::Drop
    } else {
        Priority::Undecided
    }
}

fn of_text(text: Option<&str>) -> Priority {
    text.and_then(|text| text.parse().ok()).map_or(Priority::Undecided, of_number)
}

/// The first bucket that is dropped.
fn threshold(rate: Rate) -> u32 {
    (rate.percent() * BUCKETS_PER_PERCENT) as u32
}

/// True if a trace state's `ot` entry has an `rv` or a `th`.
fn says_how_it_was_sampled(trace_state: Str<'_>) -> bool {
    let mut entries = trace_state.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let Some(ot) = entries.find_map(|entry| entry.strip_prefix(b"ot=")) else { return false };
    ot.split(|&byte| byte == b';').any(|pair| pair.starts_with(b"rv:") || pair.starts_with(b"th:"))
}

const FNV_OFFSET: u32 = 0x811c_9dc5;
const FNV_PRIME: u32 = 0x0100_0193;

/// FNV-1a.
fn fnv(state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(FNV_PRIME))
}

fn for_each(rows: &Rows, count: u32, mut act: impl FnMut(u32)) {
    match rows {
        Rows::Every => (0..count).for_each(act),
        Rows::These(rows) => rows.iter().copied().for_each(act),
        Rows::Marked(marks) => {
            for (row, _) in (0..count).zip(marks).filter(|(_, mark)| **mark != 0) {
                act(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_the_collector() {
        let seeded = fnv(FNV_OFFSET, &0u32.to_le_bytes());
        assert_eq!(fnv(seeded, &[]) % BUCKETS, 0x3515);
        assert_eq!(fnv(seeded, &[0; 16]) % BUCKETS, 0x2455);
    }

    #[test]
    fn rates_are_cut_off_to_buckets_as_32_bit_floats() {
        let of = |probability| threshold(Rate { probability });
        assert_eq!(
            [of(1.0), of(0.75), of(0.5), of(0.25), of(0.1), of(1.0 / 3.0)],
            [16384, 12288, 8192, 4096, 1638, 5461]
        );
        assert_eq!([of(0.0), of(0.000_06), of(0.000_062)], [0, 0, 1]);
    }

    #[test]
    fn trace_states_that_were_sampled_are_told_apart() {
        for (state, expected) in [
            ("ot=th:8", true),
            ("a=b, ot=x:y;rv:00000000000001", true),
            ("ot=x:y", false),
            ("other=th:8", false),
            ("", false),
        ] {
            assert_eq!(says_how_it_was_sampled(Str::from(state)), expected, "{state}");
        }
    }
}
