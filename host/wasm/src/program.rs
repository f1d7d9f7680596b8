//! A configured plugin, from which instances are made.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use otlp::path::Path;
use pipeline::chain::plan::Plan;
use pipeline::chain::stage::{Fault, FaultKind, Instance, Program};
use wasmtime::Store;

use crate::clock::Clock;
use crate::component::{Compiled, Component};
use crate::deadline::Deadline;
use crate::fault;
use crate::guest::Guest;
use crate::handover::Handover;
use crate::host::HostState;
use crate::instance::WasmInstance;
use crate::journal::Journal;
use crate::limiter::Limiter;
use crate::metrics::Sink;
use crate::options::Options;
use crate::plan::{self, Answered, PlanError};
use crate::state::StateStore;
use crate::tables::{Access, Finder};
use crate::wasi::Shell;

/// A plugin that cannot be configured.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// No instance could be made, or `configure` trapped or took too long.
    #[error("configure: {0}")]
    Failed(Fault),
    /// `configure` answered an error: the plugin's own words for the operator.
    #[error("{0}")]
    Refused(String),
    /// Its plan cannot be followed.
    #[error("its plan cannot be followed: {}", fault::short(&.0.to_string()))]
    Plan(#[from] PlanError),
}

/// A plugin with its settings.
pub struct WasmProgram {
    plan: Plan,
    recipe: Recipe,
}

impl std::fmt::Debug for WasmProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasmProgram").field("plugin", &self.recipe.sink.plugin()).finish_non_exhaustive()
    }
}

/// What instances are made of.
struct Recipe {
    compiled: Arc<Compiled>,
    settings: String,
    options: Options,
    state: Arc<StateStore>,
    tables: Access,
    sink: Arc<Sink>,
}

impl Component {
    /// Makes an instance, asks it for its plan with these settings (JSON, `{}` without any), and checks the plan. The
    /// instance is thrown away. Blocks for `options.configure_deadline` at worst, several times that on a busy machine.
    pub fn configure(
        &self,
        settings: &str,
        options: Options,
        state: Arc<StateStore>,
        tables: Access,
        sink: Arc<Sink>,
    ) -> Result<WasmProgram, ConfigureError> {
        let (compiled, settings) = (Arc::clone(&self.inner), settings.to_owned());
        let recipe = Recipe { compiled, settings, options, state, tables, sink };
        let (mut made, plan) = recipe.make()?;
        let plan = plan::lift(plan)?;
        made.store.data_mut().collect_output();
        made.store.data_mut().journal.settle(true);
        Ok(WasmProgram { plan, recipe })
    }
}

/// An instance that has been configured.
pub(crate) struct Made {
    pub(crate) store: Store<HostState>,
    pub(crate) guest: Guest,
    pub(crate) handover: Option<Handover>,
    /// Ticks while it is called.
    pub(crate) clock: Clock,
}

impl Recipe {
    fn store(&self) -> Store<HostState> {
        let Options { memory, table_elements, instances, configure_deadline, answer, log_lines, log_bytes, .. } =
            self.options;
        let mut deadline = Deadline::default();
        deadline.begin(configure_deadline);
        let state = HostState {
            limiter: Limiter::new(memory, table_elements, instances),
            deadline,
            journal: Journal::new(Arc::clone(&self.sink), Arc::clone(&self.state), log_lines, log_bytes),
            tables: Finder::new(self.tables.clone(), Arc::clone(&self.sink), answer),
            now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64),
            shell: self.compiled.wasi.then(|| Box::new(Shell::new(log_bytes))),
        };
        let mut store = Store::new(self.compiled.engine.wasmtime(), state);
        // Invariant: no Wasm runs without a deadline and a memory limit. There is no other way to a store.
        store.limiter(|state| &mut state.limiter);
        store.epoch_deadline_callback(|mut context| context.data_mut().deadline.passed());
        store.set_epoch_deadline(1);
        store.set_hostcall_fuel(answer);
        store
    }

    fn make(&self) -> Result<(Made, Answered), ConfigureError> {
        let mut store = self.store();
        let clock = self.compiled.engine.clock();
        let make = || {
            let Compiled { pre, indices, handover, .. } = &*self.compiled;
            let instance = pre.instantiate(&mut store)?;
            let guest = indices.load(&mut store, &instance)?;
            let handover = handover.as_ref().map(|handover| handover.of(&mut store, &instance)).transpose()?;
            let answer = guest.configure(&mut store, &self.settings)?;
            Ok((guest, handover, answer))
        };
        match clock.during(|| fault::guarded(make)) {
            Ok(Ok((guest, handover, Ok(plan)))) => Ok((Made { store, guest, handover, clock: clock.clone() }, plan)),
            Ok(Ok((_, _, Err(refusal)))) => Err(ConfigureError::Refused(fault::short(&refusal))),
            Ok(Err(error)) => Err(ConfigureError::Failed(fault::name(&error, store.data_mut()))),
            Err(fault) => Err(ConfigureError::Failed(fault)),
        }
    }
}

impl Program for WasmProgram {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn hands_over(&self) -> bool {
        self.recipe.compiled.handover.is_some()
    }

    fn instantiate(&self) -> Result<Box<dyn Instance>, Fault> {
        let instantiate = |message| Fault { kind: FaultKind::Instantiate, message };
        let (mut made, plan) = self.recipe.make().map_err(|error| instantiate(error.to_string()))?;
        // The chain has built its columns and permissions for one plan; an instance with another would be shown the wrong ones.
        let plan = plan::lift(plan).map_err(|error| instantiate(error.to_string()))?;
        if plan != self.plan {
            return Err(instantiate("configure answered another plan than before to the same settings".to_owned()));
        }
        made.store.data_mut().tables.plan(plan.tables.as_deref());
        made.store.data_mut().collect_output();
        made.store.data_mut().journal.settle(true);
        Ok(Box::new(WasmInstance::new(made, &self.recipe.options, self.named())))
    }
}

impl WasmProgram {
    /// The paths that its edits are likely to name.
    fn named(&self) -> impl Iterator<Item = Path> {
        self.plan.writes.iter().chain(&self.plan.reads).cloned()
    }
}
