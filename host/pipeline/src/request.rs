//! A request on its way in, and its two possible answers. Receivers make the first and translate the second into the
//! words of their protocol; nothing in between knows gRPC or HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use otlp::batch::RequestContext;
use otlp::signal::Signal;

use crate::admit::Permit;
use crate::custody::Custody;

/// One OTLP export call: protobuf, uncompressed.
#[derive(Debug)]
pub struct Request {
    /// What it carries.
    pub signal: Signal,
    /// An `ExportTraceServiceRequest`, or what metrics or logs have in its place.
    pub body: Bytes,
    /// What came with it.
    pub context: Arc<RequestContext>,
    /// Its share of the bytes in flight; given back when the request is answered.
    pub permit: Permit,
    /// Who hears when its items need not be sent again: beyond the answer, for senders that can send them again later.
    pub custody: Option<Arc<Custody>>,
}

/// The items are taken; some of them may have been rejected for good (OTLP's partial success).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// How many spans, data points or log records were rejected.
    pub rejected: u64,
    /// Why, or a warning where none was rejected; empty if there is nothing to say.
    pub message: String,
}

/// Nothing of the request was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind of refusal: decides code and retry.
    pub kind: RefusalKind,
    /// What, where and what to do; shown to the sender.
    pub message: String,
}

/// Why a request is refused. The receivers' one table from here to status codes is in `receive/status.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Not OTLP: never to be sent again. `INVALID_ARGUMENT`, 400.
    Malformed,
    /// Larger than the limit: never to be sent again. `RESOURCE_EXHAUSTED` without `RetryInfo`, 413.
    TooLarge,
    /// No room now (budget, queue, breaker, start, shutdown): to be sent again after the delay. `UNAVAILABLE` with `RetryInfo`,
    /// 503 with `Retry-After`.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// A fault of ours in the middle of it, of which it is the cause or not: to be sent again after the delay, by whoever has it still; not
    /// without end, by whoever has much else to send. As `Unavailable`.
    Failed {
        /// When to try again.
        retry_after: Duration,
    },
    /// A fault of ours. `INTERNAL`, 500.
    Internal,
}

impl Refusal {
    /// It is not OTLP.
    #[must_use]
    pub fn malformed(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Malformed, message: message.into() }
    }

    /// The request is over a size limit.
    #[must_use]
    pub fn too_large(message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::TooLarge, message: message.into() }
    }

    /// There is no room now.
    #[must_use]
    pub fn unavailable(retry_after: Duration, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Unavailable { retry_after }, message: message.into() }
    }

    /// A fault of ours in the middle of it.
    #[must_use]
    pub fn failed(retry_after: Duration, message: impl Into<String>) -> Self {
        Self { kind: RefusalKind::Failed { retry_after }, message: message.into() }
    }

    /// Whether the sender may try again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, RefusalKind::Unavailable { .. } | RefusalKind::Failed { .. })
    }
}

/// What a request is answered.
pub type Answer = Result<Accepted, Refusal>;

/// Where receivers hand requests to.
pub trait Handler: Send + Sync + 'static {
    /// Takes a request into the queues, through the chain if it holds spans, and answers when they have it.
    fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>>;

    /// Whether there is anybody for this signal: where not, it is as if its endpoint did not exist.
    fn takes(&self, signal: Signal) -> bool;

    /// Whether requests of this signal would be refused now whatever they hold (not ready, shutting down): asked before a body
    /// is read.
    fn refuses(&self, signal: Signal) -> Option<Refusal>;
}
