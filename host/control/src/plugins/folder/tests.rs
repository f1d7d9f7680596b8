//! A real folder, a real watch and real chains; only the plugins are Rust instead of Wasm. A file's content says what becomes
//! of it: `ok…` can be made (`ok fails…` fails on every batch, `ok never…` cannot count once it was in the shadow, `ok samples…` is a
//! sampler), `held…` once nobody holds the makers' turn, `late N` the time after it has failed N times, anything else fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use otlp::edit::Edit;
use pipeline::chain::gate::Gate;
use pipeline::chain::live::{Chain, Chains};
use pipeline::chain::plan::{Affinity, Failure as OnError, Plan};
use pipeline::chain::sampler::{SamplerPlan, Show};
use pipeline::chain::stage::{BreakerPolicy, Call, Fault, FaultKind, Instance, Program, StageSpec};
use pipeline::chain::trial::Mode;

mod restart;
mod restart_commands;
mod rounds;
mod samplers;
mod trials;
mod trust;

use super::*;
use crate::plugins::make::{AsLive, Job, Ready};
use crate::plugins::settle::QUIET;
use crate::plugins::shelf::Files;
use crate::plugins::sidecar::{self, Sidecar};
use crate::plugins::status::{Failure, State, Step};
use crate::plugins::took::Steps;
use crate::wait;

mod changes;
mod data_path;

#[derive(Debug)]
struct Native {
    plan: Plan,
    fails: bool,
}

impl Program for Native {
    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn instantiate(&self) -> Result<Box<dyn Instance>, Fault> {
        Ok(Box::new(Idle { fails: self.fails }))
    }
}

/// An instance that edits nothing.
struct Idle {
    fails: bool,
}

impl Instance for Idle {
    fn call(&mut self, _: Call<'_>) -> Result<Vec<Edit>, Fault> {
        if self.fails { Err(Fault { kind: FaultKind::Error, message: "as it says".into() }) } else { Ok(Vec::new()) }
    }

    fn settle(&mut self, _: bool) {}
}

struct NativeMaker {
    chains: Chains,
    attempts: AtomicU32,
    kept: Kept,
    shelf: Arc<Shelf>,
    made: Arc<AtomicU32>,
    held: Arc<Held>,
}

/// Makers that wait in the middle of their work.
#[derive(Default)]
struct Held {
    /// Held by who wants them to wait.
    turn: Mutex<()>,
    /// How many have come to that point.
    makers: AtomicU32,
}

/// For which stages it keeps something.
type Kept = Arc<Mutex<BTreeSet<String>>>;

impl Maker for NativeMaker {
    fn counts(&self, _: &Arc<str>, _: &Sidecar) {}

    fn forget(&self, stage: &str) {
        self.kept.lock().unwrap().remove(stage);
    }

    fn asks(&self, job: &Job) -> bool {
        job.is_remote()
    }

