//! What each verb plans, and what some do badly in `configure`.

use crate::bindings::exports::tracemill::plugin::processor::Plan;
use crate::bindings::tracemill::plugin::types::{Affinity, Condition, Failure, Layout, Operator, Value, Want};
use crate::bindings::tracemill::plugin::{host, state};

pub fn of(verb: &str) -> Result<Plan, String> {
    let mut plan = Plan {
        columns: Vec::new(),
        reads: Vec::new(),
        writes: vec!["attributes[\"probe\"]".to_owned()],
        may_drop: true,
        when: Vec::new(),
        affinity: Affinity::Any,
        on_error: Failure::Pass,
        #[cfg(not(feature = "v0-1"))]
        tables: if verb.starts_with("finds") && verb != "finds-unplanned" {
            vec!["teams".to_owned()]
        } else {
            Vec::new()
        },
        options: Vec::new(),
    };
    match verb {
        "drop-word" => plan.columns.push(want("attributes[\"http.route\"]", Layout::Words)),
        "upper" => {
            plan.columns.push(want("name", Layout::Text));
            plan.writes.push("name".to_owned());
        }
        "echo" => {
            for (path, layout) in [
                ("name", Layout::Text),
                ("name", Layout::Words),
                ("kind", Layout::Integers),
                ("attributes[\"f\"]", Layout::Floats),
                ("attributes[\"b\"]", Layout::Booleans),
                ("trace_id", Layout::Ids),
                ("attributes[\"raw\"]", Layout::Bytes),
                ("values", Layout::Entries),
            ] {
                plan.columns.push(want(path, layout));
            }
        }
        "whole-plan" => {
            plan.columns.push(want("name", Layout::Words));
            plan.reads.push("attributes[\"from\"]".to_owned());
            plan.affinity = Affinity::Trace;
            plan.on_error = Failure::Reject;
            plan.options.push(("later".to_owned(), "yes".to_owned()));
            plan.when.push(vec![Condition {
                path: "attributes[\"http.route\"]".to_owned(),
                operator: Operator::Prefix,
                values: vec![Value::Text("/health".to_owned()), Value::Text("/ready".to_owned())],
                negated: true,
            }]);
        }
        "refuse" => return Err("settings.keys[2]: `enduser` is no key".to_owned()),
        "configure-traps" => panic!("nothing works here"),
        "configure-spins" => loop {
            std::hint::black_box(());
        },
        "unknown-path" => plan.columns.push(want("attribute[\"http.route\"]", Layout::Text)),
        "bad-layout" => plan.columns.push(want("duration", Layout::Words)),
        "twice" => plan.columns.extend([want("name", Layout::Text), want("name", Layout::Text)]),
        "read-only" => plan.writes.push("trace_id".to_owned()),
        "bad-regex" => plan.when.push(vec![Condition {
            path: "name".to_owned(),
            operator: Operator::Matches,
            values: vec![Value::Text("GET (".to_owned())],
            negated: false,
        }]),
        "many-columns" => {
            plan.columns.extend((0..2000).map(|i| want(&format!("attributes[\"{i}\"]"), Layout::Text)));
        }
        "fickle" => {
            let instances = state::add("instances", 1)?;
            host::log(host::Level::Info, &format!("instance {instances}"));
            plan.may_drop = instances == 1;
        }
        _ => {}
    }
    Ok(plan)
}

fn want(path: &str, layout: Layout) -> Want {
    Want { path: path.to_owned(), layout }
}
