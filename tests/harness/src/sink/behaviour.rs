//! What a back end does with a request.

use crate::wire::Compression;
use std::time::{Duration, SystemTime};

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
    /// Refuses it with any status, and says when to come back where that is given.
    Refuse {
        /// The code, for who speaks gRPC.
        grpc: i32,
        /// The status, for who speaks HTTP.
        http: u16,
        /// `RetryInfo`, or `Retry-After`.
        after: Option<After>,
    },
    /// Records it, but says that so many spans were rejected.
    Partial(i64),
    /// Records it, and says so in a message of this many bytes, compressed or not.
    Verbose(usize, Compression),
    /// Closes the connection without an answer.
    Break,
}

/// When to come back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum After {
    /// In so long; `Retry-After` says it in whole seconds.
    Delay(Duration),
    /// At that time, which only HTTP can say.
    Date(SystemTime),
}
