//! What is under way between the thread that takes messages and the tasks that deliver them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio_util::sync::CancellationToken;

use super::board::Place;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Deliveries that have no answer yet.
    deliveries: Mutex<usize>,
    idle: Condvar,
    /// How many deliveries of which partition were refused, and wait to be tried again.
    refused: Mutex<BTreeMap<Place, usize>>,
    /// Whether something that was taken has no room.
    has_no_room: AtomicBool,
    /// Ends waiting when the consumer ends.
    pub stop: CancellationToken,
}

/// A delivery under way.
#[derive(Debug)]
pub(super) struct Delivery(Arc<Flow>);

/// One that waits to be tried again.
#[derive(Debug)]
pub(super) struct Waiting<'f>(&'f Flow, Place);

impl Flow {
    pub fn begin(self: &Arc<Self>) -> Delivery {
        *self.deliveries.lock() += 1;
        Delivery(Arc::clone(self))
    }

    pub fn wait_to_try_again(&self, place: Place) -> Waiting<'_> {
        *self.refused.lock().entry(place).or_default() += 1;
        Waiting(self, place)
    }

    /// The partitions of which something that was taken is refused: nothing more of them is.
    pub fn refused(&self) -> Vec<Place> {
        self.refused.lock().keys().copied().collect()
    }

    /// Says whether something that was taken has no room.
    pub fn set_has_no_room(&self, is_so: bool) {
        self.has_no_room.store(is_so, Ordering::Relaxed);
    }

    /// Whether something that was taken is refused, or has no room.
    pub fn is_held_up(&self) -> bool {
        self.has_no_room.load(Ordering::Relaxed) || !self.refused.lock().is_empty()
    }

    /// Waits until each delivery has its answer, for as long as that.
    pub fn wait_until_idle(&self, most: Duration) {
        let mut deliveries = self.deliveries.lock();
        self.idle.wait_while_for(&mut deliveries, |deliveries| *deliveries > 0, most);
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let mut deliveries = self.0.deliveries.lock();
        *deliveries -= 1;
        if *deliveries == 0 {
            self.0.idle.notify_all();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut refused = self.0.refused.lock();
        if let Some(count) = refused.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                refused.remove(&self.1);
            }
        }
    }
}
