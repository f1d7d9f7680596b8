//! Where batches go behind the chain: the queues.

use crate::export::Parcel;
use crate::request::Refusal;

/// What takes encoded spans.
pub trait Outlet: Send + Sync + 'static {
    /// Why a parcel would be refused now, whatever it holds: asked before the chain runs, so that overload costs no plugin
    /// time.
    fn is_full(&self) -> Option<Refusal>;

    /// How many bytes the largest parcel may have that all queues would take now.
    fn room(&self) -> usize;

    /// Takes a parcel into the queues of all destinations, or of none.
    fn accept(&self, parcel: Parcel) -> Result<(), Refusal>;
}
