//! Spans that stand for a histogram's buckets. One is shown only if its trace was kept, so that whoever follows it finds it.
//!
//! Which span of a bucket that will be is chosen by its trace's randomness: consistent samplers keep the highest, so the one with the
//! highest is kept if any is. Where traces are decided later ([`Decisions::await_decisions`]), a span waits until its trace is said to be kept.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// A trace's id.
pub type TraceId = [u8; 16];

/// How many undecided spans of a bucket wait: one that has its time, and the newest of those that came since.
const WAITING: usize = 2;
/// How many exemplars of a series are sent at once.
const FRESH: usize = 32;
/// How long decisions take at most, where nobody has said it.
const LONGEST: Duration = Duration::from_secs(30);
/// How many shards there are of what was decided, so that whoever decides traces does not wait for others.
const SHARDS: usize = 16;
/// How many kept traces a shard remembers until somebody looks: exemplars are chosen from far fewer.
const REMEMBERED: usize = 4096;

/// A span that may stand for a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Of which trace.
    pub trace: TraceId,
    /// Which of its spans.
    pub span: [u8; 8],
    /// How long it took, in seconds.
    pub seconds: f64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub time: u64,
}

impl Candidate {
    /// The last 56 bits of the trace id.
    fn randomness(&self) -> u64 {
        self.trace.last_chunk::<8>().map_or(0, |last| u64::from_be_bytes(*last) & ((1 << 56) - 1))
    }
}

/// The best one of each bucket.
#[derive(Debug, Default)]
pub struct Candidates(Vec<(usize, Candidate)>);

impl Candidates {
    /// Takes one if it is better.
    #[inline]
    pub fn offer(&mut self, bucket: usize, candidate: Candidate) {
        // A series has its spans in a few buckets.
        match self.0.iter_mut().find(|(known, _)| *known == bucket) {
            Some((_, best)) if best.randomness() < candidate.randomness() => *best = candidate,
            Some(_) => {}
            None => self.0.push((bucket, candidate)),
        }
    }

    /// Takes the better ones of others.
    pub fn add(&mut self, others: Self) {
        for (bucket, candidate) in others.0 {
            self.offer(bucket, candidate);
        }
    }
}

/// The spans that are shown for a series.
#[derive(Debug, Default)]
pub struct Shown {
    /// By bucket.
    by_bucket: Vec<(usize, Candidate)>,
    /// Those that were not sent yet.
    fresh: Vec<Candidate>,
    waiting: Vec<Waiting>,
}

/// One whose trace is not decided yet.
#[derive(Debug)]
struct Waiting {
    bucket: usize,
    candidate: Candidate,
    since: Instant,
}

impl Shown {
    /// Takes what was chosen: to be shown, or to wait since then for its decision.
    pub fn take(&mut self, candidates: Candidates, waits_since: Option<Instant>) {
        for (bucket, candidate) in candidates.0 {
            match waits_since {
                Some(since) => self.wait(Waiting { bucket, candidate, since }),
                None => self.show(bucket, candidate),
            }
        }
    }

    /// Shows those whose traces were kept, and forgets those that have waited for twice as long as decisions take: their traces were
    /// dropped.
    pub fn confirm(&mut self, kept: &HashSet<TraceId, RandomState>, now: Instant, longest: Duration) {
        let waiting = std::mem::take(&mut self.waiting);
        for waiting in waiting {
            if kept.contains(&waiting.candidate.trace) {
                self.show(waiting.bucket, waiting.candidate);
            } else if now.saturating_duration_since(waiting.since) <= longest.saturating_mul(2) {
                self.waiting.push(waiting);
            }
        }
    }

    /// The oldest has its time. If each made way for the next, none would be there when its trace is decided.
    fn wait(&mut self, new: Waiting) {
        let of_bucket = self.waiting.iter().filter(|waiting| waiting.bucket == new.bucket).count();
        match self.waiting.iter_mut().rfind(|waiting| waiting.bucket == new.bucket) {
            Some(newest) if of_bucket >= WAITING => *newest = new,
            _ => self.waiting.push(new),
        }
    }

    /// The one of a bucket.
    pub fn of(&self, bucket: usize) -> Option<&Candidate> {
        self.by_bucket.iter().find(|(known, _)| *known == bucket).map(|(_, candidate)| candidate)
    }

    /// Those that were not sent yet.
    pub fn fresh(&self) -> &[Candidate] {
        &self.fresh
    }

    /// They are sent.
    pub fn sent(&mut self) {
        self.fresh.clear();
    }

    fn show(&mut self, bucket: usize, candidate: Candidate) {
        match self.by_bucket.iter_mut().find(|(known, _)| *known == bucket) {
            Some((_, shown)) => *shown = candidate,
            None => self.by_bucket.push((bucket, candidate)),
        }
        if self.fresh.len() < FRESH {
            self.fresh.push(candidate);
        }
    }
}

