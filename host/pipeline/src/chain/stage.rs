//! A stage: one place in the chain, that is a plugin of one version with its settings and how the host treats it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};

use otlp::batch::Batch;
use otlp::condition::{Condition, Filter};
use otlp::edit::permissions::Permissions;
use parking_lot::{Mutex, MutexGuard};
use prometheus_client::metrics::counter::Counter;
use std::sync::atomic::{AtomicU64, Ordering};

use super::breaker::{Breaker, Pass};
use super::metrics::{DropLabels, FAULT, FaultLabels, Metrics, PluginLabel, Reasons};
use super::plan::{Affinity, Failure};
pub use super::program::{Call, Fault, FaultKind, Instance, Program};
use super::quarantine::Quarantine;
use super::trial::Work;
use crate::log_gate::Gate;

/// How one stage is set up: the program, and what the operator's sidecar says about it.
#[derive(Debug, Clone)]
pub struct StageSpec {
    /// The file's name without its number and ending: `scrub-pii`.
    pub name: Arc<str>,
    /// Which build it is: the content hash's first twelve hex digits.
    pub version: Arc<str>,
    /// The plugin.
    pub program: Arc<dyn Program>,
    /// Narrows the plan's `when`; empty narrows nothing.
    pub when: Vec<Vec<Condition>>,
    /// What becomes of spans on which it fails: the sidecar's word, else the plan's.
    pub on_error: Failure,
    /// How long a call may take.
    pub deadline: Duration,
    /// When repeated faults take it out for a while.
    pub breaker: BreakerPolicy,
}

/// When a stage's breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// So many faults ...
    pub faults: u32,
    /// ... within this time open it ...
    pub within: Duration,
    /// ... for so long. Then one call is tried.
    pub pause: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { faults: 5, within: Duration::from_mins(1), pause: Duration::from_secs(10) }
    }
}

/// A stage cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("plugin {name}: {what} cannot be used: {error}")]
pub struct StageError {
    name: Arc<str>,
    what: &'static str,
    error: otlp::condition::ConditionError,
}

/// An instance that is shared between mills; `None` until it is needed, and after a fault.
pub(crate) type Slot = Option<Box<dyn Instance>>;

/// A shared instance, held by one mill. A mill that panics with it throws it away: nobody knows how it was left.
pub(super) struct Locked<'a>(MutexGuard<'a, Slot>);

impl<'a> Locked<'a> {
    pub(super) fn new(slot: &'a Mutex<Slot>) -> Self {
        Self(slot.lock())
    }
}

impl Deref for Locked<'_> {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.0
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Slot {
        &mut self.0
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *self.0 = None;
        }
    }
}

/// One place in the chain, ready to run. Kept over reloads that do not change it, with its instances and breaker.
pub struct Stage {
    spec: StageSpec,
    filters: Vec<Filter>,
    /// Of a sampler that is to be asked early: about traces with such spans.
    early: Option<Filter>,
    permissions: Permissions,
    breaker: Arc<Breaker>,
    reasons: Reasons,
    series: Series,
    done: Done,
    /// Keeps what is logged of its failures apart.
    complaints: Gate,
    metrics: Metrics,
    quarantine: Arc<Quarantine>,
    /// The instances of a plugin with affinity: one for all, or one for each shard of trace ids. Empty for `any`, whose
    /// instances belong to the mills.
    shared: Vec<Mutex<Slot>>,
}

/// What this version has done, whatever others of the same name have.
#[derive(Debug, Default)]
struct Done {
    calls: AtomicU64,
    rows: AtomicU64,
    faults: AtomicU64,
    nanos: AtomicU64,
}

/// The stage's own series, looked up once.
#[derive(Debug)]
struct Series {
    calls: Counter,
    rows: Counter,
    seconds: Counter<f64, AtomicU64>,
}

// === impl Stage ===

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("spec", &self.spec).field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

