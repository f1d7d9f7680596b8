//! Plugins written in Rust against the chain's own traits, spans, and an outlet that keeps what it is given.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use otlp::batch::RequestContext;
use otlp::columns::{Cells, Column};
use otlp::edit::{Edit, Rows};
use otlp::path::{Layout, Path, Want};
use otlp::signal::Signal;
use parking_lot::Mutex;
use prost::Message;
use tracemill_pipeline::admit::Budget;
use tracemill_pipeline::chain::gate::Gate;
use tracemill_pipeline::chain::intake::Intake;
use tracemill_pipeline::chain::live::Chains;
use tracemill_pipeline::chain::metrics::Metrics;
use tracemill_pipeline::chain::outlet::Outlet;
use tracemill_pipeline::chain::plan::{Affinity, Failure, Plan};
use tracemill_pipeline::chain::program::{Call, Fault, FaultKind, Instance, Program};
use tracemill_pipeline::chain::stage::{BreakerPolicy, Stage, StageSpec};
use tracemill_pipeline::custody::Custody;
use tracemill_pipeline::export::{Parcel, Taken};
use tracemill_pipeline::request::{Answer, Refusal, Request};

/// Which instance saw which names, in the order of calls.
pub type Seen = Arc<Mutex<Vec<(usize, Vec<String>)>>>;

/// Drops spans named `drop-me`, fails on spans named `poison`, does so after the whole deadline on those named `endless`, panics on those named `bug` as if a part of the host did, in one
/// column of names.
#[derive(Debug)]
pub struct ByName {
    plan: Plan,
    /// How many instances were made.
    pub instances: Arc<AtomicUsize>,
    /// Which instance saw which names, in the order of calls.
    pub seen: Seen,
    /// The columns of all calls, as long as somebody else has them.
    pub columns: Columns,
    /// Held by who wants calls to wait.
    pub turn: Arc<Mutex<()>>,
    /// The deadlines that endless calls have used up.
    pub endless: Arc<Mutex<Vec<Duration>>>,
    /// Whether its instances hand their memory on.
    pub hands_over: bool,
}

/// Columns that were shown.
pub type Columns = Arc<Mutex<Vec<Weak<Column>>>>;

impl ByName {
    pub fn new(on_error: Failure, affinity: Affinity) -> Self {
        let columns = vec![Want { path: Path::Name, layout: Layout::Text }];
        let (reads, writes, when, options) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let plan = Plan {
            columns,
            reads,
            writes,
            may_drop: true,
            when,
            affinity,
            on_error,
            tables: None,
            sampler: None,
            options,
        };
        Self {
            plan,
            instances: Arc::default(),
            seen: Arc::default(),
            columns: Arc::default(),
            turn: Arc::default(),
            endless: Arc::default(),
            hands_over: false,
        }
    }
}

impl Program for ByName {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn hands_over(&self) -> bool {
        self.hands_over
    }

    fn instantiate(&self) -> Result<Box<dyn Instance>, Fault> {
        let number = self.instances.fetch_add(1, Ordering::SeqCst);
        let (seen, columns, turn) = (self.seen.clone(), self.columns.clone(), self.turn.clone());
        Ok(Box::new(ByNameInstance { number, seen, columns, turn, endless: self.endless.clone() }))
    }
}

struct ByNameInstance {
    number: usize,
    seen: Seen,
    columns: Columns,
    turn: Arc<Mutex<()>>,
    endless: Arc<Mutex<Vec<Duration>>>,
}

impl Instance for ByNameInstance {
    fn call(&mut self, call: Call<'_>) -> Result<Vec<Edit>, Fault> {
        self.columns.lock().extend(call.columns.iter().map(Arc::downgrade));
        let Cells::Text(names) = &call.columns[0].cells else { panic!("a text column was asked for") };
        let name =
            |row: u32| String::from_utf8_lossy(names.get(row as usize).expect("a name for each row")).into_owned();
        self.seen.lock().push((self.number, (0..call.rows).map(name).collect()));
        drop(self.turn.lock());
        let rows_named = |wanted: &str| (0..call.rows).filter(|&row| name(row) == wanted).collect::<Vec<u32>>();
        assert!(rows_named("bug").is_empty(), "a bug of the host's");
        if !rows_named("endless").is_empty() {
            std::thread::sleep(call.deadline);
            self.endless.lock().push(call.deadline);
            return Err(Fault { kind: FaultKind::Deadline, message: "endless".into() });
        }
        if !rows_named("poison").is_empty() {
            return Err(Fault { kind: FaultKind::Trap, message: "poison".into() });
        }
        let dropped = rows_named("drop-me");
        Ok(if dropped.is_empty() {
            vec![]
        } else {
            vec![Edit::Drop { at: Rows::These(dropped), reason: "named".into() }]
        })
    }

    fn settle(&mut self, _kept: bool) {}

