//! The way into the buffer: a mill's batch, taken apart by trace id.

use std::sync::Arc;
use std::time::Duration;

use otlp::batch::Batch;
use otlp::encode::parted;

use super::budget::{Pressure, Room};
use super::durable::Then;
use super::key::{self, Key};
use super::origin::Origin;
use super::outbox::AGAIN;
use super::shard::{Arrival, Shard, TOGETHER, Taken};
use super::slab::NONE;
use super::verdict::BUFFER;
use super::{Inner, Tail};
use crate::chain::live::Chain;
use crate::chain::metrics::DropLabels;
use crate::custody::Custody;
use crate::export::Parcel;
use crate::request::Refusal;

/// What senders are told to wait when the buffer is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// No list keeps more bytes from batch to batch.
const KEPT: usize = 1 << 20;

/// What became of the live rows of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Intaken {
    pub(crate) held: u64,
    /// Late spans of traces that were dropped.
    pub(crate) dropped: u64,
}

/// What a mill uses again from batch to batch.
#[derive(Debug, Default)]
pub(crate) struct Sorter {
    /// By their shards.
    rows: Vec<Row>,
    live: Vec<u32>,
    matching: Vec<u32>,
    scratch: Scratch,
}

/// What is used again from shard to shard.
#[derive(Debug, Default)]
struct Scratch {
    /// The envelope of each scope, as far as they are known.
    envelopes: Vec<u32>,
    resources: Vec<u32>,
    resource: Vec<u8>,
    scope: Vec<u8>,
    span: Vec<u8>,
}

impl Sorter {
    /// Gives back what a batch as large as few are has taken.
    fn empty(&mut self) {
        let Self { rows, live, matching, scratch } = self;
        let Scratch { envelopes, resources, resource, scope, span } = scratch;
        empty(rows);
        [live, matching, envelopes, resources].into_iter().for_each(empty);
        [resource, scope, span].into_iter().for_each(empty);
    }
}

fn empty<T>(list: &mut Vec<T>) {
    list.clear();
    list.shrink_to(KEPT / size_of::<T>());
}

/// A live row on its way to its shard.
#[derive(Debug, Clone, Copy)]
struct Row {
    number: u32,
    shard: u32,
    hash: u64,
    early: u64,
    key: Key,
}

impl Tail {
    /// Why the next batch would be refused, if that is known already.
    pub(crate) fn is_full(&self) -> Option<Refusal> {
        let inner = &self.0.0;
        let refused = inner.durable.as_ref().and_then(|durable| durable.refuses());
        refused.map(|why| refusal(&format!("the trace buffer cannot take more: {why}"))).or_else(|| {
            let budget = inner.budget();
            (budget.used() >= budget.limit()).then(full)
        })
    }

    /// Whether spans are to be on the disk before they are acknowledged.
    pub(crate) fn is_durable(&self) -> bool {
        self.0.0.durable.is_some()
    }

    /// Takes the live rows of a batch, or refuses them all.
    pub(crate) fn take(
        &self,
        batch: &Batch,
        chain: &Chain,
        origin: Option<&Origin>,
        sorter: &mut Sorter,
    ) -> Result<Intaken, Refusal> {
        let inner = &self.0.0;
        // What stands beside spans goes to every shard that has one of them.
        let spans: usize = batch.spans().iter().map(|span| span.field.len as usize).sum();
        let beside = batch.bytes().saturating_sub(spans) * inner.cells.len();
        let mut room = inner.reserve(batch.live() as usize, spans + beside + batch.edited_bytes())?;
        Ok(inner.put(batch, chain, origin, (Held::Now, &mut room), sorter))
    }

    /// Takes a batch by way of the disk, or refuses it; then that is begun with [`Logging::start`].
    pub(crate) fn log(&self, parcel: Parcel, custody: Option<Arc<Custody>>) -> Result<Logging, Refusal> {
        let room = self.0.0.reserve(parcel.items as usize, parcel.body.len())?;
        Ok(Logging { tail: self.clone(), parcel, custody, room })
    }
}

/// A batch for the log, which has not begun to be written.
#[must_use = "it has to be started"]
pub(crate) struct Logging {
    tail: Tail,
    parcel: Parcel,
    custody: Option<Arc<Custody>>,
    room: Room,
}

impl Logging {
    /// Has it written. `then` hears when it is held, or why it is not.
    pub(crate) fn start(self, then: Then) {
        let Self { tail, parcel, custody, room } = self;
        let inner = Arc::clone(&tail.0.0);
        let Some(durable) = &inner.durable else { return then(Err(full())) };
        let woken = Arc::clone(&inner);
        durable.take(&parcel, custody, room, move || woken.wake(), then);
    }
}

/// Whether spans count as held already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Now,
    Before,
}

impl Inner {
    /// Takes room for so many spans, or refuses them.
    fn reserve(&self, spans: usize, bytes: usize) -> Result<Room, Refusal> {
        // Pages and chunks that are begun were set aside at the start.
        let growth = Shard::growth(0, spans, bytes);
        if growth > self.budget().limit().saturating_sub(self.fixed) {
            let why = format!("the request needs {growth} bytes of the trace buffer, which is not so large");
            return Err(Refusal::too_large(why));
        }
        Room::take(&self.ledger.budget, growth).ok_or_else(full)
    }

