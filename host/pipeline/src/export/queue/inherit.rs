//! How what waits in one queue goes to others, each parcel taken apart by trace: counted on, not anew. What is on disk is done with here only
//! when it is on disk there.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::Parcel;
use super::super::circle::Circle;
use super::super::store::{Prepared, Then};
use super::disk::now;
use super::{Batch, Queue, Ticket, Waiting, charge};

impl Batch {
    /// Hands all of it to other queues. Answers with what their disks have not taken, if there is such.
    pub async fn pass_on(mut self, circle: &Circle) -> Option<Self> {
        let passing = std::mem::take(&mut self.parcels).into_iter().map(async |waiting| {
            let (since, is_on_disk) = (waiting.since, waiting.ticket.is_some());
            let parts = circle.divide(&waiting.parcel).into_iter();
            let parts = parts.map(|(at, part)| circle.queue(at).inherit(part, since, is_on_disk));
            let left: Vec<Parcel> = join_all(parts).await.into_iter().flatten().collect();
            (waiting, left)
        });
        let mut taken = Vec::new();
        for (mut waiting, left) in join_all(passing).await {
            if left.is_empty() {
                taken.extend(waiting.ticket.take());
                continue;
            }
            // Requests are joined by joining their bytes.
            let body: Vec<u8> = left.iter().flat_map(|part| &part.body[..]).copied().collect();
            let items = left.iter().map(|part| part.items).sum();
            waiting.parcel = waiting.parcel.part(Bytes::from(body), items);
            self.parcels.push(waiting);
        }
        Ticket::settle(taken);
        let kept: usize = self.parcels.iter().map(Waiting::charge).sum();
        self.queue.release(self.charge.saturating_sub(kept));
        self.charge = self.charge.min(kept);
        self.items = self.parcels.iter().map(Waiting::items).sum();
        (!self.parcels.is_empty()).then_some(self)
    }
}

impl Queue {
    /// Takes a parcel from another queue of the same destination, whether there is room or not. Answers once it is as safe here as it
    /// was there; gives it back if it cannot be.
    fn inherit(
        self: &Arc<Self>,
        parcel: Parcel,
        since: Instant,
        was_on_disk: bool,
    ) -> impl Future<Output = Option<Parcel>> + use<> {
        let (sender, outcome) = oneshot::channel();
        self.current().take_over(parcel, since, was_on_disk, move |left| drop(sender.send(left)));
        async { outcome.await.unwrap_or_default() }
    }

    fn take_over(
        self: &Arc<Self>,
        parcel: Parcel,
        since: Instant,
        was_on_disk: bool,
        then: impl FnOnce(Option<Parcel>) + Send + 'static,
    ) {
        let must_write = self.is_durable() || was_on_disk;
        let in_memory = move |parcel| Waiting { since, ..Waiting::in_memory(parcel) };
        let Some(disk) = self.disk.as_ref().filter(|_| must_write || self.wants_disk(parcel.body.len())) else {
            self.adopt(vec![in_memory(parcel)], false);
            return then(None);
        };
        let charged = charge(parcel.body.len());
        self.force(charged);
        let age = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let record = Prepared::of(&parcel, now().saturating_sub(age));
        let syncs = self.is_durable() || parcel.custody.is_some();
        let (queue, kept) = (Arc::clone(self), parcel.clone());
        let unwritten = move |queue: &Arc<Self>, parcel: Parcel| {
            queue.release(charged);
            if must_write {
                return Some(parcel);
            }
            queue.adopt(vec![in_memory(parcel)], false);
            None
        };
        let then = Arc::new(parking_lot::Mutex::new(Some(then)));
        let called = Arc::clone(&then);
        let written: Then = Box::new(move |written| {
            let left = match written {
                Ok(slot) => {
                    queue.show_written(charged, kept, since, &slot);
                    None
                }
                Err(failed) => {
                    queue.unstage(0, Some(failed.sequence));
                    unwritten(&queue, kept)
                }
            };
            if let Some(then) = called.lock().take() {
                then(left);
            }
        });
        if !disk.spool.stage(record, syncs, written) {
            let left = unwritten(self, parcel);
            if let Some(then) = then.lock().take() {
                then(left);
            }
        }
    }

    /// Whether nothing is in it, on its way into it or on its way out of it.
    pub fn is_spent(&self) -> bool {
        let state = self.state.lock();
        state.reservations == 0 && state.waiting.is_empty() && self.held_bytes() == 0
    }
}