impl Stage {
    /// Sets up a stage for `mills` mills.
    pub fn new(
        spec: StageSpec,
        mills: usize,
        metrics: &Metrics,
        quarantine: &Arc<Quarantine>,
    ) -> Result<Self, StageError> {
        let plan = spec.program.plan();
        let compile = |what, lists: &[Vec<Condition>]| {
            Filter::compile(lists).map_err(|error| StageError { name: spec.name.clone(), what, error })
        };
        let filters = [compile("the plan's `when`", &plan.when)?, compile("the sidecar's `when`", &spec.when)?];
        let early = match &plan.sampler {
            Some(sampler) if !sampler.early.is_empty() => Some(compile("the plan's `early`", &sampler.early)?),
            _ => None,
        };
        let shards = match plan.affinity {
            Affinity::Any => 0,
            Affinity::Trace => mills.max(1),
            Affinity::One => 1,
        };
        let label = PluginLabel { plugin: spec.name.clone() };
        // A plugin has its drops counted from the start, so that none dropped can be told from none counted.
        drop(metrics.dropped.get_or_create(&DropLabels { plugin: spec.name.clone(), reason: FAULT.into() }));
        Ok(Self {
            filters: filters.into_iter().filter(|filter| !filter.is_every()).collect(),
            early,
            permissions: Permissions::new(
                &plan.columns,
                &plan.reads,
                plan.when.iter().flatten().map(|condition| &condition.path),
                &plan.writes,
                plan.may_drop,
            ),
            breaker: Arc::new(Breaker::new(spec.breaker)),
            reasons: Reasons::default(),
            series: Series {
                calls: metrics.calls.get_or_create_owned(&label),
                rows: metrics.rows.get_or_create_owned(&label),
                seconds: metrics.seconds.get_or_create_owned(&label),
            },
            done: Done::default(),
            complaints: Gate::default(),
            metrics: metrics.clone(),
            quarantine: Arc::clone(quarantine),
            shared: (0..shards).map(|_| Mutex::new(None)).collect(),
            spec,
        })
    }

    /// How it was set up.
    #[must_use]
    pub fn spec(&self) -> &StageSpec {
        &self.spec
    }

    /// Whether it decides traces, and batches do not pass it.
    #[must_use]
    pub fn is_sampler(&self) -> bool {
        self.spec.program.plan().sampler.is_some()
    }

    /// Which spans it wants to be asked about at once, if any.
    pub(crate) fn early(&self) -> Option<&Filter> {
        self.early.as_ref()
    }

    /// Whether its breaker is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    pub(super) fn breaker(&self) -> &Arc<Breaker> {
        &self.breaker
    }

    pub(super) fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// How many shared instances there are.
    pub(super) fn shards(&self) -> usize {
        self.shared.len()
    }

    /// One of them.
    pub(super) fn lock(&self, shard: usize) -> Locked<'_> {
        Locked::new(&self.shared[shard])
    }

    /// Lets go of the instances that mills share: nothing runs on it for now. Whoever calls it after all begins with fresh ones.
    pub fn let_go(&self) {
        self.shared.iter().filter_map(|shared| shared.try_lock()).for_each(|mut slot| *slot = None);
    }

    /// The rows among `rows` that the plugin is about. `spare` is overwritten.
    pub(super) fn select(&self, batch: &Batch, rows: &mut Vec<u32>, spare: &mut Vec<u32>) {
        for filter in &self.filters {
            spare.clear();
            filter.select(batch, rows, spare);
            std::mem::swap(rows, spare);
        }
    }

    pub(super) fn pass(&self) -> Option<Pass> {
        self.breaker.pass(Instant::now)
    }

    /// Tells the breaker how a batch went.
    pub(super) fn report(&self, pass: Pass, failed: bool) {
        let opened = self.breaker.report(pass, failed, Instant::now);
        if opened {
            let (plugin, pause) = (&self.spec.name, self.spec.breaker.pause);
            tracing::error!(%plugin, ?pause, on_error = ?self.spec.on_error, "breaker opened after repeated faults");
        }
    }

    /// What it has done since it was set up.
    #[must_use]
    pub fn work(&self) -> Work {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Done { calls, rows, faults, nanos } = &self.done;
        Work { calls: read(calls), rows: read(rows), faults: read(faults), nanos: read(nanos) }
    }

    pub(super) fn count_calls(&self, calls: u64, rows: u64, took: Duration) {
        self.done.calls.fetch_add(calls, Ordering::Relaxed);
        self.done.rows.fetch_add(rows, Ordering::Relaxed);
        self.done.nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        self.series.calls.inc_by(calls);
        self.series.rows.inc_by(rows);
        self.series.seconds.inc_by(took.as_secs_f64());
    }

    pub(super) fn count_fault(&self, kind: FaultKind) {
        self.done.faults.fetch_add(1, Ordering::Relaxed);
        let labels = FaultLabels { plugin: self.spec.name.clone(), kind: kind.label() };
        self.metrics.faults.get_or_create(&labels).inc();
    }

    pub(super) fn complaints(&self) -> &Gate {
        &self.complaints
    }

    /// Keeps a copy of a span on which the plugin fails.
    pub(super) fn set_aside(&self, batch: &Batch, row: u32, fault: &Fault) {
        self.quarantine.keep(batch, row, &self.spec, fault);
    }

    /// The labels under which a drop with this reason is counted.
    pub(crate) fn drop_labels(&self, reason: &str) -> DropLabels {
        DropLabels { plugin: self.spec.name.clone(), reason: self.reasons.label(reason) }
    }
}
