//! Asks the samplers about traces that are due, in the order of the folder, until one does not abstain.
//!
//! The bytes stay where they are: what samplers want to see is copied out of the shard and read as a batch.

use std::ops::Range;
use std::sync::Arc;

use otlp::batch::Batch;
use otlp::columns::Column;
use otlp::columns::cache::Cache;
use otlp::columns::fitting;
use otlp::path::Want;
use parking_lot::Mutex;

use super::clocks::Nanos;
use super::config::Otherwise;
use super::shard::{Candidate, Settled, Shard};
use super::show::{Limits, Shower};
use super::verdict::{Fate, Mark, Verdict};
use crate::chain::ask::{Answered, Asking};
use crate::chain::live::Chain;
use crate::chain::sampler::{Decision, Due, NO_ROOT, Show, Traces};
use crate::chain::seats::{Kind, Seats};
use crate::chain::shadow::{Asked, Shadows};
use crate::chain::stage::{Fault, FaultKind, Stage};
use crate::chain::trial::Trial;

/// A sampler that waits for less is asked again after this.
const SHORTEST_WAIT: Nanos = 20_000_000;

/// So many verdicts of a call are looked through before another is made.
const SOME_VERDICTS: usize = 16;

/// Who decides for one shard.
pub(super) struct Judge {
    seats: Seats,
    shower: Shower,
    batch: Batch,
    cache: Cache,
}

/// What becomes of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    NotYet,
    Wait(Nanos),
    By(Arc<Verdict>),
}

impl Outcome {
    pub(super) fn settled(&self) -> Settled<'_> {
        match self {
            Self::NotYet => Settled::NotYet,
            Self::Wait(until) => Settled::Wait(*until),
            Self::By(verdict) => Settled::By(verdict),
        }
    }
}

/// What is the same for all candidates of a turn.
#[derive(Clone, Copy)]
pub(super) struct Turn<'t> {
    pub(super) now: Nanos,
    /// Nanoseconds since the Unix epoch.
    pub(super) unix: u64,
    pub(super) otherwise: Otherwise,
    /// What samplers are shown of traces.
    pub(super) limits: Limits,
    /// Where versions are tried on the side.
    pub(super) shadows: &'t Shadows,
    /// The bit of a sampler in [`Candidate::early`].
    pub(super) bit: &'t dyn Fn(&str) -> u64,
}

/// Candidates with what was said of them so far.
struct Case<'c> {
    candidates: &'c [Candidate],
    outcomes: Vec<Option<Outcome>>,
    /// The rows of each in the batch.
    rows: Vec<Range<u32>>,
    roots: Vec<u32>,
    whole: Vec<bool>,
}

impl Judge {
    pub(super) fn new() -> Self {
        Self {
            seats: Seats::new(Kind::Samplers),
            shower: Shower::default(),
            batch: Batch::new(),
            cache: Cache::default(),
        }
    }

    /// Turns to another chain, before anything is decided, and also where nothing is: what was retired does not wait for that.
    pub(super) fn follow(&mut self, chain: &Chain) {
        self.seats.follow(chain);
    }

    /// The most that any of the samplers is shown of traces.
    pub(super) fn shows(&mut self) -> Show {
        self.seats.iter_mut().map(|seat| seat.shows()).max().unwrap_or(Show::NoSpans)
    }

    /// Decides about candidates of a shard; one outcome for each.
    pub(super) fn decide(&mut self, shard: &Mutex<Shard>, turn: Turn<'_>, candidates: &[Candidate]) -> Vec<Outcome> {
        let show = self.shows();
        let mut outcomes = Vec::with_capacity(candidates.len());
        while outcomes.len() < candidates.len() {
            let rest = &candidates[outcomes.len()..];
            let shown = self.shower.show(shard, rest, show, turn.limits);
            let some = &rest[..shown.rows.len()];
            let loaded = self.batch.load_again(&shown.requests);
            assert!(loaded.iter().all(Result::is_ok), "what was a batch is one again: {loaded:?}");
            let case = Case {
                candidates: some,
                outcomes: vec![None; some.len()],
                rows: shown.rows,
                roots: shown.roots,
                whole: shown.whole,
            };
            outcomes.extend(self.hear(case, turn));
            self.batch.clear();
            self.cache.clear();
        }
        outcomes
    }

