//! A buffer without threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use otlp::batch::{Batch, Incoming, RequestContext};
use otlp::signal::Signal;
use parking_lot::Mutex;
use prost::Message as _;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::chain::live::Chains;
use crate::chain::metrics::{DropLabels, Metrics as ChainMetrics};
use crate::chain::outlet::Outlet;
use crate::chain::plan::{Affinity, Failure, Plan};
use crate::chain::program::{Call, Fault, Instance, Program};
use crate::chain::sampler::{Decisions, Question, SamplerPlan};
use crate::chain::stage::{BreakerPolicy, Stage, StageSpec};
use crate::export::{Parcel, Taken};
use crate::request::Refusal;
use crate::tail::intake::{Intaken, Sorter};
use crate::tail::worker::Worker;
use crate::tail::{Handle, Inner, Metrics, Origin, StartError, Tail, TailConfig};

pub const SECOND: u64 = 1_000_000_000;

/// What a sampler of the tests answers.
pub type Decide = Arc<dyn Fn(Question<'_>) -> Result<Decisions, Fault> + Send + Sync>;

/// A sampler in Rust.
pub struct Native {
    plan: Plan,
    decide: Decide,
}

impl std::fmt::Debug for Native {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Native").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Native {
    pub fn new(sampler: SamplerPlan, columns: Vec<otlp::path::Want>, decide: Decide) -> Self {
        let plan = Plan {
            columns,
            reads: Vec::new(),
            writes: Vec::new(),
            may_drop: false,
            when: Vec::new(),
            affinity: Affinity::Any,
            on_error: Failure::Pass,
            tables: None,
            sampler: Some(sampler),
            options: Vec::new(),
        };
        Self { plan, decide }
    }
}

impl Program for Native {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn instantiate(&self) -> Result<Box<dyn Instance>, Fault> {
        Ok(Box::new(NativeInstance(Arc::clone(&self.decide))))
    }
}

struct NativeInstance(Decide);

impl Instance for NativeInstance {
    fn call(&mut self, _call: Call<'_>) -> Result<Vec<otlp::edit::Edit>, Fault> {
        unreachable!("batches do not pass samplers")
    }

    fn decide(&mut self, question: Question<'_>) -> Result<Decisions, Fault> {
        (self.0)(question)
    }

    fn settle(&mut self, _kept: bool) {}
}

/// The queues: they keep what they are given, unless they are full.
#[derive(Default)]
pub struct Queues {
    pub full: AtomicBool,
    /// How large a parcel may be, if that is bounded.
    pub room: Mutex<Option<usize>>,
    pub parcels: Mutex<Vec<Parcel>>,
}

impl Outlet for Queues {
    fn takes(&self, _: Signal) -> bool {
        true
    }

    fn is_full(&self) -> Option<Refusal> {
        self.full.load(Ordering::SeqCst).then(|| Refusal::unavailable(Duration::from_secs(1), "full"))
    }

    fn room(&self) -> usize {
        self.room.lock().unwrap_or(usize::MAX)
    }

    fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal> {
        self.is_full().map_or(Ok(()), Err)?;
        self.parcels.lock().push(parcel);
        Ok(Taken::Whole)
    }
}

/// A span that a test sends.
#[derive(Debug, Clone)]
pub struct Sent {
    pub trace: u64,
    pub number: u64,
    pub is_root: bool,
    /// Whether a root's parent is all zero instead of absent.
    pub has_zeros: bool,
    pub is_error: bool,
    pub start: u64,
    pub end: u64,
    pub state: String,
    pub service: u8,
    /// How long its name is.
    pub size: usize,
    /// Attributes without key and value: two bytes each, and much more in an index.
    pub empty_attributes: usize,
}

impl Sent {
    pub fn new(trace: u64, number: u64) -> Self {
        Self {
            trace,
            number,
            is_root: number == 0,
            has_zeros: false,
            is_error: false,
            start: SECOND,
            end: SECOND + 1000,
            state: String::new(),
            service: (number % 3) as u8,
            size: 20,
            empty_attributes: 0,
        }
    }

    pub fn id(&self) -> Vec<u8> {
        id(self.trace)
    }

    /// How large its field is in a request.
    pub fn bytes(&self) -> usize {
        let len = self.span().encoded_len();
        1 + prost::length_delimiter_len(len) + len
    }

    fn span(&self) -> Span {
        Span {
            trace_id: self.id(),
            span_id: (self.number + 1).to_be_bytes().to_vec(),
            parent_span_id: match (self.is_root, self.has_zeros) {
                (true, false) => Vec::new(),
                (true, true) => vec![0; 8],
                (false, _) => 1_u64.to_be_bytes().to_vec(),
            },
            trace_state: self.state.clone(),
            name: letters(id(self.trace)[8..].try_into().unwrap(), self.number, self.size.saturating_sub(20))
                + &format!("{:020}", self.number),
            start_time_unix_nano: self.start,
            end_time_unix_nano: self.end,
            attributes: vec![KeyValue::default(); self.empty_attributes],
            status: self.is_error.then(|| Status { code: 2, message: String::new() }),
            ..Span::default()
        }
    }
}

/// So many letters, the same for the same span, which no codec makes much smaller.
fn letters(trace: [u8; 8], number: u64, count: usize) -> String {
    let mut random = SmallRng::seed_from_u64(u64::from_be_bytes(trace) ^ number);
    (0..count).map(|_| char::from(random.random_range(b'0'..=b'z'))).collect()
}

/// Spread like random ids are.
pub fn id(trace: u64) -> Vec<u8> {
    let spread = trace.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ trace.rotate_left(17).wrapping_mul(0xd6e8_feb8_6659_fd93);
    [trace.to_be_bytes(), spread.to_be_bytes()].concat()
}

/// The buffer and all around it.
pub struct Rig {
    pub tail: Tail,
    pub chains: Chains,
    pub chain_metrics: ChainMetrics,
    pub metrics: Metrics,
    pub outlet: Arc<Queues>,
    pub now: Arc<AtomicU64>,
    workers: Vec<Worker>,
    sorter: Sorter,
    /// The parcels that were looked at.
    seen: usize,
}

impl Rig {
    pub fn new(shards: usize, config: TailConfig) -> Self {
        Self::try_new(shards, config).unwrap()
    }

    pub fn try_new(shards: usize, config: TailConfig) -> Result<Self, StartError> {
        let chain_metrics = ChainMetrics::default();
        let chains = Chains::new(shards, chain_metrics.clone());
        let (outlet, metrics) = (Arc::new(Queues::default()), Metrics::default());
        let now = Arc::new(AtomicU64::new(SECOND));
        let clock = Arc::clone(&now);
        let clock = Box::new(move || clock.load(Ordering::SeqCst));
        let inner = Inner::new(config, chains.clone(), outlet.clone(), metrics.clone(), clock)?;
        inner.is_open.store(true, Ordering::SeqCst);
        let inner = Arc::new(inner);
        let workers = (0..inner.cells.len()).map(|number| Worker::new(Arc::clone(&inner), number)).collect();
        let tail = Tail(Arc::new(Handle(inner)));
        Ok(Self { tail, chains, chain_metrics, metrics, outlet, now, workers, sorter: Sorter::default(), seen: 0 })
    }

    pub fn stage(&self, name: &str, program: Native) -> Arc<Stage> {
        self.chains.stage(Self::spec(name, program)).unwrap()
    }

    pub fn shadow_stage(&self, name: &str, program: Native) -> Arc<Stage> {
        self.chains.shadow_stage(Self::spec(name, program)).unwrap()
    }

    fn spec(name: &str, program: Native) -> StageSpec {
        StageSpec {
            name: name.into(),
            version: "test".into(),
            program: Arc::new(program),
            when: Vec::new(),
            on_error: Failure::Pass,
            deadline: Duration::from_secs(5),
            breaker: BreakerPolicy { faults: 1000, ..BreakerPolicy::default() },
        }
    }

    pub fn inner(&self) -> &Arc<Inner> {
        &self.tail.0.0
    }

    pub fn send(&mut self, spans: &[Sent]) -> Result<Intaken, Refusal> {
        self.send_for("", spans, None)
    }

    /// Sends spans as one request of a tenant, counted as a mill does.
    pub fn send_for(&mut self, tenant: &str, spans: &[Sent], origin: Option<&Origin>) -> Result<Intaken, Refusal> {
        let body = Bytes::from(request(spans));
        let tenant = (!tenant.is_empty()).then(|| tenant.into());
        let context = Arc::new(RequestContext { tenant, ..RequestContext::default() });
        let mut batch = Batch::new();
        assert_eq!(batch.load(&[Incoming { body: body.clone(), context }]), [Ok(())]);
        let chain = self.chains.current();
        let intaken = self.tail.take(&batch, &chain, origin, &mut self.sorter)?;
        drop(batch);
        assert!(body.is_unique(), "what waits pins no request");
        self.chain_metrics.dropped.get_or_create(&crate::tail::late()).inc_by(intaken.dropped);
        Ok(intaken)
    }

    /// Sends spans by way of the disk, waits until they are there, and has them fetched.
    pub fn send_safely(&mut self, spans: &[Sent]) -> Result<(), Refusal> {
        if let Some(refusal) = self.tail.is_full() {
            return Err(refusal);
        }
        let parcel = Parcel {
            signal: Signal::Traces,
            body: request(spans).into(),
            items: spans.len() as u32,
            context: Arc::default(),
            custody: None,
        };
        let (told, written) = std::sync::mpsc::channel();
        self.tail.log(parcel, None)?.start(Box::new(move |outcome| told.send(outcome).unwrap()));
        written.recv_timeout(Duration::from_mins(1)).expect("the disk answers")?;
        self.after(0);
        Ok(())
    }

    /// Sets the clock on, and has every worker do what is due.
    pub fn after(&mut self, time: u64) {
        self.now.fetch_add(time, Ordering::SeqCst);
        for worker in &mut self.workers {
            worker.turn();
        }
    }

    /// Says of all workers whether they are done, as their threads do.
    pub fn report(&mut self) {
        for (number, worker) in self.workers.iter_mut().enumerate() {
            let is_idle = worker.turn();
            self.tail.0.0.report(number, is_idle);
        }
    }

    /// Ends it as a shutdown does, in which workers take one turn more. Answers how many spans are lost.
    pub async fn drain(&mut self) -> u64 {
        let tail = self.tail.clone();
        let until = tokio::time::Instant::now() + Duration::from_mins(2);
        let drained = tokio::spawn(async move { tail.drain(until).await });
        while !self.inner().is_ending() {
            tokio::task::yield_now().await;
        }
        self.after(0);
        self.report();
        drained.await.unwrap()
    }

    /// What has left since the last look: tenant, trace id and number of each span, with its trace state and attributes.
    pub fn left(&mut self) -> Vec<Left> {
        let parcels = self.outlet.parcels.lock();
        let new = &parcels[self.seen..];
        self.seen = parcels.len();
        let mut all = Vec::new();
        for parcel in new {
            let request = ExportTraceServiceRequest::decode(&parcel.body[..]).unwrap();
            let before = all.len();
            for resource in request.resource_spans {
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                let service = resource.resource.map(|resource| resource.dropped_attributes_count as u8);
                all.extend(spans.map(|span| Left {
                    tenant: parcel.context.tenant.as_deref().unwrap_or("").to_owned(),
                    trace: span.trace_id,
                    number: span.name[span.name.len() - 20..].parse().unwrap(),
                    state: span.trace_state,
                    service: service.unwrap_or(u8::MAX),
                    attributes: span.attributes.into_iter().map(|one| (one.key, text(one.value))).collect(),
                }));
            }
            assert_eq!(all.len() - before, parcel.items as usize, "a parcel says what it holds");
        }
        all
    }

    pub fn dropped(&self, plugin: &str, reason: &str) -> u64 {
        let labels = DropLabels { plugin: plugin.into(), reason: reason.into() };
        self.chain_metrics.dropped.get_or_create(&labels).get()
    }
}

/// A span that has left.
#[derive(Debug, Clone)]
pub struct Left {
    pub tenant: String,
    pub trace: Vec<u8>,
    pub number: u64,
    pub state: String,
    pub service: u8,
    pub attributes: HashMap<String, String>,
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

/// Spans as a request, by their services.
fn request(spans: &[Sent]) -> Vec<u8> {
    let mut resources: BTreeMap<u8, Vec<Span>> = BTreeMap::new();
    for sent in spans {
        resources.entry(sent.service).or_default().push(sent.span());
    }
    let resource_spans = resources.into_iter().map(|(service, spans)| ResourceSpans {
        resource: Some(resource(service)),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
}

fn resource(service: u8) -> Resource {
    let name = any_value::Value::StringValue(format!("service-{service}"));
    let name =
        KeyValue { key: "service.name".into(), value: Some(AnyValue { value: Some(name) }), ..KeyValue::default() };
    Resource { attributes: vec![name], dropped_attributes_count: u32::from(service), ..Resource::default() }
}
