//! An item of the list, and what came of it.

use crate::Subject;
use anyhow::Result;
use std::pin::Pin;
use std::time::Duration;

/// No item may hang: silence is a failure.
const DEADLINE: Duration = Duration::from_mins(2);

/// How binding an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// MUST of the specification, or the word of gRPC, HTTP or protobuf's JSON.
    Required,
    /// SHOULD, convention, robustness.
    Advised,
}

/// What an item saw where nothing was wrong; what is wrong is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The server does what the item says.
    Held(String),
    /// It could not be tried, or is an option that the server does not offer.
    NotApplicable(String),
}

/// A future that borrows the subject.
type Judged<'a> = Pin<Box<dyn Future<Output = Result<Found>> + 'a>>;

/// One testable statement.
#[derive(Debug)]
pub struct Item {
    /// Stable: a letter and a number.
    pub id: &'static str,
    /// How binding.
    pub strength: Strength,
    /// What the standard says, in one line.
    pub says: &'static str,
    /// Tries it.
    pub run: for<'a> fn(&'a Subject) -> Judged<'a>,
}

/// The verdict on one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Tried, and as the standard says.
    Passed,
    /// Tried, and not so.
    Failed,
    /// Not tried, or not offered.
    NotApplicable,
}

/// An item with its verdict.
#[derive(Debug)]
pub struct Outcome {
    /// Which.
    pub item: &'static Item,
    /// What came of it.
    pub verdict: Verdict,
    /// What was seen, or why it was not tried.
    pub seen: String,
}

impl Item {
    /// Tries it, with a deadline.
    pub async fn judge(&'static self, subject: &Subject) -> Outcome {
        let (verdict, seen) = match tokio::time::timeout(DEADLINE, (self.run)(subject)).await {
            Ok(Ok(Found::Held(seen))) => (Verdict::Passed, seen),
            Ok(Ok(Found::NotApplicable(why))) => (Verdict::NotApplicable, why),
            Ok(Err(error)) => (Verdict::Failed, format!("{error:#}")),
            Err(_) => (Verdict::Failed, format!("no answer within {DEADLINE:?}")),
        };
        Outcome { item: self, verdict, seen }
    }
}

/// The server does what the item says.
pub fn held(seen: impl Into<String>) -> Result<Found> {
    Ok(Found::Held(seen.into()))
}

/// It could not be tried.
pub fn not_applicable(why: impl Into<String>) -> Result<Found> {
    Ok(Found::NotApplicable(why.into()))
}

/// An item of a group's list.
macro_rules! item {
    ($id:literal, $strength:ident, $says:literal, $run:ident) => {
        crate::item::Item {
            id: $id,
            strength: crate::item::Strength::$strength,
            says: $says,
            run: |subject| Box::pin($run(subject)),
        }
    };
}
pub(crate) use item;
