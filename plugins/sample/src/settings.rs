//! The plugin's settings.

use serde::Deserialize;
use tracemill_sdk::Refusal;
use tracemill_sdk::pattern::Pattern;
use tracemill_sdk::settings::{Duration, Scalar};

pub use crate::rates::Rate;

/// What to keep.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How the decision is made.
    pub mode: Mode,
    /// The share of traces to keep where no rule says otherwise: `0.1` or `"10%"`. Default: all.
    pub rate: Rate,
    /// Rates for some spans. The first rule that fits a span decides.
    pub rules: Vec<Rule>,
    /// What is kept whatever its rate.
    pub keep: Keep,
    /// For the mode `hash_seed`: the seed, the same for all samplers that are to agree.
    pub hash_seed: u32,
    /// For the mode `hash_seed`: whether spans are dropped that have no trace id, or whose trace state says how they
    /// were sampled already. Default: true, as in the Collector.
    pub fail_closed: Option<bool>,
    /// For the mode `hash_seed`: whether the attribute `sampling.priority` overrides the decision. Default: true, as in
    /// the Collector.
    pub sampling_priority: Option<bool>,
}

/// How the decision is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By the trace's randomness: traces that were sampled below the rate already pass whole.
    #[default]
    Equalizing,
    /// By the trace's randomness: whatever arrives is thinned by the rate.
    Proportional,
    /// By a hash of the trace id, as the Collector's probabilistic sampler does in its mode of this name.
    HashSeed,
}

/// A rate for some spans. All that a rule names must fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The share of traces to keep.
    pub rate: Rate,
    /// A pattern of the resource's `service.name`; `*` stands for any text.
    pub service: Option<Pattern>,
    /// A pattern of the span's `http.route`.
    pub route: Option<Pattern>,
    /// A pattern of the span's name.
    pub name: Option<Pattern>,
    /// An attribute of the span or its resource.
    pub attribute: Option<AttributeRule>,
}

/// A rule's attribute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeRule {
    /// The key of a span attribute, or a path such as `resource.attributes["cloud.region"]`.
    pub key: String,
    /// The value: a pattern for texts, a whole number or a boolean.
    pub equals: Scalar,
}

/// What is kept whatever its rate.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// Spans with status ERROR. Default: true, except in the mode `hash_seed`.
    pub errors: Option<bool>,
    /// Spans that took longer.
    pub slower_than: Option<Duration>,
}

impl Settings {
    /// Refuses settings of one mode in another, and rules that fit every span.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.mode != Mode::HashSeed {
            let only = "belongs to `mode: hash_seed`";
            if self.hash_seed != 0 {
                return Err(Refusal::at("hash_seed", only));
            }
            if self.fail_closed.is_some() {
                return Err(Refusal::at("fail_closed", only));
            }
            if self.sampling_priority.is_some() {
                return Err(Refusal::at("sampling_priority", only));
            }
        }
        let empty = |rule: &Rule| {
            rule.service.is_none() && rule.route.is_none() && rule.name.is_none() && rule.attribute.is_none()
        };
        match self.rules.iter().position(empty) {
            Some(index) => Err(Refusal::at(
                &format!("rules[{index}]"),
                "fits every span; name a service, route, name or attribute, or use settings.rate",
            )),
            None => Ok(()),
        }
    }
}
