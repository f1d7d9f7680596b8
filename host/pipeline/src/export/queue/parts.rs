//! A batch that is over the limit for requests, on its way in parts, which are made one at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::metrics::DropReason;
use super::super::split::{Cutter, Piece};
use super::{Batch, Ticket, Waiting};

/// What is left of a batch. Each of its items leaves it in a part, counted as too large, or, where it is dropped early, as
/// the batch would have.
#[derive(Debug)]
pub(in super::super) struct Parts {
    /// What is in no part yet. It keeps its whole charge while there is any: so long it keeps the bytes.
    left: Batch,
    /// Its parcels, behind the one that is being cut.
    waiting: VecDeque<Waiting>,
    cutting: Option<(Cutter, Waiting)>,
    limit: usize,
    /// How large a part of a single item may be.
    most: usize,
    too_large: u64,
}

impl Parts {
    pub(super) fn new(mut batch: Batch, limit: usize, most: usize) -> Self {
        let waiting = std::mem::take(&mut batch.parcels).into();
        Self { left: batch, waiting, cutting: None, limit, most, too_large: 0 }
    }

    /// The next part, unless there is none or another queue has taken the place of this: then what is left goes there whole.
    pub fn next(&mut self) -> Option<Batch> {
        if self.left.queue.is_replaced() {
            return None;
        }
        loop {
            let Some((cutter, waiting)) = &mut self.cutting else {
                let waiting = self.waiting.pop_front()?;
                let parcel = &waiting.parcel;
                let cutter = Cutter::new(parcel.signal, parcel.body.clone(), parcel.items, self.limit, self.most);
                self.cutting = Some((cutter, waiting));
                continue;
            };
            match cutter.next() {
                None => {
                    let (_, waiting) = self.cutting.take().expect("it was just cut");
                    Ticket::settle(waiting.ticket);
                }
                Some(Piece::Oversize(items)) => {
                    let items = u64::from(items).min(self.left.items);
                    self.too_large += items;
                    self.left.drop_items(items, DropReason::ItemTooLarge);
                }
                Some(Piece::Fits { body, items, is_copy }) => {
                    let parcel = waiting.parcel.part(body, items);
                    let mut part = Batch::new(Arc::clone(&self.left.queue));
                    let ticket = waiting.ticket.as_ref().map(Ticket::share);
                    part.add(Waiting { parcel, since: waiting.since, ticket });
                    // Other parts share the bytes that are counted already.
                    if !is_copy {
                        part.charge = 0;
                    }
                    part.queue.force(part.charge);
                    part.items = part.items.min(self.left.items);
                    self.left.items -= part.items;
                    return Some(part);
                }
            }
        }
    }

    /// How many items were too large alone so far, and were dropped.
    pub fn too_large(&self) -> u64 {
        self.too_large
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some((cutter, waiting)) = self.cutting.take() {
            let (body, items) = cutter.rest();
            let parcel = waiting.parcel.part(body, items);
            self.waiting.push_front(Waiting { parcel, ..waiting });
        }
        self.left.parcels = std::mem::take(&mut self.waiting).into();
    }
}
