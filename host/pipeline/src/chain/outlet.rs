//! Where batches go behind the chain, and what is forwarded goes at once: the queues.

use otlp::signal::Signal;

use crate::export::{Parcel, Taken};
use crate::request::Refusal;

/// What takes encoded spans, data points and log records.
pub trait Outlet: Send + Sync + 'static {
    /// Whether there is a destination for this signal.
    fn takes(&self, signal: Signal) -> bool;

    /// Why a parcel of spans would be refused now, whatever it holds: asked before the chain runs, so that overload costs no plugin
    /// time.
    fn is_full(&self) -> Option<Refusal>;

    /// How many bytes the largest parcel of spans may have that all queues would take now.
    fn room(&self) -> usize;

    /// Takes a parcel into the queues of all destinations of its signal, or of none. Where disks come first, that is only begun here.
    fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal>;
}
