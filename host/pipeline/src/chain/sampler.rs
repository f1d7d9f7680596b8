//! What samplers are shown and what they answer: whole traces, by their summaries and, where they ask for them, by columns of their spans.

use std::sync::Arc;
use std::time::Duration;

use otlp::columns::{Column, Words};
use otlp::condition::Condition;
use otlp::edit::Sampling;
use otlp::sampling::{Arrived, Odds};

use super::program::{Fault, FaultKind};

/// The part of a [`Plan`](super::plan::Plan) that makes a plugin a sampler. Its columns are those of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerPlan {
    /// Which spans of a trace it sees.
    pub show: Show,
    /// It is asked at once about a trace with a span that meets any of these lists, all of its conditions; none means never.
    pub early: Vec<Vec<Condition>>,
}

/// Which spans of a trace a sampler sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Show {
    /// None: the summaries are enough.
    NoSpans,
    /// The root, where it has come.
    Roots,
    /// All, up to the host's limit.
    EverySpan,
}

/// Why a trace is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Due {
    /// A span of it meets a sampler's `early`.
    Early,
    /// Its root has come, and the time for stragglers is over.
    RootSeen,
    /// Nothing of it has come for a while.
    Idle,
    /// It has waited as long as any trace may.
    WaitedLongEnough,
    /// The buffer needs its room.
    OverBudget,
    /// The proxy ends.
    ShuttingDown,
}

impl Due {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Early, Self::RootSeen, Self::Idle, Self::WaitedLongEnough, Self::OverBudget, Self::ShuttingDown];

    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::RootSeen => "root_seen",
            Self::Idle => "idle",
            Self::WaitedLongEnough => "waited_long_enough",
            Self::OverBudget => "over_budget",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Whether `wait` is heard: where not, the trace has to be decided now.
    #[must_use]
    pub fn may_wait(self) -> bool {
        matches!(self, Self::Early | Self::RootSeen | Self::Idle)
    }
}

/// Where no root is shown.
pub const NO_ROOT: u32 = u32::MAX;

/// Traces that are due: one element of each list for each trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traces {
    /// Why.
    pub due: Vec<Due>,
    /// Trace i owns the rows from `starts[i]` to before `starts[i + 1]`: one more than traces.
    pub starts: Vec<u32>,
    /// 0 where its rows were cut off.
    pub whole: Vec<u8>,
    /// 16 bytes each, end to end.
    pub ids: Vec<u8>,
    /// The root's row, or [`NO_ROOT`].
    pub roots: Vec<u32>,
    /// Spans that have come.
    pub spans: Vec<u32>,
    /// Their bytes.
    pub sizes: Vec<u64>,
    /// Spans with status ERROR.
    pub errors: Vec<u32>,
    /// What the spans stand for by `ot=th`.
    pub weights: Vec<f64>,
    /// The earliest start, in nanoseconds since the Unix epoch.
    pub start_times: Vec<u64>,
    /// The latest end minus the earliest start, in nanoseconds.
    pub durations: Vec<u64>,
}