    fn make(&self, job: &Job, reached: &dyn Fn(Phase)) -> Result<Ready, Failure> {
        for phase in [Phase::Checking, Phase::Compiling, Phase::Probing] {
            reached(phase);
        }
        self.kept.lock().unwrap().insert(job.stage.to_string());
        self.made.fetch_add(1, Ordering::Relaxed);
        let content = fs::read_to_string(&job.plugin).unwrap_or_default();
        let file = super::super::make::file_name(&job.plugin);
        if let Some(times) = content.strip_prefix("late ") {
            let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
            if attempt < times.parse().unwrap() {
                let why = format!("attempt {attempt}");
                return Err(Failure { file, version: None, step: Step::Probe, why, passing: true, at: 0 });
            }
        } else if content.starts_with("held") {
            self.held.makers.fetch_add(1, Ordering::SeqCst);
            drop(self.held.turn.lock().unwrap());
        } else if !content.starts_with("ok") {
            return Err(Failure { file, version: None, step: Step::Check, why: content, passing: false, at: 0 });
        }
        let signature = fs::read(&job.signature).unwrap_or_default();
        let signed = match &job.recipe.signature {
            _ if !job.keys.are_asked_for() => Ok(None),
            None => Err(job.keys.unsigned(&super::super::make::file_name(&job.signature))),
            Some(_) => {
                let file = super::super::make::file_name(&job.signature);
                job.keys.verify(content.as_bytes(), &file, &signature).map(Some)
            }
        };
        let refused = |why| Failure { file, version: None, step: Step::Signature, why, passing: false, at: 0 };
        let signed = signed.map_err(refused)?;
        let is_sampler = content.starts_with("ok samples");
        let plan = Plan {
            columns: Vec::new(),
            reads: Vec::new(),
            writes: Vec::new(),
            may_drop: false,
            when: Vec::new(),
            affinity: Affinity::Any,
            on_error: OnError::Pass,
            tables: None,
            sampler: is_sampler.then(|| SamplerPlan { show: Show::Roots, early: vec![Vec::new()] }),
            options: Vec::new(),
        };
        let spec = StageSpec {
            name: job.stage.clone(),
            version: job.recipe.plugin.short().into(),
            program: Arc::new(Native { plan, fails: content.starts_with("ok fails") }),
            when: Vec::new(),
            on_error: OnError::Pass,
            deadline: job.defaults.deadline,
            breaker: BreakerPolicy::default(),
        };
        let text = job.sidecar.as_ref().map(|sidecar| fs::read_to_string(sidecar).unwrap()).unwrap_or_default();
        let sidecar = sidecar::read("sidecar", &text, &job.defaults, &|_| None).expect("the tests' sidecars are sound");
        let is_shadow = !job.counts && sidecar.trying.mode == Some(Mode::Shadow);
        let live = (self.chains.clone(), spec.clone(), content.starts_with("ok never"), self.made.clone());
        let as_live: AsLive = Box::new(move || {
            let (chains, spec, never, made) = &live;
            made.fetch_add(1, Ordering::Relaxed);
            if *never {
                let (file, why) = (spec.name.to_string(), "as it says".to_owned());
                return Err(Failure { file, version: None, step: Step::Configure, why, passing: false, at: 0 });
            }
            Ok(chains.stage(spec.clone()).expect("it has no conditions"))
        });
        let stage = if is_shadow { self.chains.shadow_stage(spec) } else { self.chains.stage(spec) };
        let files = Files {
            plugin: content.as_bytes(),
            sidecar: job.recipe.sidecar.map(|_| text.as_bytes()),
            signature: job.recipe.signature.map(|_| &signature[..]),
        };
        self.shelf.put(&(&job.recipe).into(), job.is_remote(), &files);
        let steps = Steps { compile: Duration::from_millis(7), ..Steps::default() };
        let stage = stage.expect("it has no conditions");
        Ok(Ready { stage, signed, steps, sidecar, as_live: is_shadow.then_some(as_live), plugin_version: None })
    }
}

struct Setup {
    folder: tempfile::TempDir,
    chains: Chains,
    gate: Gate,
    running: Folder,
    kept: Kept,
    /// How often the maker was asked.
    made: Arc<AtomicU32>,
    held: Arc<Held>,
}

impl Setup {
    fn new(files: &[(&str, &str)], required: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in files {
            put(folder.path(), file, content);
        }
        Self::over(folder, Arc::default(), required)
    }

    fn over(folder: tempfile::TempDir, shelf: Arc<Shelf>, required: &[&str]) -> Self {
        let plugins = folder.path().to_owned();
        Self::at(&plugins, folder, shelf, required)
    }

    /// Follows a folder that is, or will be, in another one.
    fn at(plugins: &Path, folder: tempfile::TempDir, shelf: Arc<Shelf>, required: &[&str]) -> Self {
        Self::held(plugins, folder, shelf, required, Arc::default())
    }

    /// The same with makers that somebody may hold up already.
    fn held(plugins: &Path, folder: tempfile::TempDir, shelf: Arc<Shelf>, required: &[&str], held: Arc<Held>) -> Self {
        let (chains, gate) = (Chains::new(1, pipeline::chain::metrics::Metrics::default()), Gate::new());
        let settings = settings(plugins, required);
        let kept = Kept::default();
        let made = Arc::<AtomicU32>::default();
        let maker = NativeMaker {
            chains: chains.clone(),
            attempts: AtomicU32::new(0),
            kept: kept.clone(),
            shelf: shelf.clone(),
            made: made.clone(),
            held: held.clone(),
        };
        let (maker, published) = (Arc::new(maker), Box::new(|| {}));
        let ground = Ground { chains: chains.clone(), gate: gate.clone(), published, maker, shelf };
        let running = Folder::start(settings, ground).unwrap();
        Self { folder, chains, gate, running, kept, made, held }
    }

