//! Where requests part ways: spans go through the chain, metrics and logs straight to the queues.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use otlp::signal::Signal;

use crate::chain::intake::Intake;
use crate::forward::Forward;
use crate::request::{Answer, Handler, Refusal, Request};

/// What receivers hand requests of all signals to.
pub struct Fork {
    /// For spans.
    pub intake: Arc<Intake>,
    /// For metrics and logs.
    pub forward: Forward,
}

impl Handler for Fork {
    fn handle(&self, request: Request) -> Pin<Box<dyn Future<Output = Answer> + Send + '_>> {
        match request.signal {
            Signal::Traces => Box::pin(self.intake.take(request)),
            Signal::Metrics | Signal::Logs => Box::pin(self.forward.take(request)),
        }
    }

    /// Spans are taken even where no destination is: the counters and the admin page show them.
    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Traces || self.forward.takes(signal)
    }

    fn refuses(&self, signal: Signal) -> Option<Refusal> {
        match signal {
            Signal::Traces => self.intake.refuses(),
            Signal::Metrics | Signal::Logs => self.forward.refuses(),
        }
    }
}
