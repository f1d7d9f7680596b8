//! Makes a stage from a plugin's file and its sidecar, step by step: read or pull, signature, sidecar, check, compile, configure, grants, stage,
//! probe. The first step that fails ends it, and says so.
//!
//! Invariant: where signatures are asked for, nothing looks into a plugin before its signature was compared with its content.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::chain::live::Chains;
use pipeline::chain::stage::{Fault, FaultKind, Program, Stage, StageSpec};
use pipeline::chain::trial::Mode;
use wasm::tables::{Access, Tables};
use wasm::{Component, ConfigureError, Engine, LoadError, Metrics, Sink, StateLimits, StateStore, WasmProgram};

use super::digest::Digest;
use super::make::{AsLive, Job, Maker, Ready, file_name};
use super::oci::{PullError, Puller, Reference};
use super::probe;
use super::scan;
use super::shelf::{Files, Shelf};
use super::sidecar::{self, Sidecar};
use super::signature::Signed;
use super::status::{self, Failure, Step};
use super::took::{Steps, timed};
use super::version::Phase;
use crate::config;

/// Makes stages by the plugin host.
#[derive(Debug)]
pub struct Loader {
    engine: Engine,
    metrics: Metrics,
    chains: Chains,
    shelf: Arc<Shelf>,
    puller: Puller,
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
    pub fn new(
        engine: Engine,
        metrics: Metrics,
        chains: Chains,
        shelf: Arc<Shelf>,
        puller: Puller,
        tables: Tables,
    ) -> Self {
        Self { engine, metrics, chains, shelf, puller, tables, kept: Mutex::default() }
    }

    /// The plugin, wherever it is, and what its file holds.
    fn content(&self, job: &Job, steps: &mut Steps) -> Result<(Vec<u8>, Option<Vec<u8>>), Wrong> {
        let file = timed(&mut steps.check, || read(&job.plugin, job.recipe.plugin))?;
        if !job.is_remote() {
            return Ok((file, None));
        }
        let reference = Reference::of_file(&file).map_err(|why| Wrong::new(Step::Pull, &why))?;
        let pulled = timed(&mut steps.pull, || self.puller.get(&reference, &job.oci)).map_err(|error| match &error {
            PullError::Content(_) => Wrong::new(Step::Pull, &error),
            PullError::Passing(_) => Wrong::passing(Step::Pull, &error),
        });
        Ok((pulled?, Some(file)))
    }