    /// Asks one sampler after the other.
    fn hear(&mut self, mut case: Case<'_>, turn: Turn<'_>) -> Vec<Outcome> {
        for seat in self.seats.iter_mut() {
            let is_open = |at: &usize| case.outcomes[*at].is_none();
            let open: Vec<usize> = (0..case.candidates.len()).filter(is_open).collect();
            if open.is_empty() {
                break;
            }
            let shadow = seat.shadow();
            // On which a canary has failed: the version that counts decides them.
            let mut failed: Vec<usize> = Vec::new();
            for (stage, slot, takes) in seat.samplers() {
                let bit = (turn.bit)(&stage.spec().name);
                let is_asked = |at: &usize| {
                    let candidate = &case.candidates[*at];
                    let is_its_own = takes(&candidate.key.id) || failed.contains(at);
                    is_its_own && (candidate.due != Due::Early || candidate.early & bit != 0)
                };
                let asked: Vec<usize> = open.iter().copied().filter(is_asked).collect();
                let Some(mut asking) = (!asked.is_empty()).then(|| Asking::begin(stage, slot)).flatten() else {
                    continue;
                };
                let mut hearing = Hearing {
                    batch: &self.batch,
                    cache: &mut self.cache,
                    case: &mut case,
                    stage,
                    turn,
                    said: Vec::new(),
                    gave_up: Vec::new(),
                    verdicts: Vec::new(),
                };
                hearing.ask(&mut asking, &asked);
                asking.end();
                if let Some(trial) = &shadow {
                    hearing.shade(trial);
                }
                failed = hearing.gave_up;
            }
        }
        let Case { candidates, outcomes, .. } = case;
        let fate = match turn.otherwise {
            Otherwise::Keep => Fate::Keep(Mark::Leave),
            Otherwise::Drop => Fate::Drop,
        };
        let default = Arc::new(Verdict::of_buffer("default", fate));
        let undecided = |candidate: &Candidate| match candidate.due {
            Due::Early => Outcome::NotYet,
            _ => Outcome::By(Arc::clone(&default)),
        };
        candidates
            .iter()
            .zip(outcomes)
            .map(|(candidate, outcome)| outcome.unwrap_or_else(|| undecided(candidate)))
            .collect()
    }
}

/// One sampler is heard.
struct Hearing<'h, 'c> {
    batch: &'h Batch,
    cache: &'h mut Cache,
    case: &'h mut Case<'c>,
    stage: &'h Stage,
    turn: Turn<'h>,
    /// What it has said so far, of which candidate.
    said: Vec<(usize, Decision)>,
    /// On which it has failed.
    gave_up: Vec<usize>,
    /// The verdicts of one call, by their reason's code: there are few, though there are many traces.
    verdicts: Vec<(u32, Arc<Verdict>)>,
}

impl Hearing<'_, '_> {
    /// Has a version that is tried in the shadow asked about the same candidates.
    fn shade(&mut self, trial: &Arc<Trial>) {
        let (heard, said): (Vec<usize>, Vec<Decision>) = std::mem::take(&mut self.said).into_iter().unzip();
        let mut at = 0;
        while at < heard.len() {
            let (traces, columns, count) = self.question(trial.stage(), &heard[at..]);
            let some = at..at + count;
            let arrived = heard[some.clone()].iter().map(|at| self.case.candidates[*at].summary.arrived()).collect();
            let asked = Asked { traces, columns, arrived, said: said[some].to_vec() };
            self.turn.shadows.ask(trial, asked, self.turn.unix);
            at += count;
        }
    }

    /// About as many of them as one call may show: what is asked, and about how many.
    fn question(&mut self, stage: &Stage, asked: &[usize]) -> (Traces, Vec<Arc<Column>>, usize) {
        let plan = stage.spec().program.plan();
        let show = plan.sampler.as_ref().map_or(Show::NoSpans, |sampler| sampler.show);
        let mut traces = Traces::with_room(asked.len());
        let mut rows = Vec::with_capacity(if show == Show::NoSpans { 0 } else { asked.len() });
        for &at in asked {
            self.case.add(at, show, &mut traces, &mut rows);
        }
        let count = self.cut(&mut traces, &mut rows, &plan.columns);
        (traces, self.cache.show(self.batch, &rows, &plan.columns).columns, count)
    }

    /// About these candidates, in as many calls as it takes. Where a call fails, the candidates on which it does are searched for.
    fn ask(&mut self, asking: &mut Asking<'_>, asked: &[usize]) {
        let mut waiting = vec![asked];
        let mut last = None;
        while let Some(some) = waiting.pop() {
            if some.is_empty() {
                continue;
            }
            let (count, fault) = self.call(asking, some);
            waiting.push(&some[count..]);
            let Some(fault) = fault else { continue };
            let some = &some[..count];
            // Without an instance no half can do better.
            if some.len() > 1 && asking.may_search() && fault.kind != FaultKind::Instantiate {
                let (first, second) = some.split_at(some.len() / 2);
                waiting.extend([second, first]);
            } else {
                self.gave_up.extend_from_slice(some);
                last = Some(fault);
            }
        }
        if let Some(fault) = last {
            asking.gave_up(self.gave_up.len(), &fault);
        }
    }

