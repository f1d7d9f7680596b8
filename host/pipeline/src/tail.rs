//! The trace buffer: spans wait here until their trace is decided as a whole.
//!
//! The way: behind the chain a mill hands its batch to the [`shard`]s, by trace id ([`intake`]); each span is copied into the shard's [`spans`], and
//! counted in its [`trace`]. When a trace is due by its [`clocks`], the shard's own thread ([`worker`]) has the samplers asked about it ([`judge`]), and
//! lets go of it or has it leave to the queues ([`emit`], [`outbox`]). What was decided is [`remembered`] for spans that come late.
//!
//! Invariant: a span is in one shard, and leaves once or is dropped once; all of the buffer stays within its [`budget`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::chain::live::Chains;
use crate::chain::outlet::Outlet;
use crate::log_gate::Gate;

mod assemble;
mod bits;
mod budget;
mod chunk;
mod clocks;
pub mod config;
mod durable;
mod emit;
mod envelope;
mod filter;
mod intake;
mod journal;
mod judge;
mod key;
mod leaving;
pub mod metrics;
mod origin;
mod outbox;
mod remembered;
mod shard;
mod shared;
mod show;
mod slab;
mod spans;
mod spill;
mod tally;
mod trace;
mod verdict;
mod worker;

pub use config::TailConfig;
pub(crate) use intake::{Logging, Sorter, late};
pub use metrics::Metrics;
pub use origin::Origin;

use bits::Bits;
use budget::{Budget, Pressure, Room};
use clocks::{Clock, Nanos, monotonic};
use config::Remember;
use durable::Durable;
use journal::Journals;
use key::Hashing;
use outbox::Ledger;
use shard::Shard;
use spill::Spill;
use trace::Waits;
use worker::Worker;

/// How large chunks are, unless the budget is too small for that.
const CHUNK: usize = 256 << 10;

/// The trace buffer. Clones are the same; its threads end with the last of them.
#[derive(Clone)]
pub struct Tail(Arc<Handle>);

struct Handle(Arc<Inner>);

struct Inner {
    cells: Vec<Cell>,
    hashing: Hashing,
    /// Bytes of the budget that are set aside: for pages and chunks which are begun, and for what is on its way to samplers and queues.
    begun: usize,
    /// What of it is counted nowhere else: kept buffers.
    own: usize,
    /// Bytes that are taken as long as it is there: by what it remembers.
    fixed: usize,
    /// About so many bytes a shard has on its way to the queues, and keeps of its buffers.
    part: usize,
    config: ArcSwap<TailConfig>,
    bits: Bits,
    chains: Chains,
    outlet: Arc<dyn Outlet>,
    ledger: Ledger,
    /// Where spans are on the disk before they are acknowledged.
    durable: Option<Arc<Durable>>,
    /// Where decisions are known after a restart.
    journals: Option<Arc<Journals>>,
    clock: Clock,
    life: AtomicU8,
    /// Whether the samplers are there: nothing is decided before.
    is_open: AtomicBool,
    /// Of each shard whether nothing is left in it; told at the end only.
    idle: watch::Sender<Vec<bool>>,
    log_gate: Gate,
}

/// A shard has at least so much memory; with less there are fewer of them than mills.
const LEAST_OF_A_SHARD: usize = 4 << 20;
/// How many parts a shard may have in buffers that are kept and in what it hands over or shows at least, and in what waits for the queues.
const OWN_PARTS: usize = 5;
const LEAVING_PARTS: usize = 2;
/// What samplers are shown is there so often: packed, unpacked, as requests, and these joined.
const COPIES: usize = 4;
/// This part of all of it is for tables: when they are full they double, whoever it is that comes then.
const DOUBLING: usize = 64;

const RUNNING: u8 = 0;
/// Nothing comes any more; everything is decided.
const ENDING: u8 = 1;
const GONE: u8 = 2;

/// A shard, and how its thread is woken.
struct Cell {
    shard: Mutex<Shard>,
    woken: Condvar,
    spill: Option<Spill>,
}

