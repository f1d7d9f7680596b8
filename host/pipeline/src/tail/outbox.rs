//! What is decided and made up for the queues, until they have taken it. A queue that is full holds up what leaves, and nothing else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use parking_lot::Mutex;

use super::budget::{Budget, Room};
use super::metrics::Metrics;
use super::verdict::BUFFER;
use crate::chain::metrics::{DropLabels, Metrics as ChainMetrics};
use crate::chain::outlet::Outlet;
use crate::export::{Parcel, Taken};

/// How long it waits before it tries a queue again that was full.
pub(super) const AGAIN: Duration = Duration::from_millis(50);

/// One shard's.
pub(super) struct Outbox {
    waiting: VecDeque<Ready>,
    /// So many bytes are made up in advance.
    enough: usize,
    shared: Arc<Shared>,
}

/// What is told when queues on disks have, or have not, taken something.
struct Shared {
    /// What they have not.
    returned: Mutex<Vec<Ready>>,
    /// On its way to the disks.
    pending: AtomicUsize,
    ledger: Ledger,
}

/// Where it is counted what became of spans.
#[derive(Clone)]
pub(super) struct Ledger {
    pub(super) chain: ChainMetrics,
    pub(super) tail: Metrics,
    pub(super) budget: Arc<Budget>,
    /// Whether spans are on the disk before they are acknowledged.
    pub(super) is_durable: bool,
}

/// A parcel, and what is settled with it.
struct Ready {
    parcel: Parcel,
    _room: Room,
}

/// Said once: what is durable behind is not before.
static WARNED: Once = Once::new();

impl Ledger {
    fn warn_of_memory(&self) {
        if !self.is_durable {
            WARNED.call_once(|| {
                tracing::warn!(
                    "the trace buffer before a durable queue is in memory: a crash loses what waits there for its decision; \
                     `tail.mode: durable` and `tail.folder` keep it"
                );
            });
        }
    }

    /// Spans are dropped.
    pub(super) fn dropped(&self, labels: &DropLabels, spans: u64) {
        self.chain.dropped.get_or_create(labels).inc_by(spans);
        self.tail.held.dec_by(spans as i64);
    }

    /// Likewise, by the buffer itself.
    pub(super) fn lost(&self, reason: &str, spans: u64) {
        if spans > 0 {
            self.dropped(&DropLabels { plugin: BUFFER.into(), reason: reason.into() }, spans);
        }
    }

    fn delivered(&self, ready: &Ready) {
        let spans = u64::from(ready.parcel.items);
        self.chain.admitted.inc_by(spans);
        self.tail.held.dec_by(spans as i64);
    }
}

impl Ready {
    /// Nobody takes it.
    fn fail(self) {
        if let Some(custody) = &self.parcel.custody {
            custody.fail();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Of a disk that has failed after the outbox was gone.
        self.returned.get_mut().drain(..).for_each(Ready::fail);
    }
}

impl Outbox {
    /// For about so many bytes.
    pub(super) fn new(ledger: Ledger, enough: usize) -> Self {
        let shared = Shared { returned: Mutex::default(), pending: AtomicUsize::new(0), ledger };
        Self { waiting: VecDeque::new(), enough, shared: Arc::new(shared) }
    }

    /// Whether it has room for more.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.iter().map(|ready| ready.parcel.body.len()).sum::<usize>() < self.enough
    }

    /// Whether nothing is in it, nor on its way to a disk.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
            && self.shared.pending.load(Ordering::Acquire) == 0
            && self.shared.returned.lock().is_empty()
    }

    /// Whether something waits for a queue.
    pub(super) fn waits(&self) -> bool {
        !self.waiting.is_empty() || !self.shared.returned.lock().is_empty()
    }

    /// Takes a parcel, whose bytes are the budget's from now on.
    pub(super) fn put(&mut self, parcel: Parcel) {
        let room = Room::leaving(&self.shared.ledger.budget, parcel.body.len());
        self.waiting.push_back(Ready { parcel, _room: room });
    }

    /// Nobody will take what is left: whoever sent it has it still, or the disk does.
    pub(super) fn give_up(&mut self) {
        let returned = std::mem::take(&mut *self.shared.returned.lock());
        for ready in self.waiting.drain(..).chain(returned) {
            ready.fail();
        }
    }

    /// Hands over what the queues take. Answers whether that was everything.
    pub(super) fn flush(&mut self, outlet: &dyn Outlet) -> bool {
        self.waiting.extend(self.shared.returned.lock().drain(..));
        while let Some(ready) = self.waiting.pop_front() {
            match outlet.accept(ready.parcel.clone()) {
                Ok(Taken::Whole) => self.shared.ledger.delivered(&ready),
                Ok(Taken::Later(commit)) => {
                    self.shared.ledger.warn_of_memory();
                    let shared = Arc::clone(&self.shared);
                    shared.pending.fetch_add(1, Ordering::AcqRel);
                    commit.start(Box::new(move |outcome| {
                        match outcome {
                            Ok(()) => shared.ledger.delivered(&ready),
                            Err(_) => shared.returned.lock().push(ready),
                        }
                        shared.pending.fetch_sub(1, Ordering::AcqRel);
                    }));
                }
                Err(refusal) if refusal.is_retryable() => {
                    self.waiting.push_front(ready);
                    return false;
                }
                Err(refusal) => {
                    let spans = ready.parcel.items;
                    tracing::error!(spans, %refusal, "kept spans that no queue can take are dropped");
                    self.shared.ledger.lost("refused", u64::from(spans));
                }
            }
        }
        true
    }
}
