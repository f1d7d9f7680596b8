//! What a plugin does, for people: it is a processor, or a sampler, which sees certain spans of a trace and is asked at once about some.

use otlp::condition::Condition;
use pipeline::chain::plan::Plan;
use pipeline::chain::sampler::Show;
use serde::{Deserialize, Serialize};
use wasm::Role;

/// What makes a plugin a sampler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sampler {
    /// Which spans of a trace it sees: `no_spans`, `roots` or `every_span`.
    pub show: String,
    /// It is asked at once about a trace with a span that meets any of these lists, all of its conditions; none means never.
    pub early: Vec<Vec<String>>,
}

impl Sampler {
    /// What a plan says of it; `None` where it is a processor's.
    #[must_use]
    pub fn of(plan: &Plan) -> Option<Self> {
        let sampler = plan.sampler.as_ref()?;
        let show = match sampler.show {
            Show::NoSpans => "no_spans",
            Show::Roots => "roots",
            Show::EverySpan => "every_span",
        };
        Some(Self { show: show.to_owned(), early: conditions(&sampler.early) })
    }

    /// Which spans it sees, in words.
    #[must_use]
    pub fn sees(&self) -> &str {
        match self.show.as_str() {
            "no_spans" => "summaries of traces, no spans",
            "roots" => "root spans",
            "every_span" => "every span",
            // Of a proxy of another version.
            other => other,
        }
    }

    /// Which traces it is asked about at once, in words.
    #[must_use]
    pub fn at_once(&self) -> String {
        if self.early.is_empty() {
            return "none".to_owned();
        }
        let every = |all: &Vec<String>| if all.is_empty() { "any span".to_owned() } else { all.join(" and ") };
        self.early.iter().map(every).collect::<Vec<_>>().join(" or ")
    }
}

/// Which of both a plan is of.
#[must_use]
pub fn of(plan: &Plan) -> Role {
    if plan.sampler.is_some() { Role::Sampler } else { Role::Processor }
}

/// Lists of conditions, each in words.
#[must_use]
pub fn conditions(lists: &[Vec<Condition>]) -> Vec<Vec<String>> {
    lists.iter().map(|all| all.iter().map(ToString::to_string).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampler_is_told_in_words() {
        let sampler = |early: &[&[&str]]| Sampler {
            show: "roots".to_owned(),
            early: early.iter().map(|all| all.iter().map(ToString::to_string).collect()).collect(),
        };
        assert_eq!(sampler(&[]).sees(), "root spans");
        assert_eq!(sampler(&[]).at_once(), "none");
        assert_eq!(sampler(&[&["a exists", "b exists"], &["c exists"]]).at_once(), "a exists and b exists or c exists");
        assert_eq!(sampler(&[&[]]).at_once(), "any span");
    }
}