/// How a buffer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Spans in it.
    pub spans: u64,
    /// Their traces.
    pub traces: u64,
    /// Bytes of memory that it takes.
    pub bytes: u64,
    /// Bytes that it may take.
    pub limit: u64,
    /// `memory`, `spill` or `durable`.
    pub mode: &'static str,
    /// Bytes of its files, where it has some.
    pub disk_bytes: Option<u64>,
}

/// The buffer cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its folder cannot be used.
    #[error("the trace buffer's folder {folder}: {error}")]
    Folder {
        /// Where.
        folder: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Its log cannot be used.
    #[error("the trace buffer's log: {0}")]
    Log(String),
    /// There would be no room for spans.
    #[error(
        "the trace buffer has {memory} bytes (`tail.memory`), of which {fixed} are taken before the first span comes: give it at least {least}"
    )]
    Memory {
        /// What it may take.
        memory: usize,
        /// What it takes at once.
        fixed: usize,
        /// With how much there is room.
        least: usize,
    },
    /// No threads.
    #[error("cannot start a thread of the trace buffer: {0}")]
    Thread(std::io::Error),
}

impl StartError {
    fn of_folder(folder: &std::path::Path) -> impl Fn(std::io::Error) -> Self {
        |error| Self::Folder { folder: folder.to_owned(), error }
    }
}

impl Tail {
    /// Starts a shard for each mill, with its thread.
    pub fn start(
        config: TailConfig,
        chains: Chains,
        outlet: Arc<dyn Outlet>,
        metrics: Metrics,
    ) -> Result<Self, StartError> {
        let inner = Arc::new(Inner::new(config, chains, outlet, metrics, monotonic())?);
        let tail = Self(Arc::new(Handle(Arc::clone(&inner))));
        for number in 0..inner.cells.len() {
            let worker = Worker::new(Arc::clone(&inner), number);
            let thread = std::thread::Builder::new().name(format!("tail-{number}"));
            thread.spawn(move || worker.work()).map_err(StartError::Thread)?;
        }
        Ok(tail)
    }

    /// The plugins are there: what an earlier run has left is fetched, and decided from now on.
    pub fn open(&self) {
        self.0.0.is_open.store(true, Ordering::Release);
        self.0.0.wake();
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = &self.0.0;
        let count = |gauge: &prometheus_client::metrics::gauge::Gauge| u64::try_from(gauge.get()).unwrap_or(0);
        let metrics = &inner.ledger.tail;
        let disk = inner.config.load().disk.clone();
        Status {
            spans: count(&metrics.held),
            traces: count(&metrics.traces),
            bytes: count(&metrics.bytes),
            limit: count(&metrics.limit),
            mode: disk.as_ref().map_or("memory", |disk| if disk.is_durable { "durable" } else { "spill" }),
            disk_bytes: disk.map(|_| count(&metrics.disk)),
        }
    }

    /// Takes other settings; the folder, and what is remembered, stay as they were.
    pub fn reconfigure(&self, mut config: TailConfig) {
        let inner = &self.0.0;
        if config.max_bytes < inner.least() {
            tracing::warn!(
                asked = config.max_bytes,
                taken = inner.least(),
                "`tail.memory` is less than the trace buffer needs for what it remembers already: a restart is needed for that"
            );
            config.max_bytes = inner.least();
        }
        inner.budget().set_limit(config.max_bytes.saturating_sub(inner.begun));
        inner.ledger.tail.limit.set(config.max_bytes as i64);
        let waits = waits(&config);
        inner.chains.span_metrics().decisions().take_at_most(config.longest);
        inner.config.store(Arc::new(config));
        for cell in &inner.cells {
            cell.shard.lock().set_waits(waits);
            // Something may be due earlier, or have to make room.
            cell.woken.notify_one();
        }
    }

