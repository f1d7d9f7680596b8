//! Yes-or-no questions.

use tracemill_sdk::prelude::*;

use super::Builder;
use crate::policy::Policy;
use crate::predicate::{Booleans, Condition, Numbers, Predicate, STATUS_ERROR, Texts, TraceStates};
use crate::settings::{self, StatusCode};

impl Builder<'_> {
    /// A yes-or-no question.
    pub(super) fn test(&mut self, written: settings::Policy, block: &str) -> Result<Policy, Refusal> {
        let (predicate, inverted) = self.predicate(written, block)?;
        let looks_at_rows =
            !matches!(predicate, Predicate::Latency { .. } | Predicate::SpanCount { .. } | Predicate::Errors);
        self.looks_at_spans |= looks_at_rows;
        self.predicates.push(predicate);
        Ok(Policy::Test { predicate: self.predicates.len() - 1, inverted })
    }

    fn predicate(&mut self, written: settings::Policy, block: &str) -> Result<(Predicate, bool), Refusal> {
        let at = |key: &str| format!("{block}.{key}");
        let plan = &mut *self.plan;
        let predicate = if let Some(latency) = written.latency {
            let (over, upto) = (latency.threshold_ms, latency.upper_threshold_ms);
            if upto != 0 && upto <= over {
                return Err(Refusal::at(
                    &at("upper_threshold_ms"),
                    "must be greater than `threshold_ms`, or 0 for any",
                ));
            }
            Predicate::Latency { over, upto: (upto != 0).then_some(upto) }
        } else if let Some(count) = written.span_count {
            let (least, most) = (count.min_spans, count.max_spans);
            if most != 0 && most < least {
                return Err(Refusal::at(&at("max_spans"), "must not be less than `min_spans`, or 0 for any"));
            }
            Predicate::SpanCount { least, most: (most != 0).then_some(most) }
        } else if let Some(status) = written.status_code {
            match status.status_codes.as_slice() {
                [] => return Err(Refusal::at(&at("status_codes"), "is empty; name OK, ERROR or UNSET")),
                codes if codes.iter().all(|code| *code == StatusCode::Error) => Predicate::Errors,
                codes => Predicate::StatusCodes(
                    plan.integers("status.code"),
                    codes.iter().map(|code| number(*code)).collect(),
                ),
            }
        } else if let Some(state) = written.trace_state {
            if state.values.is_empty() {
                return Err(Refusal::at(&at("values"), "is empty; name at least one value"));
            }
            Predicate::TraceState(TraceStates::declare(&state.key, &state.values, plan))
        } else if let Some(text) = written.string_attribute {
            key(&text.key, &at("key"))?;
            if text.values.is_empty() {
                return Err(Refusal::at(&at("values"), "is empty; name at least one value"));
            }
            let texts = Texts::declare(&text.key, &text.values, text.enabled_regex_matching, &at("values"), plan)?;
            return Ok((Predicate::Text(texts), text.invert_match));
        } else if let Some(numeric) = written.numeric_attribute {
            key(&numeric.key, &at("key"))?;
            if numeric.min_value == 0 && numeric.max_value == 0 {
                return Err(Refusal::at(block, "needs `min_value` or `max_value`, other than 0"));
            }
            let least = if numeric.min_value == 0 { i64::MIN } else { numeric.min_value };
            let most = if numeric.max_value == 0 { i64::MAX } else { numeric.max_value };
            if most < least {
                return Err(Refusal::at(&at("max_value"), "must not be less than `min_value`"));
            }
            let numbers = Numbers::declare(&numeric.key, least, most, plan);
            return Ok((Predicate::Number(numbers), numeric.invert_match));
        } else if let Some(boolean) = written.boolean_attribute {
            key(&boolean.key, &at("key"))?;
            let booleans = Booleans::declare(&boolean.key, boolean.value, plan);
            return Ok((Predicate::Boolean(booleans), boolean.invert_match));
        } else if let Some(conditions) = written.condition {
            Predicate::Condition(Condition::declare(conditions.read(block)?, block, plan)?)
        } else {
            Predicate::Sampled(plan.integers("flags"))
        };
        Ok((predicate, false))
    }
}

/// OTLP's number.
fn number(code: StatusCode) -> i64 {
    match code {
        StatusCode::Unset => 0,
        StatusCode::Ok => 1,
        StatusCode::Error => STATUS_ERROR,
    }
}

fn key(key: &str, at: &str) -> Result<(), Refusal> {
    if key.is_empty() { Err(Refusal::at(at, "must not be empty")) } else { Ok(()) }
}
