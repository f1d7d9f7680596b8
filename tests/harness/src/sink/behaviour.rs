//! What a back end does with a request.

use std::time::Duration;

/// The same for every request until it is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Behaviour {
    /// Records it and says so.
    Accept,
    /// Records it, after a while.
    Slow(Duration),
    /// Does not answer until the behaviour changes.
    Hang,
    /// Refuses it for now: UNAVAILABLE or 503, with a delay where one is given.
    Unavailable(Option<Duration>),
    /// Refuses it for good: `INVALID_ARGUMENT` or 400.
    Invalid,
    /// Records it, but says that so many spans were rejected.
    Partial(i64),
    /// Closes the connection without an answer.
    Break,
}