    fn put(&self, file: &str, content: &str) {
        put(self.folder.path(), file, content);
    }

    fn remove(&self, file: &str) {
        fs::remove_file(self.folder.path().join(file)).unwrap();
    }

    fn until(&self, what: &str, wanted: impl Fn(&Status, &Chain) -> bool) -> Arc<Status> {
        let shared = self.running.status();
        wait::until(|| {
            let (status, chain) = (shared.load_full(), self.chains.current());
            let is_so = wanted(&status, &chain) && status.generation == chain.generation;
            if is_so { Ok(status) } else { Err(format!("waited for {what}: {status:#?}")) }
        })
    }

    /// Once so many makers have come to where they can be held up.
    fn until_makers(&self, makers: u32) {
        wait::until(|| match self.held.makers.load(Ordering::SeqCst) {
            so_many if so_many == makers => Ok(()),
            so_many => Err(format!("{so_many} makers are at it")),
        });
    }

    fn until_chain(&self, stages: &[&str]) -> Arc<Status> {
        self.until(&format!("{stages:?}"), |status, chain| status.settled && names(chain) == stages)
    }

    /// Receivers are told after the chain is live.
    fn until_open(&self) {
        let opened = self.running.opened();
        wait::until(|| if *opened.borrow() { Ok(()) } else { Err("the receivers are not told".to_owned()) });
    }
}

fn settings(folder: &Path, required: &[&str]) -> Settings {
    let required = required.iter().map(|stage| (*stage).to_owned()).collect();
    Settings {
        folder: folder.to_owned(),
        required,
        defaults: Defaults::default(),
        keys: Keys::default(),
        oci: Arc::default(),
    }
}

fn put(folder: &Path, file: &str, content: &str) {
    let unfinished = folder.join(format!(".{file}.unfinished"));
    fs::write(&unfinished, content).unwrap();
    fs::rename(unfinished, folder.join(file)).unwrap();
}

fn names(chain: &Chain) -> Vec<&str> {
    chain.stages().map(|stage| &*stage.spec().name).collect()
}

fn version(status: &Status, stage: &str) -> Option<String> {
    status.stages.iter().find(|known| known.stage == stage)?.version.clone()
}

#[test]
fn the_first_chain_is_published_whole_and_in_order() {
    let setup = Setup::new(&[("20-b.wasm", "ok"), ("10-a.wasm", "ok"), ("30-c.wasm", "no"), ("_x.wasm", "ok")], &[]);
    let status = setup.until_chain(&["a", "b"]);
    assert_eq!(status.generation, 1);
    setup.until_open();
    let failed = &status.stages[2];
    assert_eq!((failed.stage.as_str(), failed.state), ("c", State::Failed));
    assert_eq!(failed.error.as_ref().unwrap().step, Step::Check);
}

#[test]
fn adding_replacing_renaming_and_removing_take_effect() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1"), ("20-b.wasm", "ok")], &[]);
    let first = setup.until_chain(&["a", "b"]);
    let kept = setup.chains.current().stages().nth(1).unwrap().clone();

    setup.put("30-c.wasm", "ok");
    setup.until_chain(&["a", "b", "c"]);
    setup.put("10-a.wasm", "ok 2");
    let replaced = setup.until("another version", |status, _| version(status, "a") != version(&first, "a"));
    assert!(replaced.stages[0].generation > first.stages[0].generation);
    fs::rename(setup.folder.path().join("10-a.wasm"), setup.folder.path().join("25-a.wasm")).unwrap();
    setup.until_chain(&["b", "a", "c"]);
    setup.remove("30-c.wasm");
    setup.until_chain(&["b", "a"]);
    assert!(
        Arc::ptr_eq(setup.chains.current().stages().next().unwrap(), &kept),
        "what did not change keeps its instances"
    );
}

#[test]
fn a_bad_version_leaves_the_last_good_one_running_until_a_good_one_comes() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1")], &[]);
    let first = setup.until_chain(&["a"]);
    setup.put("10-a.wasm", "broken");
    let bad = setup.until("the error", |status, _| status.stages[0].error.is_some());
    assert_eq!((version(&bad, "a"), bad.generation), (version(&first, "a"), first.generation));
    assert_eq!(bad.stages[0].state, State::Live);
    assert_eq!(bad.stages[0].error.as_ref().unwrap().why, "broken");
    setup.put("10-a.wasm", "ok 1");
    let back = setup.until("no error", |status, _| status.stages[0].error.is_none());
    assert_eq!(back.generation, first.generation, "the same version needs no other chain");
    setup.put("10-a.wasm", "ok 3");
    setup.until("a good one", |status, _| status.generation > first.generation && status.stages[0].error.is_none());
}

