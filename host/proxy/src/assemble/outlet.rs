//! Between the chain and the exports, and between the exports and the admin side.

use control::admin::view::Destination;
use pipeline::chain::outlet::Outlet;
use pipeline::export::config::Protocol;
use pipeline::export::{DestinationStatus, Exports, Parcel};
use pipeline::request::Refusal;

/// The chain's outlet: the queues of all destinations.
pub struct Queues(pub Exports);

impl Outlet for Queues {
    fn is_full(&self) -> Option<Refusal> {
        self.0.is_full()
    }

    fn room(&self) -> usize {
        self.0.room()
    }

    fn accept(&self, parcel: Parcel) -> Result<(), Refusal> {
        self.0.reserve(parcel.body.len(), parcel.spans)?.commit(parcel);
        Ok(())
    }
}

/// What the admin side shows of them.
pub fn destinations(exports: Exports) -> Box<dyn Fn() -> Vec<Destination> + Send + Sync> {
    Box::new(move || exports.status().into_iter().map(shown).collect())
}

fn shown(status: DestinationStatus) -> Destination {
    Destination {
        name: status.name,
        protocol: match status.protocol {
            Protocol::Grpc => "grpc".to_owned(),
            Protocol::Http => "http".to_owned(),
        },
        endpoint: status.uri,
        queue_bytes: status.queue_bytes,
        queue_limit_bytes: status.queue_limit,
        sent_spans: status.sent,
        held_spans: status.held,
        rejected_spans: status.rejected,
        dropped_spans: status.dropped,
        last_error: status.trouble,
    }
}