impl Traces {
    /// None, with room for about so many.
    pub(crate) fn with_room(traces: usize) -> Self {
        let mut starts = Vec::with_capacity(traces + 1);
        starts.push(0);
        Self {
            due: Vec::with_capacity(traces),
            starts,
            whole: Vec::with_capacity(traces),
            ids: Vec::with_capacity(traces * 16),
            roots: Vec::with_capacity(traces),
            spans: Vec::with_capacity(traces),
            sizes: Vec::with_capacity(traces),
            errors: Vec::with_capacity(traces),
            weights: Vec::with_capacity(traces),
            start_times: Vec::with_capacity(traces),
            durations: Vec::with_capacity(traces),
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Leaves the first so many.
    pub fn truncate(&mut self, traces: usize) {
        self.due.truncate(traces);
        self.starts.truncate(traces + 1);
        self.whole.truncate(traces);
        self.ids.truncate(traces * 16);
        self.roots.truncate(traces);
        self.spans.truncate(traces);
        self.sizes.truncate(traces);
        self.errors.truncate(traces);
        self.weights.truncate(traces);
        self.start_times.truncate(traces);
        self.durations.truncate(traces);
    }
}

/// What a sampler is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// About which traces.
    pub traces: &'a Traces,
    /// The plan's columns, in its order, for the rows of all these traces.
    pub columns: &'a [Arc<Column>],
    /// What `now` answers: nanoseconds since the Unix epoch.
    pub now: u64,
    /// How long it may take.
    pub deadline: Duration,
}

/// What a sampler answers, as it stands in the contract: one action, number and reason for each trace. Not checked yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions {
    /// 0 to 6.
    pub actions: Vec<u8>,
    /// Nanoseconds or probabilities.
    pub numbers: Vec<f64>,
    /// Shown to whoever asks why.
    pub reasons: Words,
}

/// What becomes of one trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// The next sampler decides.
    Abstain,
    /// All of it goes on. What `th` says stays true: it would always have been kept.
    Keep,
    /// None of it does.
    Drop,
    /// Ask again after this.
    Wait(Duration),
    /// The host decides by the trace's randomness.
    Sample {
        /// From 0 to 1.
        probability: f64,
        /// What becomes of a trace that came sampled.
        how: Sampling,
    },
    /// It goes on by the sampler's own choice: with this whole probability, if that is known.
    Chosen(Option<f64>),
}

impl Decision {
    /// Whether a trace that arrived like this is kept; `None` where that is not decided.
    #[must_use]
    pub fn keeps(self, arrived: Arrived) -> Option<bool> {
        match self {
            Self::Abstain | Self::Wait(_) => None,
            Self::Keep | Self::Chosen(_) => Some(true),
            Self::Drop => Some(false),
            Self::Sample { probability, how } => {
                Some(Odds::new(probability, how).is_ok_and(|odds| odds.keeps(arrived)))
            }
        }
    }
}

impl Decisions {
    /// Checks and reads the answers about so many traces.
    pub fn read(&self, traces: usize) -> Result<Vec<Decision>, Fault> {
        let Self { actions, numbers, reasons } = self;
        let lists = [("actions", actions.len()), ("numbers", numbers.len()), ("reasons", reasons.codes.len())];
        if let Some((list, length)) = lists.into_iter().find(|(_, length)| *length != traces) {
            return Err(wrong(format!("{list} has {length} elements for {traces} traces")));
        }
        let words = &reasons.words;
        // Where nothing is said about any trace, no word is needed.
        let is_there = |code: &&u32| words.get(**code as usize).is_some() || (words.is_empty() && **code == 0);
        if let Some(code) = reasons.codes.iter().find(|code| !is_there(code)) {
            return Err(wrong(format!("a reason is word {code} of {}", words.len())));
        }
        actions.iter().zip(numbers).enumerate().map(|(at, (action, number))| decision(at, *action, *number)).collect()
    }

    /// The reason for the trace at `at`, once it was read.
    #[must_use]
    pub fn reason(&self, at: usize) -> &[u8] {
        let code = self.reasons.codes.get(at).map_or(0, |code| *code as usize);
        self.reasons.words.get(code).unwrap_or_default()
    }
}

fn decision(at: usize, action: u8, number: f64) -> Result<Decision, Fault> {
    let probability = || {
        let is_one = (0.0..=1.0).contains(&number);
        is_one
            .then_some(number)
            .ok_or_else(|| wrong(format!("trace {at}: {number} is no probability, which are 0 to 1")))
    };
    Ok(match action {
        0 => Decision::Abstain,
        1 => Decision::Keep,
        2 => Decision::Drop,
        3 if number.is_nan() || number < 0.0 => {
            return Err(wrong(format!("trace {at}: to wait {number} ns is no time")));
        }
        3 => Decision::Wait(Duration::from_nanos(number as u64)),
        4 => Decision::Sample { probability: probability()?, how: Sampling::Equalizing },
        5 => Decision::Chosen(Some(probability()?).filter(|probability| *probability > 0.0)),
        6 => Decision::Sample { probability: probability()?, how: Sampling::Proportional },
        other => return Err(wrong(format!("trace {at}: there is no action {other}"))),
    })
}

