//! The harness of samplers: builds what the host would show of traces, checks the decisions, and does what they say.

use super::columns::Slice;
use super::model::Batch;
use super::sampling::{Outcome, State};
use super::span::from_hex;
use super::trace::Gathered;
use super::{place, stub, when};
use crate::bindings::sampler::contract;
use crate::bindings::types::Sampling;
use crate::host::Level;
use crate::layout::Texts;
use crate::sampler::{Decision, Running, Sampler as Decider, Show};

/// Configures a sampler for tests. Panics if it refuses its settings; see [`refused_sampler`] for those tests.
pub fn sampler<S: Decider>(settings: &str) -> Sampler<S> {
    match Sampler::configure(settings) {
        Ok(sampler) => sampler,
        Err(refusal) => panic!("the sampler refuses its settings: {refusal}"),
    }
}

/// Why a sampler refuses these settings. Panics if it takes them.
pub fn refused_sampler<S: Decider>(settings: &str) -> String {
    match Sampler::<S>::configure(settings) {
        Ok(_) => panic!("the sampler takes these settings: {settings}"),
        Err(refusal) => refusal,
    }
}

/// Instances of a configured sampler with a host of their own.
pub struct Sampler<S> {
    instances: Vec<Running<S>>,
    settings: String,
    host: stub::Host,
}

impl<S: Decider> Sampler<S> {
    /// Configures a sampler; the error is what the operator would see.
    pub fn configure(settings: &str) -> Result<Self, String> {
        let mut sampler = Self { instances: Vec::new(), settings: settings.to_owned(), host: stub::Host::default() };
        sampler.add_instance()?;
        let plan = sampler.plan();
        place::check_columns(&plan.columns)?;
        place::check_conditions(&plan.early)?;
        Ok(sampler)
    }

    /// Adds an instance beside those that are there, as the host has one for each of its threads. They share the state.
    pub fn add_instance(&mut self) -> Result<usize, String> {
        let settings = &self.settings;
        let running = self.host.during(|| Running::configure(settings)).map_err(|refusal| refusal.to_string())?;
        self.instances.push(running);
        Ok(self.instances.len() - 1)
    }

    /// The plan that the sampler declared.
    pub fn plan(&self) -> &contract::SamplerPlan {
        &self.instances[0].declared.plan
    }

    /// Sets the clock, in nanoseconds since the Unix epoch.
    pub fn set_now(&mut self, nanoseconds: u64) {
        self.host.now = nanoseconds;
    }

    /// A value of the sampler's shared state.
    pub fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.host.state_value(key)
    }

    /// Whether the state is full: it takes no value then, and says so.
    pub fn fill_state(&mut self, is_full: bool) {
        self.host.is_full = is_full;
    }

    /// The log lines of the last call.
    pub fn logs(&self) -> &[(Level, String)] {
        self.host.logs()
    }

    /// True if a span of the trace meets the plan's conditions for being asked about at once.
    pub fn asks_early(&self, trace: &Gathered) -> bool {
        let early = &self.plan().early;
        let matching = when::matching_rows(&Batch::load(&trace.spans), early);
        !early.is_empty() && !matching.unwrap_or_else(|problem| panic!("{problem}")).is_empty()
    }

    /// Has traces decided. Panics if the sampler fails, or answers what the host would refuse.
    pub fn decide<T: Into<Gathered>>(&mut self, traces: impl IntoIterator<Item = T>) -> Decided {
        self.decide_in(0, traces)
    }

    /// As [`decide`](Self::decide), in one of several instances.
    pub fn decide_in<T: Into<Gathered>>(&mut self, instance: usize, traces: impl IntoIterator<Item = T>) -> Decided {
        match self.try_decide_in(instance, traces) {
            Ok(decided) => decided,
            Err(error) => panic!("the sampler fails: {error}"),
        }
    }

    /// As [`decide_in`](Self::decide_in); the error is the sampler's own, or says what the host would refuse.
    pub fn try_decide_in<T: Into<Gathered>>(
        &mut self,
        instance: usize,
        traces: impl IntoIterator<Item = T>,
    ) -> Result<Decided, String> {
        let traces: Vec<Gathered> = traces.into_iter().map(Into::into).collect();
        let shown = Shown::new(&traces, self.plan())?;
        self.host.begin_call();
        let running = &mut self.instances[instance];
        let decisions = self.host.during(|| running.decide(&shown.summary, &shown.slice.columns));
        let decisions = decisions.map_err(|refusal| refusal.to_string())?;
        Decided::new(traces, &decisions)
    }
}

/// What the host shows of traces.
struct Shown {
    summary: contract::Traces,
    slice: Slice,
}

