//! What verbs answer in `configure`.

use crate::bindings::exports::tracemill::plugin::sampler::{Condition, SamplerPlan, Show, Want};
use crate::bindings::tracemill::plugin::types::{Layout, Operator, Value};

pub fn of(verb: &str) -> Result<SamplerPlan, String> {
    let mut plan = SamplerPlan {
        columns: Vec::new(),
        show: Show::NoSpans,
        early: Vec::new(),
        tables: Vec::new(),
        options: Vec::new(),
    };
    match verb {
        "refuse" => return Err("settings.keep: one in none is none".to_owned()),
        "whole-plan" => {
            plan.columns = vec![want("name", Layout::Words), want("attributes[\"http.route\"]", Layout::Text)];
            plan.show = Show::Roots;
            plan.early = vec![vec![is_error(), when("name", Operator::Exists, Vec::new())], vec![is_error()]];
            plan.tables = vec!["teams".to_owned()];
            plan.options = vec![("later".to_owned(), "yes".to_owned())];
        }
        "echo" => {
            plan.columns = vec![want("name", Layout::Text)];
            plan.show = Show::EverySpan;
        }
        "finds" => plan.tables = vec!["teams".to_owned()],
        "keep-errors" => plan.early = vec![vec![is_error()]],
        "twice" => plan.columns = vec![want("name", Layout::Text), want("name", Layout::Text)],
        "unknown-column" => plan.columns = vec![want("nmae", Layout::Text)],
        "unknown-early" => plan.early = vec![vec![is_error(), when("nmae", Operator::Exists, Vec::new())]],
        "bad-early" => {
            let pattern = vec![Value::Text("GET (".to_owned())];
            plan.early = vec![vec![is_error()], vec![is_error(), when("name", Operator::Matches, pattern)]];
        }
        "many-early" => plan.early = vec![Vec::new(); 2000],
        "many-tables" => plan.tables = vec!["t".to_owned(); 2000],
        "fickle" => {
            // As configured for each instance, another time.
            let mut turn = crate::bindings::tracemill::plugin::state::add("turns", 1)?;
            turn %= 2;
            plan.show = if turn == 1 { Show::Roots } else { Show::EverySpan };
        }
        _ => {}
    }
    Ok(plan)
}

fn want(path: &str, layout: Layout) -> Want {
    Want { path: path.to_owned(), layout }
}

fn when(path: &str, operator: Operator, values: Vec<Value>) -> Condition {
    Condition { path: path.to_owned(), operator, values, negated: false }
}

fn is_error() -> Condition {
    when("status.code", Operator::Equals, vec![Value::Integer(2)])
}
