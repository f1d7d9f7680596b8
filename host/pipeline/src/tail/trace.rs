//! A trace that waits: what is known of it without reading its spans, and when it is due.

use otlp::batch::{Batch, Span};
use otlp::sampling::{Arrived, Threshold};

use super::clocks::Nanos;
use super::key::Key;
use super::slab::NONE;
use crate::chain::sampler::Due;

/// Never.
pub(super) const NEVER: Nanos = Nanos::MAX;

/// The status code of errors.
const ERROR: i32 = 2;

/// What is known of a trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    pub(super) key: Key,
    /// Which of all that had its place.
    pub(super) stamp: u32,
    pub(super) state: State,
    /// The first of its spans, and the newest.
    pub(super) first: u32,
    pub(super) newest: u32,
    /// Its root's span.
    pub(super) root: u32,
    pub(super) summary: Summary,
    pub(super) times: Times,
    /// Of which samplers, as bits, a span has met the `early` since they were asked.
    pub(super) early: u64,
    /// Those that were asked early before.
    pub(super) asked: u64,
    /// From so many spans on they are asked early again.
    pub(super) early_from: u32,
}

/// Where a trace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// It waits for more spans.
    #[default]
    Waiting,
    /// Samplers are being asked about it.
    Asked,
    /// Its spans leave, by the verdict of that number.
    Kept(u32),
}

/// What its spans add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) spans: u32,
    pub(super) errors: u32,
    pub(super) bytes: u64,
    /// What the spans stand for by `ot=th`.
    pub(super) weight: f64,
    /// Nanoseconds since the Unix epoch.
    pub(super) start: u64,
    pub(super) end: u64,
    /// By the first span, as the others of its trace should agree with it.
    pub(super) randomness: u64,
    /// Likewise.
    pub(super) threshold: Option<Threshold>,
}

/// By when things are to happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) first: Nanos,
    pub(super) last: Nanos,
    /// When its root came.
    pub(super) root: Nanos,
    /// A sampler has asked to wait until then.
    pub(super) wait: Nanos,
    /// At which it is looked at next.
    pub(super) next: Nanos,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waits {
    pub(super) root_delay: Nanos,
    pub(super) idle: Nanos,
    pub(super) longest: Nanos,
}

impl Default for Trace {
    fn default() -> Self {
        Self::new(Key::default(), 0, 0)
    }
}

impl Trace {
    pub(super) fn new(key: Key, stamp: u32, now: Nanos) -> Self {
        Self {
            key,
            stamp,
            state: State::Waiting,
            first: NONE,
            newest: NONE,
            root: NONE,
            summary: Summary { start: u64::MAX, ..Summary::default() },
            times: Times { first: now, last: now, root: NEVER, wait: 0, next: NEVER },
            early: 0,
            asked: 0,
            early_from: 0,
        }
    }

    /// When it is due next, and why.
    pub(super) fn due(&self, waits: &Waits) -> (Nanos, Due) {
        let Times { first, last, root, wait, .. } = self.times;
        if self.early != 0 {
            return (last, Due::Early);
        }
        let end = first.saturating_add(waits.longest);
        let by_root = (root.saturating_add(waits.root_delay).max(wait), Due::RootSeen);
        let by_idle = (last.saturating_add(waits.idle).max(wait), Due::Idle);
        let sooner = if by_root.0 <= by_idle.0 { by_root } else { by_idle };
        if end <= sooner.0 { (end, Due::WaitedLongEnough) } else { sooner }
    }
}

impl Summary {
    /// Adds a span of so many bytes.
    pub(super) fn add(&mut self, batch: &Batch, span: &Span, bytes: usize) {
        let arrived = Arrived::read(batch.get(span.trace_id), batch.get(span.trace_state));
        if self.spans == 0 {
            (self.randomness, self.threshold) = (arrived.randomness, arrived.threshold);
        }
        self.spans += 1;
        self.errors += u32::from(span.status_code == ERROR);
        self.bytes += bytes as u64;
        self.weight += arrived.adjusted_count().unwrap_or(1.0);
        self.start = self.start.min(span.start_time);
        self.end = self.end.max(span.end_time);
    }

    /// As samplers of the host see it.
    pub(super) fn arrived(&self) -> Arrived {
        Arrived { randomness: self.randomness, threshold: self.threshold }
    }

    /// The latest end minus the earliest start, in nanoseconds; 0 where clocks disagree that far.
    pub(super) fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITS: Waits = Waits { root_delay: 2, idle: 5, longest: 30 };

    fn trace(times: Times) -> Trace {
        Trace { times, ..Trace::new(Key::default(), 0, 0) }
    }

    #[test]
    fn it_is_due_by_the_first_of_its_clocks() {
        let times = Times { first: 100, last: 100, root: NEVER, wait: 0, next: NEVER };
        assert_eq!(trace(times).due(&WAITS), (105, Due::Idle));
        assert_eq!(trace(Times { last: 128, ..times }).due(&WAITS), (130, Due::WaitedLongEnough));
        assert_eq!(trace(Times { last: 110, root: 109, ..times }).due(&WAITS), (111, Due::RootSeen));
        assert_eq!(trace(Times { wait: 120, ..times }).due(&WAITS), (120, Due::Idle));
        assert_eq!(trace(Times { wait: 500, ..times }).due(&WAITS), (130, Due::WaitedLongEnough));
        assert_eq!(Trace { early: 1, ..trace(Times { last: 107, ..times }) }.due(&WAITS), (107, Due::Early));
    }

    #[test]
    fn clocks_that_disagree_make_no_endless_duration() {
        let summary = Summary { start: 100, end: 40, ..Summary::default() };
        assert_eq!(summary.duration(), 0);
    }
}
