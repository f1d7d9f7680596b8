//! What is counted of metrics and logs on their way in: every data point and log record exactly once.

use otlp::signal::Signal;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::chain::metrics::{Metrics as OfChain, ReasonLabel, SignalLabel};

/// Why items go back to their sender.
const QUEUE_FULL: &str = "queue_full";

/// The signals that are forwarded.
const FORWARDED: [Signal; 2] = [Signal::Metrics, Signal::Logs];

/// The counters of metrics and logs. Each signal has series of its own, since sums of data points and log records mean nothing.
///
/// Invariant: received = refused + admitted, of each signal.
#[derive(Debug, Clone)]
pub struct Metrics {
    signals: [Items; FORWARDED.len()],
    malformed: Family<SignalLabel, Counter>,
}

/// One signal's items.
#[derive(Debug, Clone)]
struct Items {
    received: Counter,
    refused: Counter,
    admitted: Counter,
}

impl Metrics {
    /// Makes them, and registers them. Malformed requests are counted together with the chain's.
    pub fn register(registry: &mut Registry, chain: &OfChain) -> Self {
        for signal in FORWARDED {
            drop(chain.malformed.get_or_create(&SignalLabel::of(signal)));
        }
        Self { signals: FORWARDED.map(|signal| Items::register(registry, signal)), malformed: chain.malformed.clone() }
    }

    pub(super) fn malformed(&self, signal: Signal) {
        self.malformed.get_or_create(&SignalLabel::of(signal)).inc();
    }

    /// Counts what was taken or refused.
    pub(crate) fn count(&self, signal: Signal, items: u32, taken: bool) {
        let Some(at) = FORWARDED.iter().position(|known| *known == signal) else { return };
        let of = &self.signals[at];
        of.received.inc_by(u64::from(items));
        if taken { &of.admitted } else { &of.refused }.inc_by(u64::from(items));
    }
}

impl Items {
    fn register(registry: &mut Registry, signal: Signal) -> Self {
        let (received, admitted) = (Counter::default(), Counter::default());
        let refused = Family::<ReasonLabel, Counter>::default();
        let (items, words) = (signal.items(), signal.items().replace('_', " "));
        let name = |what: &str| format!("tracemill_{what}_{items}");
        registry.register(name("receive"), format!("The {words} of well-formed requests"), received.clone());
        registry.register(name("admitted"), format!("The {words} that the queues have taken"), admitted.clone());
        registry.register(name("refused"), format!("The {words} refused to their sender"), refused.clone());
        let refused = refused.get_or_create_owned(&ReasonLabel { reason: QUEUE_FULL.into() });
        Self { received, refused, admitted }
    }
}