/// Which traces were kept, told by whoever decides about them.
#[derive(Debug, Default)]
pub struct Decisions {
    awaited: AtomicBool,
    /// See [`Decisions::take_at_most`], in nanoseconds; 0 where nobody has said it.
    longest: AtomicU64,
    kept: [Mutex<VecDeque<TraceId>>; SHARDS],
}

impl Decisions {
    /// From now on spans wait for [`Decisions::kept`], or do not any more.
    pub fn await_decisions(&self, awaited: bool) {
        self.awaited.store(awaited, Ordering::Relaxed);
    }

    /// A trace was kept. Cheap, from any thread; nothing happens where nobody waits for decisions.
    pub fn kept(&self, trace: &TraceId) {
        if !self.are_awaited() {
            return;
        }
        let mut kept = self.kept[usize::from(trace[15]) % SHARDS].lock();
        if kept.len() == REMEMBERED {
            kept.pop_front();
        }
        kept.push_back(*trace);
    }

    /// How long a decision takes at most.
    pub fn take_at_most(&self, longest: Duration) {
        self.longest.store(u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn longest(&self) -> Duration {
        match self.longest.load(Ordering::Relaxed) {
            0 => LONGEST,
            longest => Duration::from_nanos(longest),
        }
    }

    pub(super) fn are_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }

    /// Those since the last time.
    pub(super) fn take(&self) -> HashSet<TraceId, RandomState> {
        self.kept.iter().flat_map(|shard| std::mem::take(&mut *shard.lock())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(last: u8) -> Candidate {
        Candidate { trace: [last; 16], span: [1; 8], seconds: 0.5, time: 1 }
    }

    #[test]
    fn the_highest_randomness_of_a_bucket_stands_for_it() {
        let mut candidates = Candidates::default();
        for (bucket, last) in [(0, 3), (0, 9), (0, 5), (1, 2)] {
            candidates.offer(bucket, candidate(last));
        }
        let mut shown = Shown::default();
        shown.take(candidates, None);
        assert_eq!(shown.of(0), Some(&candidate(9)));
        assert_eq!((shown.of(1), shown.of(2)), (Some(&candidate(2)), None));
        assert_eq!(shown.fresh().len(), 2);
        shown.sent();
        assert_eq!((shown.fresh().len(), shown.of(0)), (0, Some(&candidate(9))));
    }

    #[test]
    fn a_span_is_shown_when_its_trace_was_kept_and_not_before() {
        let decisions = Decisions::default();
        decisions.kept(&[1; 16]);
        assert!(decisions.take().is_empty(), "nobody waits");
        decisions.await_decisions(true);
        let (mut shown, now) = (Shown::default(), Instant::now());
        for last in [1, 2] {
            let mut candidates = Candidates::default();
            candidates.offer(0, candidate(last));
            shown.take(candidates, Some(now));
        }
        shown.confirm(&decisions.take(), now, LONGEST);
        assert_eq!(shown.of(0), None);
        decisions.kept(&[1; 16]);
        shown.confirm(&decisions.take(), now, LONGEST);
        assert_eq!(shown.of(0), Some(&candidate(1)));
        assert!(decisions.take().is_empty());
    }

    #[test]
    fn whoever_waits_has_its_time_however_many_come_after_it() {
        let decisions = Decisions::default();
        decisions.await_decisions(true);
        decisions.take_at_most(Duration::from_secs(10));
        let (mut shown, begin) = (Shown::default(), Instant::now());
        let mut collect = |last: u8, seconds: u64| {
            let now = begin + Duration::from_secs(seconds);
            let mut candidates = Candidates::default();
            candidates.offer(0, candidate(last));
            let kept = decisions.take();
            shown.confirm(&kept, now, decisions.longest());
            shown.take(candidates, Some(now));
            shown.confirm(&kept, now, decisions.longest());
            shown.of(0).map(|candidate| candidate.trace[0])
        };
        for second in 0..20 {
            assert_eq!(collect(second as u8, second), None);
        }
        decisions.kept(&[0; 16]);
        assert_eq!(collect(20, 20), Some(0), "the first was there for twice as long as decisions take");
        // Of a trace that was dropped nothing is heard: it makes way in time.
        for second in 21..60 {
            collect(second as u8, second);
        }
        decisions.kept(&[20; 16]);
        assert_eq!(collect(60, 60), Some(0));
        decisions.kept(&[60; 16]);
        assert_eq!(collect(61, 61), Some(60), "the newest waits beside the oldest");
    }

    #[test]
    fn what_waits_and_what_is_remembered_is_bounded() {
        let decisions = Decisions::default();
        decisions.await_decisions(true);
        let (mut shown, now) = (Shown::default(), Instant::now());
        for number in 0..100_000u32 {
            let mut trace = [0; 16];
            trace[..4].copy_from_slice(&number.to_be_bytes());
            decisions.kept(&trace);
            let mut candidates = Candidates::default();
            candidates.offer(0, Candidate { trace, ..candidate(0) });
            shown.take(candidates, Some(now));
        }
        assert_eq!((decisions.take().len(), shown.waiting.len()), (REMEMBERED, WAITING));
    }
}