#[test]
fn a_changed_sidecar_makes_the_stage_anew() {
    let setup = Setup::new(&[("10-a.wasm", "ok")], &[]);
    let first = setup.until_chain(&["a"]);
    setup.put("10-a.yaml", "on_error: drop");
    let second = setup.until("a generation", |status, _| status.generation > first.generation);
    setup.remove("10-a.yaml");
    setup.until("another generation", |status, _| status.generation > second.generation);
}

#[test]
fn the_later_of_two_files_of_one_stage_is_an_error() {
    let setup = Setup::new(&[("10-a.wasm", "ok 1"), ("20-a.wasm", "ok 2")], &[]);
    let status = setup.until_chain(&["a"]);
    assert_eq!(status.stages.len(), 2);
    assert_eq!((status.stages[1].file.as_str(), status.stages[1].state), ("20-a.wasm", State::Failed));
    setup.remove("10-a.wasm");
    setup.until("the other file", |status, _| status.stages.len() == 1 && status.stages[0].file == "20-a.wasm");
}

#[test]
fn a_required_stage_that_is_missing_keeps_the_receivers_closed() {
    let setup = Setup::new(&[("10-a.wasm", "ok")], &["scrub"]);
    let status = setup.until_chain(&["a"]);
    assert!(status.refusing.as_ref().unwrap().contains("scrub"), "{status:?}");
    assert!(!*setup.running.opened().borrow());
    assert!(setup.gate.refuses().is_some());
    setup.put("20-scrub.wasm", "broken");
    setup.until("its failure", |status, _| status.refusing.as_ref().is_some_and(|why| why.contains("broken")));
    assert!(!*setup.running.opened().borrow());
    setup.put("20-scrub.wasm", "ok");
    setup.until("traffic", |status, _| status.refusing.is_none());
    assert!(setup.gate.refuses().is_none());
    setup.until_open();
}

#[test]
fn a_required_stage_that_is_deleted_closes_the_gate_and_stays_in_the_chain() {
    let setup = Setup::new(&[("10-a.wasm", "ok"), ("20-scrub.wasm", "ok")], &["scrub"]);
    setup.until_chain(&["a", "scrub"]);
    setup.remove("20-scrub.wasm");
    let gone = setup.until("the gate", |status, _| status.refusing.is_some());
    assert_eq!(gone.stages[1].state, State::Gone);
    assert!(setup.gate.refuses().is_some());
    assert_eq!(names(&setup.chains.current()), ["a", "scrub"]);
    setup.put("20-scrub.wasm", "broken");
    // The last good one is there again, and so is its file: that is a failed swap, not a missing stage.
    setup.until("the last good one", |status, _| status.refusing.is_none() && status.stages[1].error.is_some());
    setup.remove("20-scrub.wasm");
    setup.until("the gate", |status, _| status.refusing.is_some());
    setup.running.reconfigure(settings(setup.folder.path(), &[]));
    setup.until_chain(&["a"]);
    assert!(setup.gate.refuses().is_none());
}

#[test]
fn a_folder_that_vanishes_changes_nothing_but_the_status() {
    let setup = Setup::new(&[("10-a.wasm", "ok")], &[]);
    let first = setup.until_chain(&["a"]);
    let aside = setup.folder.path().with_extension("aside");
    fs::rename(setup.folder.path(), &aside).unwrap();
    let noted = setup.until("a note", |status, _| !status.notes.is_empty());
    assert_eq!(noted.generation, first.generation);
    fs::rename(&aside, setup.folder.path()).unwrap();
    setup.until("no note", |status, _| status.notes.is_empty());
    setup.put("20-b.wasm", "ok");
    setup.until_chain(&["a", "b"]);
}

#[test]
fn other_defaults_make_every_stage_anew() {
    let setup = Setup::new(&[("10-a.wasm", "ok")], &[]);
    let first = setup.until_chain(&["a"]);
    let mut changed = settings(setup.folder.path(), &[]);
    changed.defaults.deadline = Duration::from_millis(77);
    setup.running.reconfigure(changed);
    setup.until("a generation", |status, _| status.generation > first.generation);
    assert_eq!(setup.chains.current().stages().next().unwrap().spec().deadline, Duration::from_millis(77));
}

