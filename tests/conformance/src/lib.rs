//! What OTLP asks of a server, as items that can be run against any server: raw gRPC and HTTP, one verdict for each item.
//!
//! The ids are stable and are never given to another item: G gRPC, H HTTP, J JSON, D what a proxy must leave as it is, S other
//! signals, E what a server does as the client of the next, P probability sampling.
//! An item whose needs are not met (a sink behind the server, a fault) is not applicable, and never passed.
#![forbid(unsafe_code)]

pub mod item;
pub mod items;
pub mod known;
pub mod own;
mod raw;
pub mod subject;
pub mod table;
pub mod target;
mod trace;

pub use item::{Item, Outcome, Verdict};
pub use own::Make;
pub use subject::Subject;

/// Runs every item, or those whose ids are given.
pub async fn run(subject: &Subject, only: &[String]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let wanted = |item: &Item| only.is_empty() || only.iter().any(|id| id.eq_ignore_ascii_case(item.id));
    for item in items::all().into_iter().filter(|item| wanted(item)) {
        outcomes.push(item.judge(subject).await);
    }
    outcomes
}