    /// Puts the live rows of a batch into their shards, whatever the budget. What they take there is given back of the room that was taken before.
    pub(super) fn put(
        &self,
        batch: &Batch,
        chain: &Chain,
        origin: Option<&Origin>,
        (held, room): (Held, &mut Room),
        sorter: &mut Sorter,
    ) -> Intaken {
        self.sort(batch, chain, sorter);
        let mut taken = Intaken::default();
        for own in sorter.rows.chunk_by(|one, other| one.shard == other.shard) {
            self.fill(own, batch, origin, (held, room), &mut sorter.scratch, &mut taken);
        }
        sorter.empty();
        taken
    }

    /// Finds out where each row goes.
    fn sort(&self, batch: &Batch, chain: &Chain, sorter: &mut Sorter) {
        let tenants: Vec<u64> = batch.requests().iter().map(|request| key::tenant(&request.context)).collect();
        sorter.rows.clear();
        sorter.live.clear();
        for (row, span) in (0..).zip(batch.spans()) {
            if span.dropped {
                continue;
            }
            // Rows without valid ids were refused before.
            let Some(key) = Key::of(batch, span, tenants[span.request as usize]) else { continue };
            let hash = self.hashing.of(key);
            let shard = self.shard_of(hash) as u32;
            sorter.rows.push(Row { number: row, shard, hash, early: 0, key });
            sorter.live.push(row);
        }
        for stage in chain.samplers() {
            let Some(early) = stage.early() else { continue };
            sorter.matching.clear();
            early.select(batch, &sorter.live, &mut sorter.matching);
            let bit = self.bits.of(&stage.spec().name);
            for row in &sorter.matching {
                if let Ok(at) = sorter.live.binary_search(row) {
                    sorter.rows[at].early |= bit;
                }
            }
        }
        // Those of one trace stay in their order.
        sorter.rows.sort_by_key(|row| row.shard);
    }

    /// Puts rows into the shard of all of them.
    fn fill(
        &self,
        own: &[Row],
        batch: &Batch,
        origin: Option<&Origin>,
        (held_before, room): (Held, &mut Room),
        scratch: &mut Scratch,
        taken: &mut Intaken,
    ) {
        let Some(cell) = own.first().map(|row| &self.cells[row.shard as usize]) else { return };
        let Scratch { envelopes, resources, resource, scope, span } = scratch;
        envelopes.clear();
        resources.clear();
        let mut shard = cell.shard.lock();
        let now = self.now();
        let origin = shard.enter_origin(origin);
        let mut held = 0;
        for some in own.chunks(TOGETHER) {
            shard.warm(some.iter().map(|row| row.hash));
            for Row { number: row, hash, early, key, .. } in some {
                let spanned = &batch.spans()[*row as usize];
                let at = spanned.scope as usize;
                if *place(envelopes, at) == NONE {
                    let number = batch.scope(spanned).resource;
                    let of = place(resources, number as usize);
                    if *of == NONE {
                        resource.clear();
                        parted::resource(batch, number, resource);
                        *of = shard.enter_resource(resource);
                    }
                    scope.clear();
                    parted::scope(batch, spanned.scope, scope);
                    let context = &batch.requests()[spanned.request as usize].context;
                    envelopes[at] = shard.enter_envelope(context, *of, scope);
                }
                let arrival = Arrival {
                    batch,
                    row: *row,
                    key: *key,
                    hash: *hash,
                    early: *early,
                    envelope: envelopes[at],
                    origin,
                };
                match shard.take(now, &arrival, span) {
                    Taken::Held => held += 1,
                    Taken::Dropped => taken.dropped += 1,
                }
            }
        }
        taken.held += held;
        // Before anybody can let go of them.
        if held_before == Held::Now {
            self.ledger.tail.held.inc_by(held as i64);
        }
        for envelope in envelopes.iter().filter(|envelope| **envelope != NONE) {
            shard.leave_envelope(*envelope);
        }
        for resource in resources.iter().filter(|resource| **resource != NONE) {
            shard.leave_resource(*resource);
        }
        shard.leave_origin(origin);
        room.shrink(shard.bytes().saturating_sub(shard.settled.0));
        self.settle(&mut shard);
        let is_due = shard.next().is_some_and(|next| next.max(shard.rests_until) < shard.wakes_at);
        // While there is much to make room for, somebody looks more often.
        let is_pressed = self.budget().pressure() != Pressure::None && shard.wakes_at > now + AGAIN.as_nanos() as u64;
        if is_due || is_pressed {
            shard.wakes_at = 0;
            cell.woken.notify_one();
        }
    }
}

/// A place in a list that grows to have it.
fn place(list: &mut Vec<u32>, at: usize) -> &mut u32 {
    if list.len() <= at {
        list.resize(at + 1, NONE);
    }
    &mut list[at]
}

/// Under which late spans of dropped traces are counted.
pub(crate) fn late() -> DropLabels {
    DropLabels { plugin: BUFFER.into(), reason: "late".into() }
}

fn full() -> Refusal {
    refusal("the trace buffer is full")
}

pub(super) fn refusal(why: &str) -> Refusal {
    Refusal::unavailable(RETRY_AFTER, format!("{why}, try again later"))
}
