//! Connections and calls that are cut off before they are requests: whoever is too slow, too large or too many.

use std::error::Error as _;
use std::io;

/// Why. The names are metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cut {
    /// Connected, and said nothing.
    Silent,
    SlowHead,
    LargeHead,
    TooManyStreams,
    /// Frames that cost more than they carry: resets, continuations, empty data.
    Flood,
    NoPong,
    /// Answers are not taken.
    Stalled,
    Malformed,
    UnfairShare,
}

impl Cut {
    pub const ALL: [Self; 9] = [
        Self::Silent,
        Self::SlowHead,
        Self::LargeHead,
        Self::TooManyStreams,
        Self::Flood,
        Self::NoPong,
        Self::Stalled,
        Self::Malformed,
        Self::UnfairShare,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::SlowHead => "slow_head",
            Self::LargeHead => "large_head",
            Self::TooManyStreams => "too_many_streams",
            Self::Flood => "flood",
            Self::NoPong => "no_pong",
            Self::Stalled => "stalled",
            Self::Malformed => "malformed",
            Self::UnfairShare => "unfair_share",
        }
    }

    /// For the log.
    pub fn why(self) -> &'static str {
        match self {
            Self::Silent => "a connection was closed: nothing was sent within `limits.header_timeout`",
            Self::SlowHead => "a connection was closed: headers took longer than `limits.header_timeout`",
            Self::LargeHead => "a request was cut off: its headers are too large, or too many",
            Self::TooManyStreams => "a call was cut off: more were opened at once than `limits.streams`",
            Self::Flood => "a connection was closed: it was flooded with frames that carry nothing",
            Self::NoPong => "a connection was closed: a ping was not answered within `limits.header_timeout`",
            Self::Stalled => "a connection was closed: answers were not taken within `limits.header_timeout`",
            Self::Malformed => "a connection was closed: what came is not HTTP",
            Self::UnfairShare => "a connection was closed: few are left, and its address holds more than its share",
        }
    }

    /// Why an HTTP/1.1 connection ended so. `heard`: whether anything of a head had come. One that has rested for long enough, or
    /// was lost, was not cut off.
    pub fn of_http1(error: &hyper::Error, heard: bool) -> Option<Self> {
        if error.is_parse_too_large() {
            return Some(Self::LargeHead);
        }
        if error.is_parse() {
            return Some(Self::Malformed);
        }
        if error.is_timeout() {
            return heard.then_some(Self::SlowHead);
        }
        let failed = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        failed.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut).then_some(Self::Stalled)
    }

    /// Why an HTTP/2 connection ended so, as far as it has not said it itself (`said.rs`).
    pub fn of_http2(error: &hyper::Error) -> Option<Self> {
        error.is_timeout().then_some(Self::NoPong)
    }
}
