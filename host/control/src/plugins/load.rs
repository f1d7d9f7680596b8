//! Makes a stage from a plugin's file and its sidecar, step by step: read, sidecar, check, compile, configure, stage, probe. The first
//! step that fails ends it, and says so.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::chain::live::Chains;
use pipeline::chain::stage::{Fault, FaultKind, Program, Stage, StageSpec};
use wasm::tables::{Access, Tables};
use wasm::{Component, ConfigureError, Engine, Metrics, Options, StateLimits, StateStore, WasmProgram};

use super::digest::Digest;
use super::make::{Job, Maker, Ready, file_name};
use super::probe;
use super::scan;
use super::sidecar::{self, Sidecar};
use super::status::{self, Failure, Step};
use super::took::{Steps, timed};
use crate::config;

/// Makes stages by the plugin host.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    metrics: Metrics,
    chains: Chains,
    tables: Tables,
    kept: Mutex<HashMap<Arc<str>, Kept>>,
}

/// What is kept of a stage from one version to the next, until its file is gone.
#[derive(Debug, Default, Clone)]
struct Kept {
    /// The plugin's own values.
    state: Option<Arc<StateStore>>,
    /// What was compiled last: other settings need no compiler.
    compiled: Option<(Digest, Component)>,
}

/// What went wrong.
struct Wrong {
    step: Step,
    why: String,
    passing: bool,
}

impl Wrong {
    fn new(step: Step, why: &(impl ToString + ?Sized)) -> Self {
        Self { step, why: why.to_string(), passing: false }
    }

    /// What is no fault of the files: tried again.
    fn passing(step: Step, why: &(impl ToString + ?Sized)) -> Self {
        Self { passing: true, ..Self::new(step, why) }
    }

    /// A busy machine makes plugins miss their deadline, and one without memory to spare has none for an instance.
    fn of_fault(step: Step, fault: &Fault, why: &impl ToString) -> Self {
        let passing = matches!(fault.kind, FaultKind::Deadline | FaultKind::Instantiate);
        Self { passing, ..Self::new(step, why) }
    }
}

impl Loader {
    /// A loader for stages of these chains, that may ask these tables.
    #[must_use]
    pub fn new(engine: Engine, metrics: Metrics, chains: Chains, tables: Tables) -> Self {
        Self { engine, metrics, chains, tables, kept: Mutex::default() }
    }

    fn component(&self, job: &Job, content: &[u8], steps: &mut Steps) -> Result<Component, Wrong> {
        if let Some((digest, component)) = self.kept(&job.stage).compiled
            && digest == job.recipe.wasm
        {
            steps.cached = true;
            return Ok(component);
        }
        let checked = timed(&mut steps.check, || wasm::check(content, scan::LARGEST as usize));
        let checked = checked.map_err(|error| Wrong::new(Step::Check, &error))?;
        let component = timed(&mut steps.compile, || checked.compile(&self.engine));
        let component = component.map_err(|error| Wrong::new(Step::Compile, &error))?;
        steps.cached = component.is_cached();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(job.stage.clone()).or_default().compiled = Some((job.recipe.wasm, component.clone()));
        Ok(component)
    }

    fn kept(&self, stage: &Arc<str>) -> Kept {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(stage).cloned().unwrap_or_default()
    }

