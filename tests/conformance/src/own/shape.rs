//! What an item wants of a server, in no server's own words.

use std::time::Duration;

/// What a server of the suite is to be like. All that is not said is left at the server's defaults, but for the largest
/// request, which is 64 MiB.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// What is done with spans.
    pub chain: Chain,
    /// How the sinks are spoken to.
    pub over: Over,
    /// Whether there are two of them.
    pub second: bool,
    /// How much the queue of each holds, in bytes.
    pub queue: Option<usize>,
    /// When a request that failed is sent again for the first time. Requests are then sent as they came, one by one.
    pub retry: Option<Duration>,
    /// The largest request that is sent, in bytes.
    pub max_request: Option<usize>,
    /// How long a request's headers may take, and its body.
    pub patience: Option<Duration>,
    /// The origin from which pages may send, and a header that they may send with it.
    pub cors: Option<(&'static str, &'static str)>,
}

/// What is done with spans.
#[derive(Debug, Clone, Default)]
pub enum Chain {
    /// Nothing.
    #[default]
    Empty,
    /// Spans of health checks are dropped, and every other gets an attribute, so that messages are put together anew.
    Edits,
    /// Spans of the service `rate-0` are sampled with the first of these probabilities, and so on.
    Sample(Mode, Vec<f64>),
}

/// How spans are sampled that were sampled before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Down to the probability.
    Equalizing,
    /// By the probability.
    Proportional,
}

impl Mode {
    /// Its name, which all samplers agree on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equalizing => "equalizing",
            Self::Proportional => "proportional",
        }
    }
}

/// How sinks are spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Over {
    /// OTLP/gRPC.
    #[default]
    Grpc,
    /// OTLP/HTTP, at a base of this path.
    Http(&'static str),
    /// OTLP/HTTP, at this path for traces, and for nothing else.
    HttpTraces(&'static str),
}

/// The service whose spans the probability of that number is for.
pub fn service(number: usize) -> String {
    format!("rate-{number}")
}