    fn component(
        &self,
        job: &Job,
        content: &[u8],
        version: Digest,
        largest: u64,
        steps: &mut Steps,
    ) -> Result<Component, Wrong> {
        if let Some((digest, component)) = self.kept(&job.stage).compiled
            && digest == version
            && content.len() as u64 <= largest
        {
            steps.cached = true;
            return Ok(component);
        }
        let checked = timed(&mut steps.check, || self.engine.check(content, largest as usize));
        let checked = checked.map_err(|error| match error {
            LoadError::TooLarge { .. } => Wrong::new(Step::Check, &format!("{error} (`limits.file` sets another)")),
            _ => Wrong::new(Step::Check, &error),
        })?;
        let component = timed(&mut steps.compile, || checked.compile(&self.engine));
        let component = component.map_err(|error| Wrong::new(Step::Compile, &error))?;
        steps.cached = component.is_cached();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(job.stage.clone()).or_default().compiled = Some((version, component.clone()));
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

    /// `seen` is the plugin's content, once it is known.
    fn steps(&self, job: &Job, reached: &dyn Fn(Phase), seen: &mut Option<Digest>) -> Result<Ready, Wrong> {
        let mut steps = Steps::default();
        reached(Phase::Checking);
        let (content, reference) = self.content(job, &mut steps)?;
        let version = if job.is_remote() { Digest::of(&content) } else { job.recipe.plugin };
        *seen = Some(version);
        let checked = timed(&mut steps.check, || Ok((verify(job, &content)?, Written::read(job)?)));
        let (verified, Written { file, text, sidecar }) = checked?;
        let (signed, signature) = verified.unzip();
        reached(Phase::Compiling);
        let component = self.component(job, &content, version, sidecar.limits.file, &mut steps)?;
        let said = text.as_deref().unwrap_or_default();
        let suits = sidecar::suits(component.role(), &file, said, &job.defaults, &config::env::process);
        suits.map_err(|report| Wrong::new(Step::Sidecar, &report))?;
        reached(Phase::Probing);
        let granted = sidecar.grants.tables.clone().map(Into::into);
        let tables = Access { tables: self.tables.clone(), granted };
        let spec = Making { job: job.clone(), version, component, sidecar, tables, chains: self.chains.clone() };
        let Making { component, sidecar, .. } = &spec;
        let state = self.state(&job.stage);
        let copy = || {
            let copy = state.copy();
            copy.limit(state_limits(sidecar));
            Arc::new(copy)
        };
        // What the probe counts and puts is nobody's: it has a copy of the state, and counters that no one reads.
        let trial = spec.program(copy(), Metrics::default().sink(&job.stage), &mut steps)?;
        let missing = sidecar.grants.missing(trial.plan());
        if !missing.is_empty() {
            let why = format!("its plan asks for what `grants` does not give it: {}", missing.join(", "));
            return Err(Wrong::new(Step::Grants, &why));
        }
        let trial = spec.stage(trial, false)?;
        let probed = timed(&mut steps.probe, || self.chains.probe(&trial, &probe::sample()));
        probed.map_err(|fault| Wrong::of_fault(Step::Probe, &fault, &fault))?;
        let files = Files {
            plugin: reference.as_deref().unwrap_or(&content),
            sidecar: text.as_deref().map(str::as_bytes),
            signature: signature.as_deref(),
        };
        self.shelf.put(&(&job.recipe).into(), job.is_remote(), &files);
        drop((content, reference));
        let (sidecar, plugin_version) = (sidecar.clone(), component.plugin_version().map(str::to_owned));
        let sink = self.metrics.sink(&job.stage);
        if !job.counts && sidecar.trying.mode == Some(Mode::Shadow) {
            let shown = format!("{} (shadow)", job.stage);
            let program = spec.program(copy(), Metrics::default().sink(&shown), &mut steps)?;
            let stage = spec.stage(program, false)?;
            let as_live: AsLive = Box::new(move || {
                let program = spec.program(Arc::clone(&state), Arc::clone(&sink), &mut Steps::default());
                program
                    .and_then(|program| spec.stage(program, true))
                    .map_err(|wrong| failure(&spec.job, Some(spec.version), wrong))
            });
            return Ok(Ready { stage, signed, steps, sidecar, as_live: Some(as_live), plugin_version });
        }
        let program = spec.program(state, sink, &mut steps)?;
        Ok(Ready { stage: spec.stage(program, true)?, signed, steps, sidecar, as_live: None, plugin_version })
    }
}

/// What a stage is made of once its plugin is compiled.
struct Making {
    job: Job,
    version: Digest,
    component: Component,
    sidecar: Sidecar,
    tables: Access,
    chains: Chains,
}

impl Making {
    fn program(&self, state: Arc<StateStore>, sink: Arc<Sink>, steps: &mut Steps) -> Result<WasmProgram, Wrong> {
        let Sidecar { settings, memory, limits, .. } = &self.sidecar;
        let (options, tables) = (limits.options(*memory), self.tables.clone());
        let program = timed(&mut steps.configure, || self.component.configure(settings, options, state, tables, sink));
        program.map_err(|error| match &error {
            ConfigureError::Failed(fault) => Wrong::of_fault(Step::Configure, fault, &error),
            _ => Wrong::new(Step::Configure, &error),
        })
    }

    /// `counts`: what it does is counted with what counts.
    fn stage(&self, program: WasmProgram, counts: bool) -> Result<Arc<Stage>, Wrong> {
        let Self { job, sidecar, .. } = self;
        let spec = StageSpec {
            name: job.stage.clone(),
            version: self.version.short().into(),
            on_error: sidecar.on_error.unwrap_or(program.plan().on_error),
            program: Arc::new(program),
            when: sidecar.when.clone(),
            deadline: sidecar.deadline,
            breaker: sidecar.breaker,
        };
        let stage = if counts { self.chains.stage(spec) } else { self.chains.shadow_stage(spec) };
        stage.map_err(|error| Wrong::new(Step::Stage, &error))
    }
}

/// How much all versions of a plugin may keep, as the sidecar of the one that counts says.
fn state_limits(sidecar: &Sidecar) -> StateLimits {
    let usual = StateLimits::default();
    StateLimits { bytes: sidecar.grants.state.map_or(usual.bytes, |bytes| bytes as usize), ..usual }
}

impl Maker for Loader {
    fn counts(&self, stage: &Arc<str>, sidecar: &Sidecar) {
        self.state(stage).limit(state_limits(sidecar));
    }

    fn forget(&self, stage: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(stage);
    }

    fn asks(&self, job: &Job) -> bool {
        // Whatever is wrong with the file is said by whoever makes it.
        let reference = || Reference::of_file(&scan::read(&job.plugin).ok()?).ok();
        job.is_remote() && reference().is_some_and(|reference| !self.puller.has(&reference))
    }