    fn state(&self, stage: &Arc<str>) -> Arc<StateStore> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut kept.entry(stage.clone()).or_default().state;
        state.get_or_insert_with(|| Arc::new(StateStore::new(StateLimits::default()))).clone()
    }

    fn stage(&self, job: &Job, program: WasmProgram, sidecar: &Sidecar) -> Result<Arc<Stage>, Wrong> {
        let spec = StageSpec {
            name: job.stage.clone(),
            version: job.recipe.wasm.short().into(),
            on_error: sidecar.on_error.unwrap_or(program.plan().on_error),
            program: Arc::new(program),
            when: sidecar.when.clone(),
            deadline: sidecar.deadline,
            breaker: sidecar.breaker,
        };
        self.chains.stage(spec).map_err(|error| Wrong::new(Step::Stage, &error))
    }

    fn steps(&self, job: &Job) -> Result<Ready, Wrong> {
        let mut steps = Steps::default();
        let files = timed(&mut steps.check, || Ok((read(&job.wasm, job.recipe.wasm)?, read_sidecar(job)?)));
        let (content, sidecar) = files?;
        let component = self.component(job, &content, &mut steps)?;
        drop(content);
        let options = Options { memory: sidecar.memory as usize, ..Options::default() };
        let state = self.state(&job.stage);
        let usual = StateLimits::default();
        let limits = StateLimits { bytes: sidecar.grants.state.map_or(usual.bytes, |bytes| bytes as usize), ..usual };
        let tables = Access { tables: self.tables.clone(), granted: sidecar.grants.tables.clone().map(Into::into) };
        let configure = |state, sink, steps: &mut Steps| {
            let (options, tables) = (options.clone(), tables.clone());
            let program =
                timed(&mut steps.configure, || component.configure(&sidecar.settings, options, state, tables, sink));
            program.map_err(|error| match &error {
                ConfigureError::Failed(fault) => Wrong::of_fault(Step::Configure, fault, &error),
                _ => Wrong::new(Step::Configure, &error),
            })
        };
        // What the probe counts and puts is nobody's: it has a copy of the state, and counters that no one reads.
        let copy = state.copy();
        copy.limit(limits);
        let trial = configure(Arc::new(copy), Metrics::default().sink(&job.stage), &mut steps)?;
        let missing = sidecar.grants.missing(trial.plan());
        if !missing.is_empty() {
            let why = format!("its plan asks for what `grants` does not give it: {}", missing.join(", "));
            return Err(Wrong::new(Step::Grants, &why));
        }
        let trial = self.stage(job, trial, &sidecar)?;
        let probed = timed(&mut steps.probe, || self.chains.probe(&trial, &probe::sample()));
        probed.map_err(|fault| Wrong::of_fault(Step::Probe, &fault, &fault))?;
        state.limit(limits);
        let program = configure(state, self.metrics.sink(&job.stage), &mut steps)?;
        Ok(Ready { stage: self.stage(job, program, &sidecar)?, steps })
    }
}

impl Maker for Loader {
    fn forget(&self, stage: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(stage);
    }

    fn make(&self, job: &Job) -> Result<Ready, Failure> {
        self.steps(job).map_err(|Wrong { step, why, passing }| {
            let of_sidecar = job.sidecar.as_ref().filter(|_| step == Step::Sidecar);
            let file = file_name(of_sidecar.unwrap_or(&job.wasm));
            Failure { file, version: Some(job.recipe.wasm.short()), step, why, passing, at: status::now() }
        })
    }
}

/// Reads what was looked at before, and nothing else: a file that changed since is taken up by the next look.
fn read(file: &std::path::Path, digest: Digest) -> Result<Vec<u8>, Wrong> {
    let content = scan::read(file).map_err(|why| Wrong::passing(Step::Read, &why))?;
    if Digest::of(&content) == digest {
        Ok(content)
    } else {
        Err(Wrong::passing(Step::Read, "it changed while it was being read"))
    }
}

fn read_sidecar(job: &Job) -> Result<Sidecar, Wrong> {
    let (file, text) = match (&job.sidecar, job.recipe.sidecar) {
        (Some(path), Some(digest)) => {
            let text = String::from_utf8(read(path, digest)?);
            (file_name(path), text.map_err(|_| Wrong::new(Step::Sidecar, "it is not UTF-8 text"))?)
        }
        _ => (String::new(), String::new()),
    };
    let sidecar = sidecar::read(&file, &text, &job.defaults, &config::env::process);
    sidecar.map_err(|report| Wrong::new(Step::Sidecar, &report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_stage_goes_with_it() {
        let engine = Engine::new(&wasm::EngineOptions::default()).unwrap();
        let chains = Chains::new(1, pipeline::chain::metrics::Metrics::default());
        let loader = Loader::new(engine, Metrics::default(), chains, Tables::default());
        let (gone, stays): (Arc<str>, Arc<str>) = ("gone".into(), "stays".into());
        let (state, other) = (Arc::downgrade(&loader.state(&gone)), loader.state(&stays));
        loader.forget("gone");
        assert!(state.upgrade().is_none(), "its values are let go");
        assert!(Arc::ptr_eq(&loader.state(&stays), &other));
    }
}
