//! All series of one kind: where mills record them, each in a table of its own, and where they are added up.
//!
//! Invariant: whoever adds up takes a mill's table whole, in the time that it takes to put an empty one there. A mill waits for nothing else.

use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::{Mutex, MutexGuard};

use super::config::{SeriesConfig, Temporality};
use super::durations::{Recorded, Sample, Values};
use super::exemplar::{Decisions, Shown, TraceId};
use super::now::Now;
use super::schema::Schema;

/// Traces that were kept.
pub type Kept = std::collections::HashSet<TraceId, RandomState>;

/// What one mill has recorded since it was taken last.
#[derive(Debug, Default)]
pub struct Deltas {
    series: HashMap<Box<[u8]>, Recorded, RandomState>,
    /// How many of them do not stand for what is too much.
    own: usize,
}

impl Deltas {
    /// Records one. Nothing is allocated for a series that is known.
    #[inline]
    pub fn record(&mut self, key: &[u8], sample: &Sample, config: &SeriesConfig) {
        self.of(key, config, |series| series.record(sample, &config.buckets, config.max_buckets));
    }

    /// Adds what another table has.
    pub fn add(&mut self, others: Self, config: &SeriesConfig) {
        for (key, recorded) in others.series {
            self.of(&key, config, |series| series.add(recorded, config.max_buckets));
        }
    }

    /// How many series it has.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Acts on the series of a key, or on the one of what is too much.
    #[inline]
    fn of(&mut self, key: &[u8], config: &SeriesConfig, act: impl FnOnce(&mut Recorded)) {
        if let Some(known) = self.series.get_mut(key) {
            return act(known);
        }
        // Invariant: there are never more than this, and one for each family beside them.
        let key = if self.own < config.max_series { key } else { overflow(key) };
        if let Some(known) = self.series.get_mut(key) {
            act(known);
        } else {
            self.own += usize::from(!is_overflow(key));
            act(self.series.entry(key.into()).or_default());
        }
    }
}

/// The key of what is too much.
fn overflow(key: &[u8]) -> &[u8] {
    &key[..1]
}

/// Whether a key stands for what is too much.
pub fn is_overflow(key: &[u8]) -> bool {
    key.len() == 1
}

/// A series, added up.
#[derive(Debug)]
pub struct Series {
    /// When it began, in nanoseconds since the Unix epoch: nothing of it is older.
    pub start: u64,
    /// When it was last added to.
    seen: Instant,
    /// What rounding has left over.
    carry: f64,
    /// Since it began.
    pub total: Values,
    /// What has come since it was sent last; kept only where that is what is sent.
    pub unsent: Option<Values>,
    /// When that was.
    pub since: u64,
    /// Spans that stand for it.
    pub exemplars: Shown,
}

/// All series of one kind, added up.
#[derive(Debug)]
pub struct Totals {
    series: HashMap<Box<[u8]>, Series, RandomState>,
    /// How many of them do not stand for what is too much.
    own: usize,
    /// Until when everything is in here.
    pub upto: u64,
    /// When they were sent last.
    pub sent: Instant,
}

impl Totals {
    fn new(now: Now) -> Self {
        Self { series: HashMap::default(), own: 0, upto: now.unix, sent: now.steady }
    }

    /// Their keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Series)> {
        self.series.iter().map(|(key, series)| (&**key, series))
    }

    /// One of them.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut Series> {
        self.series.get_mut(key)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.series.len()
    }

    fn add(&mut self, deltas: Deltas, now: Instant, config: &SeriesConfig, waits: bool) {
        for (key, recorded) in deltas.series {
            let is_known = self.series.contains_key(&key);
            let key = if is_known || self.own < config.max_series { key } else { overflow(&key).into() };
            self.own += usize::from(!is_known && !is_overflow(&key));
            let upto = self.upto;
            let series = self.series.entry(key).or_insert_with(|| Series {
                start: upto,
                seen: now,
                carry: 0.0,
                total: Values::default(),
                since: upto,
                unsent: (config.temporality == Temporality::Delta).then(Values::default),
                exemplars: Shown::default(),
            });
            let (values, candidates) = recorded.round(&mut series.carry);
            series.total.add(&values, config.max_buckets);
            if let Some(unsent) = &mut series.unsent {
                unsent.add(&values, config.max_buckets);
            }
            series.exemplars.take(candidates, waits.then_some(now));
            series.seen = now;
        }
    }

    /// What waits is decided before others come that it may have to make way for.
    fn confirm(&mut self, now: Now, decisions: &Decisions, kept: &Kept) {
        let longest = decisions.longest();
        self.series.values_mut().for_each(|series| series.exemplars.confirm(kept, now.steady, longest));
    }

    fn settle(&mut self, now: Now, config: &SeriesConfig, decisions: &Decisions, kept: &Kept) {
        let longest = decisions.longest();
        self.series.retain(|_, series| {
            series.exemplars.confirm(kept, now.steady, longest);
            now.steady.saturating_duration_since(series.seen) <= config.idle_after
        });
        self.own = self.series.keys().filter(|key| !is_overflow(key)).count();
        self.upto = now.unix;
    }
}

/// One kind of metrics: its mills' tables, and their sums.
#[derive(Debug)]
pub struct Part {
    /// How series are kept.
    pub config: SeriesConfig,
    /// What they are called.
    pub schema: Schema,
    mills: Vec<Mutex<Deltas>>,
    totals: Mutex<Totals>,
}

impl Part {
    /// Begins with nothing, at this time.
    pub fn new(config: SeriesConfig, schema: Schema, mills: usize, now: Now) -> Self {
        let mills = (0..mills.max(1)).map(|_| Mutex::default()).collect();
        Self { config, schema, mills, totals: Mutex::new(Totals::new(now)) }
    }

    /// The table of a mill.
    pub fn mill(&self, number: usize) -> MutexGuard<'_, Deltas> {
        self.mills[number % self.mills.len()].lock()
    }

    /// Adds up what the mills have, and `more`; forgets what is idle.
    pub fn collect(&self, more: Deltas, now: Now, decisions: &Decisions, kept: &Kept) {
        let mut totals = self.totals.lock();
        let waits = decisions.are_awaited();
        totals.confirm(now, decisions, kept);
        totals.add(more, now.steady, &self.config, waits);
        for mill in &self.mills {
            let deltas = std::mem::take(&mut *mill.lock());
            totals.add(deltas, now.steady, &self.config, waits);
        }
        totals.settle(now, &self.config, decisions, kept);
    }

    /// The sums. Not for mills.
    pub fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock()
    }
}

#[cfg(test)]
mod tests;