    /// As many of them as one call may show. Answers how many those were.
    fn call(&mut self, asking: &mut Asking<'_>, asked: &[usize]) -> (usize, Option<Fault>) {
        let (traces, columns, count) = self.question(self.stage, asked);
        match asking.ask(&traces, &columns, self.turn.unix) {
            Ok(answered) => {
                // Another call's codes stand for other words.
                self.verdicts.clear();
                for (number, (&at, decision)) in asked.iter().zip(&answered.decisions).enumerate() {
                    self.said.push((at, *decision));
                    self.case.outcomes[at] = self.outcome(*decision, &self.case.candidates[at], &answered, number);
                }
                (count, None)
            }
            Err(fault) => (count, Some(fault)),
        }
    }

    /// Leaves only so many traces that their columns fit into one call: at least one, of which the rows are cut off then.
    fn cut(&self, traces: &mut Traces, rows: &mut Vec<u32>, wants: &[Want]) -> usize {
        let fit = fitting(self.batch, rows, wants);
        if fit == rows.len() {
            return traces.len();
        }
        let whole = traces.starts.partition_point(|start| *start as usize <= fit) - 1;
        let count = whole.max(1);
        traces.truncate(count);
        if whole == 0 {
            traces.starts[1] = fit as u32;
            traces.whole[0] = 0;
            if traces.roots[0] >= fit as u32 {
                traces.roots[0] = NO_ROOT;
            }
        }
        rows.truncate(*traces.starts.last().expect("there is one more than traces") as usize);
        count
    }

    /// What a decision, the `number`-th of an answer, comes to; `None` where the next sampler is asked.
    fn outcome(
        &mut self,
        decision: Decision,
        candidate: &Candidate,
        answered: &Answered,
        number: usize,
    ) -> Option<Outcome> {
        // Early it means: not yet, for this sampler; others may be sure already.
        if let Decision::Wait(time) = decision
            && candidate.due.may_wait()
            && candidate.due != Due::Early
        {
            let nanos = Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX);
            return Some(Outcome::Wait(self.turn.now.saturating_add(nanos.max(SHORTEST_WAIT))));
        }
        let fate = match (decision.keeps(candidate.summary.arrived())?, decision) {
            (false, _) => Fate::Drop,
            (true, Decision::Sample { probability, how }) => Fate::Keep(Mark::Sampled { probability, how }),
            (true, Decision::Chosen(probability)) => Fate::Keep(Mark::Chosen(probability)),
            (true, _) => Fate::Keep(Mark::Leave),
        };
        Some(Outcome::By(self.verdict(answered, number, fate)))
    }

    fn verdict(&mut self, answered: &Answered, number: usize, fate: Fate) -> Arc<Verdict> {
        let code = answered.code(number);
        let is_it = |(known, verdict): &&(u32, Arc<Verdict>)| *known == code && verdict.fate == fate;
        // The last ones only: with a probability for each trace there may be many.
        if let Some((_, known)) = self.verdicts.iter().rev().take(SOME_VERDICTS).find(is_it) {
            return Arc::clone(known);
        }
        let labels = self.stage.drop_labels(&answered.reason(number));
        let verdict = Arc::new(Verdict { plugin: labels.plugin, reason: labels.reason, fate });
        self.verdicts.push((code, Arc::clone(&verdict)));
        verdict
    }
}

impl Case<'_> {
    /// Adds a candidate to what a sampler is asked.
    fn add(&self, at: usize, show: Show, traces: &mut Traces, rows: &mut Vec<u32>) {
        let Candidate { key, due, summary, .. } = &self.candidates[at];
        let (mine, root) = (self.rows[at].clone(), self.roots[at]);
        let start = rows.len() as u32;
        let has_root = root != NO_ROOT;
        let (shown_root, is_whole) = match show {
            Show::NoSpans => (NO_ROOT, true),
            Show::Roots => {
                rows.extend(has_root.then_some(root));
                (if has_root { start } else { NO_ROOT }, true)
            }
            Show::EverySpan => {
                let shown = if has_root { start + (root - mine.start) } else { NO_ROOT };
                rows.extend(mine);
                (shown, self.whole[at])
            }
        };
        traces.due.push(*due);
        traces.starts.push(rows.len() as u32);
        traces.whole.push(u8::from(is_whole));
        traces.ids.extend_from_slice(&key.id);
        traces.roots.push(shown_root);
        traces.spans.push(summary.spans);
        traces.sizes.push(summary.bytes);
        traces.errors.push(summary.errors);
        traces.weights.push(summary.weight);
        traces.start_times.push(summary.start);
        traces.durations.push(summary.duration());
    }
}