#[test]
fn a_failure_that_passes_holds_up_the_start_and_is_forgotten() {
    let setup = Setup::new(&[("10-a.wasm", "late 1"), ("20-b.wasm", "ok")], &[]);
    let status = setup.until("a chain", |status, _| status.generation > 0);
    assert_eq!(names(&setup.chains.current()), ["a", "b"], "{status:#?}");
    assert_eq!((status.generation, &status.stages[0].error), (1, &None));
}

#[test]
fn a_failure_that_passes_later_leaves_the_status_when_it_has_passed() {
    let setup = Setup::new(&[("10-a.wasm", "late 2")], &[]);
    let failed = setup.until("the failure", |status, _| status.settled);
    assert!(failed.stages[0].error.as_ref().is_some_and(|error| error.passing), "{failed:#?}");
    let live = setup.until_chain(&["a"]);
    assert_eq!(live.stages[0].error, None);
    let told = |live: &Status| live.history.iter().filter(|event| event.what.contains("failed at")).count();
    assert_eq!(told(&live), 1, "said once: {:#?}", live.history);
}

#[test]
fn an_error_that_was_only_of_reading_goes_when_the_file_can_be_read() {
    let setup = Setup::new(&[("10-a.wasm", "ok")], &[]);
    let first = setup.until_chain(&["a"]);
    // A link to a folder: there, and not to be read, whoever asks.
    let (file, aside) = (setup.folder.path().join("10-a.wasm"), setup.folder.path().join("aside"));
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    let bad = setup.until("the error", |status, _| status.stages[0].error.is_some());
    assert_eq!(bad.stages[0].error.as_ref().unwrap().step, Step::Read);
    assert_eq!(bad.generation, first.generation);
    fs::remove_dir(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    let back = setup.until("no error", |status, _| status.stages[0].error.is_none());
    assert_eq!(back.generation, first.generation, "the same version needs no other chain");
}

#[test]
fn a_new_number_never_shows_as_a_failure() {
    let setup = Setup::new(&[("10-a.wasm", "ok"), ("20-b.wasm", "ok")], &[]);
    setup.until_chain(&["a", "b"]);
    let first = setup.chains.current();
    fs::rename(setup.folder.path().join("10-a.wasm"), setup.folder.path().join("25-a.wasm")).unwrap();
    setup.until("the new order", |status, chain| {
        assert!(status.stages.iter().all(|stage| stage.error.is_none()), "{status:#?}");
        names(chain) == ["b", "a"]
    });
    // Until the old name no longer counts.
    setup.put("30-c.wasm", "ok");
    let last = setup.until_chain(&["b", "a", "c"]);
    assert!(last.history.iter().all(|event| !event.what.contains("cannot be used")), "{:#?}", last.history);
    assert!(Arc::ptr_eq(setup.chains.current().stages().nth(1).unwrap(), first.stages().next().unwrap()));
}

#[test]
fn what_the_maker_keeps_goes_with_the_file() {
    let setup = Setup::new(&[("10-a.wasm", "ok"), ("20-b.wasm", "ok")], &[]);
    setup.until_chain(&["a", "b"]);
    setup.remove("10-a.wasm");
    setup.until_chain(&["b"]);
    assert_eq!(*setup.kept.lock().unwrap(), BTreeSet::from(["b".to_owned()]));
}

#[test]
fn the_status_says_how_long_a_swap_took_and_a_whole_file_hardly_waits() {
    let setup = Setup::new(&[("10-a.wasm", "ok 0")], &[]);
    let mut last = setup.until_chain(&["a"]);
    // A busy machine may hold up any one of them.
    let quick = (1..50).any(|version| {
        let put = Instant::now();
        setup.put("10-a.wasm", &format!("ok {version}"));
        last = setup.until("a generation", |status, _| status.generation > last.generation);
        let took = last.stages[0].took.unwrap();
        assert_eq!(took.compile_ms, 7);
        // One that is found late has stood still long enough by then.
        let has_stood = took.settle_ms >= 20 || put.elapsed() >= QUIET;
        assert!(has_stood && took.total_ms >= took.settle_ms + took.wait_ms, "{took:?}");
        (20..90).contains(&took.settle_ms)
    });
    assert!(quick, "{:?}", last.stages[0].took);
}
