//! What becomes of connections before there is a request on them.

use std::net::IpAddr;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::super::cut::Cut;
use super::Protocol;
use super::noted::Noted;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProtocolLabels {
    protocol: Protocol,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CutLabels {
    protocol: Protocol,
    reason: &'static str,
}

#[derive(Debug)]
pub(in super::super) struct Connections {
    grpc: Counters,
    http: Counters,
}

#[derive(Debug)]
struct Counters {
    failed_handshakes: Counter,
    cuts: [Noted; Cut::ALL.len()],
}

impl Connections {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let handshakes = Family::<ProtocolLabels, Counter>::default();
        let cut = Family::<CutLabels, Counter>::default();
        let counters = |protocol| Counters {
            failed_handshakes: handshakes.get_or_create_owned(&ProtocolLabels { protocol }),
            cuts: Cut::ALL.map(|why| Noted::new(cut.get_or_create_owned(&CutLabels { protocol, reason: why.label() }))),
        };
        let (grpc, http) = (counters(Protocol::grpc), counters(Protocol::http));
        let help = "Connections that came to nothing over TLS";
        registry.register("tracemill_receive_failed_handshakes", help, handshakes);
        let help = "Connections and calls that were cut off before they were requests, by reason";
        registry.register("tracemill_receive_cut_off", help, cut);
        Self { grpc, http }
    }

    fn of(&self, protocol: Protocol) -> &Counters {
        match protocol {
            Protocol::grpc => &self.grpc,
            Protocol::http => &self.http,
        }
    }

    pub fn failed_handshake(&self, protocol: Protocol) {
        self.of(protocol).failed_handshakes.inc();
    }

    pub fn cut_off(&self, protocol: Protocol, cut: Cut, peer: IpAddr) {
        if let Some(left_out) = self.of(protocol).cuts[cut as usize].note() {
            tracing::warn!(%peer, reason = cut.label(), left_out, "{}", cut.why());
        }
    }
}
