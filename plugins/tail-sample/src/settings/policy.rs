//! One policy: its name, its type, and under the type's name what it asks for.

use serde::Deserialize;
use tracemill_sdk::Refusal;

use super::elsewhere::INSTEAD_OF_OTTL;
use super::{
    Attribute, Boolean, Budget, Bytes, Composite, Conditions, Dynamic, EmaDynamic, Latency, Linked, Not, Numeric, Ottl,
    Probabilistic, Rare, Rate, SpanCount, StatusCodes, Stress, Subs, Throughput, TraceState,
};

/// Bytes of a name, which is a part of keys in the state.
const LONGEST_NAME: usize = 128;

/// A policy as it is written. Of the blocks it has the one that its type is named after.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each block is named after its type, which says what it is")]
pub struct Policy {
    /// The reason that is shown for what it decides.
    #[serde(default)]
    pub name: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub latency: Option<Latency>,
    pub numeric_attribute: Option<Numeric>,
    pub string_attribute: Option<Attribute>,
    pub boolean_attribute: Option<Boolean>,
    pub probabilistic: Option<Probabilistic>,
    pub status_code: Option<StatusCodes>,
    pub trace_state: Option<TraceState>,
    pub rate_limiting: Option<Rate>,
    pub bytes_limiting: Option<Bytes>,
    pub span_count: Option<SpanCount>,
    pub condition: Option<Conditions>,
    pub ottl_condition: Option<Ottl>,
    pub and: Option<Subs>,
    pub not: Option<Not>,
    pub drop: Option<Subs>,
    pub composite: Option<Composite>,
    pub dynamic: Option<Dynamic>,
    pub ema_dynamic: Option<EmaDynamic>,
    pub throughput: Option<Throughput>,
    pub budget: Option<Budget>,
    pub rare: Option<Rare>,
    pub linked: Option<Linked>,
    pub stress_relief: Option<Stress>,
}

/// The types of policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the README says what each is")]
pub enum Kind {
    #[default]
    AlwaysSample,
    Latency,
    NumericAttribute,
    StringAttribute,
    BooleanAttribute,
    Probabilistic,
    StatusCode,
    TraceState,
    TraceFlags,
    RateLimiting,
    BytesLimiting,
    SpanCount,
    Condition,
    OttlCondition,
    And,
    Not,
    Drop,
    Composite,
    Dynamic,
    EmaDynamic,
    Throughput,
    Budget,
    Rare,
    Linked,
    StressRelief,
}

impl Kind {
    /// As it is written, which is also the name of its block.
    pub fn name(self) -> &'static str {
        match self {
            Self::AlwaysSample => "always_sample",
            Self::Latency => "latency",
            Self::NumericAttribute => "numeric_attribute",
            Self::StringAttribute => "string_attribute",
            Self::BooleanAttribute => "boolean_attribute",
            Self::Probabilistic => "probabilistic",
            Self::StatusCode => "status_code",
            Self::TraceState => "trace_state",
            Self::TraceFlags => "trace_flags",
            Self::RateLimiting => "rate_limiting",
            Self::BytesLimiting => "bytes_limiting",
            Self::SpanCount => "span_count",
            Self::Condition => "condition",
            Self::OttlCondition => "ottl_condition",
            Self::And => "and",
            Self::Not => "not",
            Self::Drop => "drop",
            Self::Composite => "composite",
            Self::Dynamic => "dynamic",
            Self::EmaDynamic => "ema_dynamic",
            Self::Throughput => "throughput",
            Self::Budget => "budget",
            Self::Rare => "rare",
            Self::Linked => "linked",
            Self::StressRelief => "stress_relief",
        }
    }

    /// True if there is nothing to be said beside the type.
    fn needs_nothing(self) -> bool {
        matches!(self, Self::AlwaysSample | Self::TraceFlags | Self::Linked)
    }
}

impl Policy {
    /// Refuses a block that the type does not read, as a misspelt type would be overlooked, and a type without its block.
    pub fn check(&self, at: &str) -> Result<(), Refusal> {
        if self.name.is_empty() {
            return Err(Refusal::at(&format!("{at}.name"), "must not be empty: it is the reason that is shown"));
        }
        if self.name.len() > LONGEST_NAME {
            return Err(Refusal::at(&format!("{at}.name"), format!("is longer than {LONGEST_NAME} bytes")));
        }
        if self.kind == Kind::OttlCondition {
            return Err(Refusal::at(&format!("{at}.type"), INSTEAD_OF_OTTL));
        }
        let own = self.kind.name();
        let blocks = self.blocks();
        if let Some(other) = blocks.iter().copied().find(|block| *block != own) {
            let problem = format!("is not read by `type: {own}`; remove it, or write `type: {other}`");
            return Err(Refusal::at(&format!("{at}.{other}"), problem));
        }
        if blocks.is_empty() && !self.kind.needs_nothing() {
            return Err(Refusal::at(at, format!("`type: {own}` needs `{own}` with its settings")));
        }
        Ok(())
    }

    /// The blocks that are written.
    fn blocks(&self) -> Vec<&'static str> {
        let all = [
            (Kind::Latency, self.latency.is_some()),
            (Kind::NumericAttribute, self.numeric_attribute.is_some()),
            (Kind::StringAttribute, self.string_attribute.is_some()),
            (Kind::BooleanAttribute, self.boolean_attribute.is_some()),
            (Kind::Probabilistic, self.probabilistic.is_some()),
            (Kind::StatusCode, self.status_code.is_some()),
            (Kind::TraceState, self.trace_state.is_some()),
            (Kind::RateLimiting, self.rate_limiting.is_some()),
            (Kind::BytesLimiting, self.bytes_limiting.is_some()),
            (Kind::SpanCount, self.span_count.is_some()),
            (Kind::Condition, self.condition.is_some()),
            (Kind::And, self.and.is_some()),
            (Kind::Not, self.not.is_some()),
            (Kind::Drop, self.drop.is_some()),
            (Kind::Composite, self.composite.is_some()),
            (Kind::Dynamic, self.dynamic.is_some()),
            (Kind::EmaDynamic, self.ema_dynamic.is_some()),
            (Kind::Throughput, self.throughput.is_some()),
            (Kind::Budget, self.budget.is_some()),
            (Kind::Rare, self.rare.is_some()),
            (Kind::Linked, self.linked.is_some()),
            (Kind::StressRelief, self.stress_relief.is_some()),
        ];
        all.iter().filter(|(_, there)| *there).map(|(kind, _)| kind.name()).collect()
    }
}