    /// Decides everything and hands it to the queues, within the bound; what is on the disk too stays there undecided. Answers how many spans are lost. To be called once nothing comes any more.
    pub async fn drain(&self, until: tokio::time::Instant) -> u64 {
        let inner = &self.0.0;
        let mut idle = inner.idle.subscribe();
        inner.become_(ENDING);
        let all_are = |idle: &Vec<bool>| idle.iter().all(|is_idle| *is_idle);
        let _late = tokio::time::timeout_at(until, idle.wait_for(all_are)).await;
        let held = u64::try_from(inner.ledger.tail.held.get()).unwrap_or(0);
        if inner.durable.is_none() {
            return held;
        }
        // It comes back with the next start.
        inner.ledger.tail.log.left.inc_by(held);
        inner.ledger.tail.held.dec_by(held as i64);
        0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.become_(GONE);
    }
}

impl Inner {
    fn new(
        config: TailConfig,
        chains: Chains,
        outlet: Arc<dyn Outlet>,
        metrics: Metrics,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let shards = chains.mills().min(config.max_bytes / LEAST_OF_A_SHARD).max(1);
        let chunk = (config.max_bytes / shards / 64).clamp(16 << 10, CHUNK);
        let hashing = Hashing::default();
        let remember = Remember { kept: config.remember.kept / shards, dropped: config.remember.dropped / shards };
        let spill = |_| {
            let disk = config.disk.as_ref()?;
            let made = std::fs::create_dir_all(&disk.folder)
                .and_then(|()| Spill::create(&disk.folder, disk.max_bytes / shards as u64));
            Some(made.map_err(StartError::of_folder(&disk.folder)))
        };
        let cell = |number| {
            let shard = Shard::new(chunk, waits(&config), remember, hashing.clone());
            Ok(Cell { shard: Mutex::new(shard), woken: Condvar::new(), spill: spill(number).transpose()? })
        };
        let cells = (0..shards).map(cell).collect::<Result<Vec<_>, _>>()?;
        metrics.limit.set(config.max_bytes as i64);
        chains.span_metrics().decisions().take_at_most(config.longest);
        let part = (config.max_bytes / shards / 64).clamp(64 << 10, 1 << 20);
        let own = shards * OWN_PARTS * part;
        let rounded = shards * (Shard::growth(chunk, 0, 0) + LEAVING_PARTS * part);
        let begun = own + rounded + config.max_bytes / DOUBLING;
        let budget = Arc::new(Budget::new(config.max_bytes.saturating_sub(begun)));
        let is_durable = config.disk.as_ref().is_some_and(|disk| disk.is_durable);
        let ledger = Ledger { chain: chains.metrics().clone(), tail: metrics, budget, is_durable };
        let journals = config.disk.as_ref().map(|disk| {
            let decisions = config.remember.kept as u64 + config.remember.dropped as u64;
            Journals::open(&disk.folder, decisions).map_err(StartError::of_folder(&disk.folder))
        });
        let durable = config.disk.as_ref().filter(|_| is_durable).map(|disk| {
            let durable = Durable::open(&disk.folder, disk.max_bytes, ledger.clone());
            durable.map(Arc::new).map_err(|error| StartError::Log(error.to_string()))
        });
        let mut inner = Self {
            durable: durable.transpose()?,
            journals: journals.transpose()?,
            idle: watch::Sender::new(vec![false; cells.len()]),
            cells,
            hashing,
            begun,
            own,
            fixed: 0,
            part,
            config: ArcSwap::from_pointee(config),
            bits: Bits::default(),
            chains,
            outlet,
            ledger,
            clock,
            life: AtomicU8::new(RUNNING),
            is_open: AtomicBool::new(false),
            log_gate: Gate::default(),
        };
        inner.remember()?;
        for cell in &inner.cells {
            inner.settle(&mut cell.shard.lock());
        }
        inner.fixed = inner.budget().used().max(inner.config.load().remember.bytes());
        let memory = inner.config.load().max_bytes;
        if memory < inner.least() {
            return Err(StartError::Memory { memory, fixed: inner.begun + inner.fixed, least: inner.least() });
        }
        Ok(inner)
    }

    /// With less memory there is no room for spans to speak of.
    fn least(&self) -> usize {
        (self.begun + self.fixed) / 7 * 8
    }

