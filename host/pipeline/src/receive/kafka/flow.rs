//! What is under way between the thread that takes messages and the tasks that deliver them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio_util::sync::CancellationToken;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Deliveries that have no answer yet.
    deliveries: Mutex<usize>,
    idle: Condvar,
    /// Deliveries that were refused, and wait to be tried again.
    refused: AtomicUsize,
    /// Ends waiting when the consumer ends.
    pub stop: CancellationToken,
}

/// A delivery under way.
#[derive(Debug)]
pub(super) struct Delivery(Arc<Flow>);

/// One that waits to be tried again.
#[derive(Debug)]
pub(super) struct Waiting<'f>(&'f Flow);

impl Flow {
    pub fn begin(self: &Arc<Self>) -> Delivery {
        *self.deliveries.lock() += 1;
        Delivery(Arc::clone(self))
    }

    pub fn wait_to_try_again(&self) -> Waiting<'_> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Waiting(self)
    }

    /// Whether something that was taken is refused: then nothing more is.
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed) > 0
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
        self.0.refused.fetch_sub(1, Ordering::Relaxed);
    }
}
