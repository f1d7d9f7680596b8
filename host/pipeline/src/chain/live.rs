//! The live chain: an immutable list of stages under a generation, replaced in one step.
//!
//! Invariant: a batch goes through one generation from first stage to last: it takes the chain once, when it starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::handover::hand_over_shared;
use super::metrics::Metrics;
use super::place::Place;
use super::program::Fault;
use super::quarantine::Quarantine;
use super::run;
use super::shadow::Shadows;
use super::stage::{Stage, StageError, StageSpec};
use crate::spanmetrics::SpanMetrics;

/// The places in order.
#[derive(Debug)]
pub struct Chain {
    /// Counts up with each chain that is published; 0 is the empty chain of the start.
    pub generation: u64,
    /// In the order in which batches pass them.
    pub places: Vec<Place>,
    has_samplers: bool,
}

impl Chain {
    /// The stages that count, in order; what is only tried is not among them.
    pub fn stages(&self) -> impl Iterator<Item = &Arc<Stage>> {
        self.places.iter().filter_map(|place| place.stage.as_ref())
    }

    /// Whether traces are to be decided as a whole; a sampler that has its share of them counts too.
    #[must_use]
    pub fn has_samplers(&self) -> bool {
        self.has_samplers
    }

    fn new(generation: u64, places: Vec<Place>) -> Self {
        let decides = |place: &Place| place.samplers().next().is_some();
        Self { generation, has_samplers: places.iter().any(decides), places }
    }

    /// The samplers that decide, those that are tried on their share of the traces included.
    pub fn samplers(&self) -> impl Iterator<Item = &Arc<Stage>> {
        self.places.iter().flat_map(Place::samplers)
    }
}

/// Where the live chain is published. Clones publish to the same place.
#[derive(Debug, Clone)]
pub struct Chains {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    current: ArcSwap<Chain>,
    generation: AtomicU64,
    mills: usize,
    metrics: Metrics,
    quarantine: Arc<Quarantine>,
    shadows: Shadows,
    span_metrics: SpanMetrics,
}

impl Chains {
    /// An empty chain, for so many mills.
    #[must_use]
    pub fn new(mills: usize, metrics: Metrics) -> Self {
        let empty = Chain::new(0, Vec::new());
        let inner = Inner {
            current: ArcSwap::from_pointee(empty),
            generation: AtomicU64::new(0),
            mills,
            metrics,
            quarantine: Arc::default(),
            shadows: Shadows::default(),
            span_metrics: SpanMetrics::new(mills),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Sets up a stage, to be published with [`Chains::publish`].
    pub fn stage(&self, spec: StageSpec) -> Result<Arc<Stage>, StageError> {
        Stage::new(spec, self.inner.mills, &self.inner.metrics, &self.inner.quarantine).map(Arc::new)
    }

    /// Sets up a stage that is only tried: what it does is counted where nobody adds it to what counts.
    pub fn shadow_stage(&self, spec: StageSpec) -> Result<Arc<Stage>, StageError> {
        Stage::new(spec, 1, &Metrics::default(), &self.inner.quarantine).map(Arc::new)
    }

    /// Runs a stage on sample spans, on the calling thread: nothing but its fault comes of it.
    pub fn probe(&self, stage: &Stage, sample: &otlp::batch::Incoming) -> Result<(), Fault> {
        run::probe(stage, sample)
    }

    /// Makes these places (or stages alone) the live chain and answers its generation. Batches that are under way finish on the chain that
    /// they began with; stages that stay keep their instances.
    pub fn publish(&self, places: impl IntoIterator<Item = impl Into<Place>>) -> u64 {
        let generation = self.inner.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let chain = Chain::new(generation, places.into_iter().map(Into::into).collect());
        let old = self.current();
        let is_fresh = |stage: &&Arc<Stage>| {
            let tried = old.places.iter().filter_map(|place| place.trial.as_ref()).map(|trial| trial.stage());
            // Where a canary is promoted, its own instances have what they have.
            !old.stages().chain(tried).any(|old| Arc::ptr_eq(old, stage))
        };
        for stage in chain.stages().filter(is_fresh) {
            if let Some(before) = old.stages().find(|old| old.spec().name == stage.spec().name) {
                hand_over_shared(before, stage);
            }
        }
        drop(old);
        let breakers = chain.stages().map(|stage| (stage.spec().name.clone(), stage.breaker().clone()));
        self.inner.metrics.breakers.show(breakers.collect());
        // Samplers decide later which traces are kept, and with them which exemplars may be shown.
        self.inner.span_metrics.decisions().await_decisions(chain.has_samplers());
        self.inner.current.store(Arc::new(chain));
        self.inner.metrics.generation.set(generation as i64);
        generation
    }

    /// The live chain.
    #[must_use]
    pub fn current(&self) -> Arc<Chain> {
        self.inner.current.load_full()
    }

    /// Its generation, or that of one which is being published.
    pub(super) fn generation(&self) -> u64 {
        self.inner.generation.load(Ordering::Relaxed)
    }

    /// Spans on which plugins failed.
    #[must_use]
    pub fn quarantine(&self) -> &Arc<Quarantine> {
        &self.inner.quarantine
    }

    /// What is counted of the spans that pass.
    #[must_use]
    pub fn span_metrics(&self) -> &SpanMetrics {
        &self.inner.span_metrics
    }

    /// How many mills there are.
    #[must_use]
    pub fn mills(&self) -> usize {
        self.inner.mills
    }

    pub(crate) fn shadows(&self) -> &Shadows {
        &self.inner.shadows
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }
}
