//! What OTLP asks of a server, as items that can be run against any server: raw gRPC and HTTP, one verdict for each item.
//!
//! The ids are stable and are never given to another item: G gRPC, H HTTP, J JSON, D what a proxy must leave as it is.
//! An item whose needs are not met (a sink behind the server, a fault) is not applicable, and never passed.
#![forbid(unsafe_code)]

pub mod item;
pub mod items;
pub mod known;
mod raw;
pub mod subject;
pub mod table;
mod trace;

pub use item::{Outcome, Verdict};
pub use subject::Subject;

/// Runs every item, or those whose ids are given.
pub async fn run(subject: &Subject, only: &[String]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for item in items::all().filter(|item| only.is_empty() || only.iter().any(|id| id.eq_ignore_ascii_case(item.id))) {
        outcomes.push(item.judge(subject).await);
    }
    outcomes
}
