//! What leaves: parcels of encoded spans, the queues of all destinations, and what sends them.
//!
//! The way: [`Exports::reserve`] takes room in every queue or refuses; [`Reservation::commit`] hands the parcel to all of them.
//! From there each destination goes its own way: queue, joining, sending, retry.

use std::sync::Arc;

use bytes::Bytes;
use otlp::batch::RequestContext;

/// Encoded spans on their way to the back ends.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// An `ExportTraceServiceRequest`. Parcels are joined by joining their bytes.
    pub body: Bytes,
    /// How many spans it holds.
    pub spans: u32,
    /// What came with the request (or with all requests that were joined: they agree in tenant and kept headers).
    pub context: Arc<RequestContext>,
}