    /// How many bytes of spans a call of a sampler may show where there are so many to be shown, with the room for their copies. Where there is little room it is less,
    /// and at least what was set aside for that.
    fn room_to_show(&self, spans: usize) -> (usize, Option<Room>) {
        let mut most = otlp::columns::MAX_BYTES.min(8 * self.part);
        loop {
            // What spans came under is about as large as they are.
            let room = Room::spare(&self.ledger.budget, COPIES * most.min(2 * spans));
            if room.is_some() || most <= self.part / 2 {
                return (most, room);
            }
            most /= 2;
        }
    }

    /// Knows again what earlier runs have decided.
    fn remember(&self) -> Result<(), StartError> {
        let Some(journals) = &self.journals else { return Ok(()) };
        let read = journals.read(|key, verdict| {
            self.cells[self.shard_of(self.hashing.of(key))].shard.lock().remember(key, verdict);
        });
        read.map_err(StartError::of_folder(journals.folder()))
    }

    /// By bits of a key's hash that neither tables nor filters go by.
    fn shard_of(&self, hash: u64) -> usize {
        ((hash >> 32 & 0xffff) as usize * self.cells.len()) >> 16
    }

    /// Has somebody look for what has come.
    fn wake(&self) {
        if let Some(cell) = self.cells.first() {
            // Under the lock, so that nobody is just about to sleep.
            let mut shard = cell.shard.lock();
            shard.is_called = true;
            cell.woken.notify_one();
        }
    }

    fn budget(&self) -> &Budget {
        &self.ledger.budget
    }

    fn now(&self) -> Nanos {
        (self.clock)()
    }

    /// Has the budget know what a shard has come to.
    fn settle(&self, shard: &mut Shard) {
        let (bytes, traces, leaving) = (shard.bytes(), shard.traces(), shard.decided_bytes());
        let before = std::mem::replace(&mut shard.settled, (bytes, traces, leaving));
        self.budget().settle(before.0, bytes);
        self.budget().settle_leaving(before.2, leaving);
        let metrics = &self.ledger.tail;
        metrics.bytes.set((self.budget().used() + self.own) as i64);
        metrics.traces.inc_by(traces as i64 - before.1 as i64);
        let shard::Events { late_kept, late_dropped, forgotten, forgotten_dropped } = std::mem::take(&mut shard.events);
        for (family, label, count) in [
            (&metrics.late, metrics::KEEP, late_kept),
            (&metrics.late, metrics::DROP, late_dropped),
            (&metrics.forgotten, metrics::KEEP, forgotten),
            (&metrics.forgotten, metrics::DROP, forgotten_dropped),
        ] {
            if count > 0 {
                family.get_or_create(&label).inc_by(count);
            }
        }
    }

    fn become_(&self, life: u8) {
        self.life.fetch_max(life, Ordering::AcqRel);
        for cell in &self.cells {
            // Under the lock, so that none is just about to sleep.
            cell.shard.lock().is_called = true;
            cell.woken.notify_one();
        }
    }

    fn is_ending(&self) -> bool {
        self.life.load(Ordering::Acquire) >= ENDING
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Whether traces are decided.
    fn decides(&self) -> bool {
        match self.life.load(Ordering::Acquire) {
            // What has not come back yet may belong to any of them; but nothing more does while memory is short.
            RUNNING => self.is_open() && (self.is_restored() || self.budget().pressure() >= Pressure::Spill),
            // What is on the disk waits for the next start.
            _ => self.durable.is_none(),
        }
    }

    fn is_gone(&self) -> bool {
        self.life.load(Ordering::Acquire) >= GONE
    }

    /// A shard has done what was to do.
    fn report(&self, number: usize, is_idle: bool) {
        if self.is_ending() {
            self.idle.send_if_modified(|idle| std::mem::replace(&mut idle[number], is_idle) != is_idle);
        }
    }
}

fn waits(config: &TailConfig) -> Waits {
    let nanos = |time: Duration| Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX);
    Waits { root_delay: nanos(config.root_delay), idle: nanos(config.idle), longest: nanos(config.longest) }
}

#[cfg(test)]
mod tests;