    fn save(&mut self, _deadline: Duration) -> Result<Vec<u8>, Fault> {
        Ok(vec![self.number as u8])
    }

    fn restore(&mut self, _from: &str, _saved: Vec<u8>, _deadline: Duration) -> Result<(), Fault> {
        Ok(())
    }
}

/// Keeps what it is given; refuses while it is told to, and what is larger than its room.
#[derive(Debug)]
pub struct Kept {
    pub parcels: Mutex<Vec<Parcel>>,
    pub full: AtomicBool,
    pub room: AtomicUsize,
}

impl Default for Kept {
    fn default() -> Self {
        Self { parcels: Mutex::default(), full: AtomicBool::new(false), room: AtomicUsize::new(usize::MAX) }
    }
}

impl Outlet for Kept {
    fn takes(&self, signal: Signal) -> bool {
        signal == Signal::Traces
    }

    fn is_full(&self) -> Option<Refusal> {
        self.full.load(Ordering::SeqCst).then(|| Refusal::unavailable(Duration::from_secs(1), "queue is full"))
    }

    fn room(&self) -> usize {
        self.room.load(Ordering::SeqCst)
    }

    fn accept(&self, parcel: Parcel) -> Result<Taken, Refusal> {
        self.is_full().map_or(Ok(()), Err)?;
        if parcel.body.len() > self.room() {
            return Err(Refusal::too_large("larger than the queue"));
        }
        self.parcels.lock().push(parcel);
        Ok(Taken::Whole)
    }
}

impl Kept {
    /// The names of all spans that arrived, in order.
    pub fn names(&self) -> Vec<String> {
        let parcels = self.parcels.lock();
        let spans = parcels.iter().flat_map(|parcel| spans_of(&parcel.body));
        spans.map(|span| span.name).collect()
    }
}

/// The spans of an encoded request.
pub fn spans_of(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).expect("what leaves is OTLP");
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// A request with spans of these names; each is a trace of its own.
pub fn request_of(names: &[&str]) -> Vec<u8> {
    let spans = (1_u64..)
        .zip(names)
        .map(|(number, name)| Span {
            trace_id: [[7; 8], number.to_be_bytes()].concat(),
            span_id: number.to_be_bytes().to_vec(),
            name: (*name).to_owned(),
            ..Span::default()
        })
        .collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A chain with its outlet and metrics.
pub struct Rig {
    pub metrics: Metrics,
    pub chains: Chains,
    pub gate: Gate,
    pub outlet: Arc<Kept>,
    pub intake: Intake,
    budget: Budget,
}

impl Rig {
    pub fn new(mills: usize) -> Self {
        let metrics = Metrics::default();
        let chains = Chains::new(mills, metrics.clone());
        let (gate, outlet) = (Gate::new(), Arc::new(Kept::default()));
        let intake = Intake::start(chains.clone(), None, outlet.clone(), gate.clone(), true).expect("threads start");
        Self { metrics, chains, gate, outlet, intake, budget: Budget::new(1 << 20) }
    }

    pub fn stage(&self, name: &str, program: ByName) -> Arc<Stage> {
        self.stage_with(name, program, Duration::from_secs(5))
    }

    pub fn stage_with(&self, name: &str, program: ByName, deadline: Duration) -> Arc<Stage> {
        let on_error = program.plan.on_error;
        let spec = StageSpec {
            name: name.into(),
            version: "test".into(),
            program: Arc::new(program),
            when: Vec::new(),
            on_error,
            deadline,
            breaker: BreakerPolicy { faults: 1000, ..BreakerPolicy::default() },
        };
        self.chains.stage(spec).expect("the plan is sound")
    }

    pub async fn send(&self, body: Vec<u8>) -> Answer {
        self.send_under(None, body).await
    }

    pub async fn send_under(&self, custody: Option<Arc<Custody>>, body: Vec<u8>) -> Answer {
        let permit = self.budget.take(body.len()).expect("the budget is wide");
        let context = Arc::new(RequestContext::default());
        self.intake.take(Request { signal: Signal::Traces, body: body.into(), context, permit, custody }).await
    }

    /// Invariant 6, for the chain: answers (received, refused, dropped, admitted) by reason sums.
    pub fn sums(&self, reasons: &[&str], drops: &[(&str, &str)]) -> [u64; 4] {
        use tracemill_pipeline::chain::metrics::{DropLabels, ReasonLabel};
        let refused =
            |reason: &&str| self.metrics.refused.get_or_create(&ReasonLabel { reason: (**reason).into() }).get();
        let dropped = |(plugin, reason): &(&str, &str)| {
            let labels = DropLabels { plugin: (*plugin).into(), reason: (*reason).into() };
            self.metrics.dropped.get_or_create(&labels).get()
        };
        [
            self.metrics.received.get(),
            reasons.iter().map(refused).sum(),
            drops.iter().map(dropped).sum(),
            self.metrics.admitted.get(),
        ]
    }
}