impl Shown {
    fn new(traces: &[Gathered], plan: &contract::SamplerPlan) -> Result<Self, String> {
        let all: Vec<_> = traces.iter().flat_map(|trace| trace.spans.iter().cloned()).collect();
        let batch = Batch::load(&all);
        let (mut rows, mut starts, mut roots, mut whole) = (Vec::new(), vec![0u32], Vec::new(), Vec::new());
        let mut first = 0;
        for trace in traces {
            let root = trace.root();
            let of_trace: Vec<usize> = match plan.show {
                Show::NoSpans => Vec::new(),
                Show::Roots => root.into_iter().collect(),
                Show::EverySpan => (0..trace.spans.len().min(trace.most_rows)).collect(),
            };
            let shown_root = of_trace.iter().position(|&row| Some(row) == root);
            roots.push(shown_root.map_or(u32::MAX, |row| (rows.len() + row) as u32));
            whole.push(u8::from(trace.spans.len() <= trace.most_rows));
            rows.extend(of_trace.iter().map(|row| first + row));
            starts.push(rows.len() as u32);
            first += trace.spans.len();
        }
        let slice = Slice::build(&batch, &rows, &starts, &plan.columns)?;
        let id = |trace: &Gathered| {
            let id = from_hex(&trace.id).filter(|id| id.len() == 16);
            id.ok_or_else(|| format!("`{}` is no trace id of 16 bytes", trace.id))
        };
        let ids: Result<Vec<Vec<u8>>, String> = traces.iter().map(id).collect();
        let summary = contract::Traces {
            due: traces.iter().map(|trace| trace.due).collect(),
            starts,
            whole,
            ids: ids?.concat(),
            roots,
            spans: traces.iter().map(|trace| trace.spans.len() as u32).collect(),
            sizes: traces.iter().map(Gathered::bytes).collect(),
            errors: traces.iter().map(Gathered::errors).collect(),
            weights: traces.iter().map(Gathered::weight).collect(),
            start_times: traces.iter().map(Gathered::start).collect(),
            durations: traces.iter().map(Gathered::duration).collect(),
        };
        Ok(Self { summary, slice })
    }
}

/// What a sampler decided, and what the host makes of it.
#[derive(Debug)]
pub struct Decided {
    verdicts: Vec<Verdict>,
}

#[derive(Debug)]
struct Verdict {
    decision: Decision,
    reason: String,
    /// The trace state with which its first span goes on; none if it does not.
    trace_state: Option<String>,
}

impl Decided {
    fn new(traces: Vec<Gathered>, decisions: &contract::Decisions) -> Result<Self, String> {
        let lengths = [decisions.actions.len(), decisions.numbers.len(), decisions.reasons.codes.len()];
        if lengths.iter().any(|&length| length != traces.len()) {
            return Err(format!("{lengths:?} actions, numbers and reasons for {} traces", traces.len()));
        }
        let words = Texts::new(&decisions.reasons.words);
        let verdict = |(index, trace): (usize, Gathered)| {
            let (action, number) = (decisions.actions[index], decisions.numbers[index]);
            let decision = Decision::decode(action, number).ok_or_else(|| format!("there is no action {action}"))?;
            let code = decisions.reasons.codes[index];
            if code as usize >= words.len() {
                return Err(format!("there is no reason {code}"));
            }
            let trace_state = outcome(&trace, decision)?;
            Ok(Verdict { decision, reason: words.get(code).to_string(), trace_state })
        };
        let verdicts = traces.into_iter().enumerate().map(verdict).collect::<Result<_, String>>()?;
        Ok(Self { verdicts })
    }

    /// How many traces there were.
    pub fn len(&self) -> usize {
        self.verdicts.len()
    }

    /// True if there were none.
    pub fn is_empty(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// What was decided of a trace.
    pub fn decision(&self, index: usize) -> Decision {
        self.verdicts[index].decision
    }

    /// All decisions in order.
    pub fn decisions(&self) -> impl Iterator<Item = Decision> {
        self.verdicts.iter().map(|verdict| verdict.decision)
    }

    /// Why; empty where nothing was decided.
    pub fn reason(&self, index: usize) -> &str {
        &self.verdicts[index].reason
    }

    /// True if the trace goes on, its randomness considered.
    pub fn is_kept(&self, index: usize) -> bool {
        self.verdicts[index].trace_state.is_some()
    }

    /// How many traces go on.
    pub fn kept(&self) -> usize {
        self.verdicts.iter().filter(|verdict| verdict.trace_state.is_some()).count()
    }

    /// The trace state with which a trace's first span goes on; none if it does not.
    pub fn trace_state(&self, index: usize) -> Option<&str> {
        self.verdicts[index].trace_state.as_deref()
    }
}

/// What the host does: the trace state of what goes on.
fn outcome(trace: &Gathered, decision: Decision) -> Result<Option<String>, String> {
    let first = &trace.spans[0];
    let state = State::of(&first.trace_id, &first.trace_state);
    let sampled = |probability, how| {
        Ok(match state.sample(probability, how)? {
            Outcome::Keep { trace_state } => Some(trace_state),
            Outcome::Drop => None,
        })
    };
    match decision {
        Decision::Abstain | Decision::Drop | Decision::Wait(_) => Ok(None),
        // Whoever keeps all of a kind changes nobody's weight.
        Decision::Keep => Ok(Some(first.trace_state.clone())),
        Decision::Sample(probability) => sampled(probability, Sampling::Equalizing),
        Decision::Proportional(probability) => sampled(probability, Sampling::Proportional),
        Decision::Kept(probability) => state.weigh(probability).map(Some),
    }
}