    fn make(&self, job: &Job, reached: &dyn Fn(Phase)) -> Result<Ready, Failure> {
        let mut seen = None;
        self.steps(job, reached, &mut seen).map_err(|wrong| failure(job, seen, wrong))
    }
}

fn failure(job: &Job, seen: Option<Digest>, Wrong { step, why, passing }: Wrong) -> Failure {
    let of_sidecar = job.sidecar.as_ref().filter(|_| step == Step::Sidecar);
    let file = file_name(of_sidecar.unwrap_or(&job.plugin));
    let version = seen.map(|seen| seen.short()).or_else(|| job.version());
    Failure { file, version, step, why: cut(why), passing, at: status::now() }
}

/// What a file says is repeated as far as it is of use: it is logged, remembered and shown.
fn cut(mut why: String) -> String {
    const MOST: usize = 8 << 10;
    if why.len() > MOST {
        why.truncate(why.floor_char_boundary(MOST));
        why.push('…');
    }
    why
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

/// Who has signed the plugin, with the signature itself; nobody where nobody has to.
fn verify(job: &Job, content: &[u8]) -> Result<Option<(Signed, Vec<u8>)>, Wrong> {
    if !job.keys.are_asked_for() {
        return Ok(None);
    }
    let file = file_name(&job.signature);
    let Some(digest) = job.recipe.signature else {
        return Err(Wrong::new(Step::Signature, &job.keys.unsigned(&file)));
    };
    let signature = read(&job.signature, digest)?;
    let signed = job.keys.verify(content, &file, &signature);
    signed.map(|signed| Some((signed, signature))).map_err(|why| Wrong::new(Step::Signature, &why))
}

/// A sidecar.
struct Written {
    /// Its name; empty where there is none.
    file: String,
    /// Its text, if there is one.
    text: Option<String>,
    /// What it says.
    sidecar: Sidecar,
}

impl Written {
    fn read(job: &Job) -> Result<Self, Wrong> {
        let (file, text) = match (&job.sidecar, job.recipe.sidecar) {
            (Some(path), Some(digest)) => {
                let text = String::from_utf8(read(path, digest)?);
                (file_name(path), Some(text.map_err(|_| Wrong::new(Step::Sidecar, "it is not UTF-8 text"))?))
            }
            _ => (String::new(), None),
        };
        let said = text.as_deref().unwrap_or_default();
        let sidecar = sidecar::read(&file, said, &job.defaults, &config::env::process);
        let sidecar = sidecar.map_err(|report| Wrong::new(Step::Sidecar, &report))?;
        Ok(Self { file, text, sidecar })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loader() -> Loader {
        let engine = Engine::new(&wasm::EngineOptions::default()).unwrap();
        let chains = Chains::new(1, pipeline::chain::metrics::Metrics::default());
        Loader::new(engine, Metrics::default(), chains, Arc::default(), Puller::default(), Tables::default())
    }

    #[test]
    fn each_stage_has_a_state_of_its_own_and_keeps_it() {
        let loader = loader();
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        loader.state(&one).put("key", vec![1]).unwrap();
        assert_eq!(loader.state(&other).get("key"), None);
        assert_eq!(loader.state(&one).get("key").map(|(_, value)| value), Some(vec![1]));
    }

    #[test]
    fn the_version_that_counts_says_how_much_its_state_may_hold() {
        let loader = loader();
        let stage: Arc<str> = "one".into();
        let state = loader.state(&stage);
        let sidecar = |text| sidecar::read("", text, &config::plugins::Defaults::default(), &|_| None).unwrap();
        loader.counts(&stage, &sidecar("grants: { state: 1KiB }"));
        assert!(state.put("large", vec![0; 2000]).is_err());
        loader.counts(&stage, &sidecar(""));
        assert!(state.put("large", vec![0; 2000]).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_in_bounded_words() {
        assert_eq!(cut("ä".to_owned()), "ä");
        let long = cut("ä".repeat(1 << 20));
        assert!(long.len() < 9000 && long.ends_with("ä…"));
    }

    #[test]
    fn what_is_kept_of_a_stage_goes_with_it() {
        let loader = loader();
        let (gone, stays): (Arc<str>, Arc<str>) = ("gone".into(), "stays".into());
        let (state, other) = (Arc::downgrade(&loader.state(&gone)), loader.state(&stays));
        loader.forget("gone");
        assert!(state.upgrade().is_none(), "its values are let go");
        assert!(Arc::ptr_eq(&loader.state(&stays), &other));
    }
}