fn wrong(message: String) -> Fault {
    Fault { kind: FaultKind::Decisions, message }
}

#[cfg(test)]
mod tests {
    use otlp::columns::Texts;

    use super::*;

    fn words(texts: &[&str], codes: &[u32]) -> Words {
        let mut words = Texts::default();
        for text in texts {
            words.push(text.as_bytes());
        }
        Words { codes: codes.to_vec(), words }
    }

    #[test]
    fn each_action_is_read_with_its_number() {
        let decisions = Decisions {
            actions: vec![0, 1, 2, 3, 4, 5, 5, 6],
            numbers: vec![0.0, 0.0, 0.0, 1e9, 0.25, 0.5, 0.0, 1.0],
            reasons: words(&["why", "else"], &[0, 1, 0, 1, 0, 1, 0, 1]),
        };
        let expected = [
            Decision::Abstain,
            Decision::Keep,
            Decision::Drop,
            Decision::Wait(Duration::from_secs(1)),
            Decision::Sample { probability: 0.25, how: Sampling::Equalizing },
            Decision::Chosen(Some(0.5)),
            Decision::Chosen(None),
            Decision::Sample { probability: 1.0, how: Sampling::Proportional },
        ];
        assert_eq!(decisions.read(8).unwrap(), expected);
        assert_eq!(decisions.reason(1), b"else");
        let silent = Decisions { actions: vec![0], numbers: vec![0.0], reasons: words(&[], &[0]) };
        assert_eq!((silent.read(1).unwrap(), silent.reason(0)), (vec![Decision::Abstain], &b""[..]));
    }

    #[test]
    fn answers_that_are_none_are_faults_that_say_what_is_wrong() {
        let said = |actions: &[u8], numbers: &[f64], codes: &[u32]| {
            let decisions =
                Decisions { actions: actions.to_vec(), numbers: numbers.to_vec(), reasons: words(&["why"], codes) };
            let fault = decisions.read(2).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Decisions);
            fault.message
        };
        assert_eq!(said(&[0], &[0.0, 0.0], &[0, 0]), "actions has 1 elements for 2 traces");
        assert_eq!(said(&[0, 0], &[0.0; 3], &[0, 0]), "numbers has 3 elements for 2 traces");
        assert_eq!(said(&[0, 0], &[0.0; 2], &[0]), "reasons has 1 elements for 2 traces");
        assert_eq!(said(&[0, 0], &[0.0; 2], &[0, 1]), "a reason is word 1 of 1");
        assert_eq!(said(&[0, 7], &[0.0; 2], &[0, 0]), "trace 1: there is no action 7");
        assert_eq!(said(&[4, 0], &[1.5, 0.0], &[0, 0]), "trace 0: 1.5 is no probability, which are 0 to 1");
        assert_eq!(said(&[6, 0], &[f64::NAN, 0.0], &[0, 0]), "trace 0: NaN is no probability, which are 0 to 1");
        assert_eq!(said(&[3, 0], &[-1.0, 0.0], &[0, 0]), "trace 0: to wait -1 ns is no time");
    }

    #[test]
    fn words_that_lie_are_refused() {
        let mut decisions = Decisions { actions: vec![0], numbers: vec![0.0], reasons: words(&["why"], &[0]) };
        for offsets in [[0, 9], [2, 0]] {
            decisions.reasons.words.offsets = offsets.to_vec();
            assert_eq!(decisions.read(1).unwrap_err().message, "a reason is word 0 of 1");
        }
    }
}
