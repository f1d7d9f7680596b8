//! What is under way between the thread that takes messages and the tasks that deliver them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::board::Place;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// How many deliveries of which partition were refused, and wait to be tried again.
    refused: Mutex<BTreeMap<Place, usize>>,
    /// Whether something that was taken has no room.
    has_no_room: AtomicBool,
    /// Partitions have gone: what waits to be tried again may be somebody else's.
    pub went: Notify,
    /// Ends waiting when the consumer ends.
    pub stop: CancellationToken,
}

/// One that waits to be tried again.
#[derive(Debug)]
pub(super) struct Waiting<'f>(&'f Flow, Place);

impl Flow {
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
