//! Stages are made on threads of their own, a few at a time, so that neither the data plane nor the folder waits for a
//! compiler. (The plugin host compiles at low priority.)

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pipeline::chain::stage::Stage;

use super::folder::Event;
use super::plan::Recipe;
use super::sidecar::Sidecar;
use super::status::{self, Failure, Step};
use super::took::{Steps, Times};
use super::version::Phase;
use crate::config::plugins::Defaults;

/// How many stages are made at once. One that takes long must not hold up the others.
const THREADS: usize = 2;

/// Makes a stage from its files, up to and including the probe.
pub trait Maker: Send + Sync + 'static {
    /// Makes one, and tells `reached` how far it is. May take seconds.
    fn make(&self, job: &Job, reached: &dyn Fn(Phase)) -> Result<Ready, Failure>;

    /// The stage is gone: whatever is kept for its next version is let go.
    fn forget(&self, stage: &str);
}

/// A stage to make.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name.
    pub stage: Arc<str>,
    /// The plugin's file.
    pub wasm: PathBuf,
    /// The sidecar's file.
    pub sidecar: Option<PathBuf>,
    /// What the files held when they were looked at.
    pub recipe: Recipe,
    /// For what the sidecar does not say.
    pub defaults: Defaults,
    /// Its number in the history.
    pub number: u64,
    /// Whether it counts whatever its sidecar says of trying it: it was promoted before.
    pub counts: bool,
    /// Since when its files are as they are.
    pub noticed: Instant,
    /// When they had settled.
    pub settled: Instant,
}

/// A stage that was made.
pub struct Ready {
    /// The stage.
    pub stage: Arc<Stage>,
    /// How long it took.
    pub steps: Steps,
    /// What its sidecar says.
    pub sidecar: Sidecar,
    /// Makes it count, if it was made for the shadow.
    pub as_live: Option<AsLive>,
    /// Which version the plugin itself says it is.
    pub plugin_version: Option<String>,
}

/// Makes the stage that counts of a version that was in the shadow: with the plugin's own state and counters. Takes milliseconds.
pub type AsLive = Box<dyn Fn() -> Result<Arc<Stage>, Failure> + Send>;

/// What became of a job.
pub(super) struct Made {
    pub(super) stage: Arc<str>,
    pub(super) recipe: Recipe,
    pub(super) counts: bool,
    pub(super) times: Times,
    pub(super) outcome: Result<Ready, Failure>,
}

/// The threads, and what waits for them.
pub(super) struct Makers {
    /// Never holds more than there are threads: the others wait where they can be overtaken.
    jobs: SyncSender<Job>,
    waiting: VecDeque<Job>,
    busy: usize,
}

impl Makers {
    pub(super) fn start(maker: &Arc<dyn Maker>, events: &SyncSender<Event>) -> io::Result<Self> {
        let (jobs, taken) = sync_channel(THREADS);
        let taken = Arc::new(Mutex::new(taken));
        for number in 0..THREADS {
            let (maker, taken, events) = (maker.clone(), taken.clone(), events.clone());
            std::thread::Builder::new()
                .name(format!("maker-{number}"))
                .spawn(move || work(&*maker, &taken, &events))?;
        }
        Ok(Self { jobs, waiting: VecDeque::new(), busy: 0 })
    }

    /// The stage is gone: what waits for it is not made. One that is being made still comes back.
    pub(super) fn forget(&mut self, stage: &str) {
        self.waiting.retain(|waiting| *waiting.stage != *stage);
    }

    /// Has a stage made, instead of any other version of it that still waits.
    pub(super) fn make(&mut self, job: Job) {
        self.waiting.retain(|waiting| waiting.stage != job.stage);
        self.waiting.push_back(job);
        self.hand_out();
    }

    /// A job is done.
    pub(super) fn done(&mut self) {
        self.busy -= 1;
        self.hand_out();
    }

    fn hand_out(&mut self) {
        while self.busy < THREADS {
            let Some(job) = self.waiting.pop_front() else { return };
            self.jobs.send(job).expect("the threads live as long as their sender");
            self.busy += 1;
        }
    }
}

fn work(maker: &dyn Maker, jobs: &Mutex<Receiver<Job>>, events: &SyncSender<Event>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        let times = Times { noticed: job.noticed, settled: job.settled, begun: Instant::now() };
        let reached = |phase| {
            // Whoever has ended needs no history.
            let _ended = events.send(Event::Reached(job.number, phase));
        };
        let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| maker.make(&job, &reached)));
        let outcome = made.unwrap_or_else(|_| Err(bug(&job)));
        let Job { stage, recipe, counts, .. } = job;
        if events.send(Event::Made(Box::new(Made { stage, recipe, counts, times, outcome }))).is_err() {
            return;
        }
    }
}

fn bug(job: &Job) -> Failure {
    let why = "the proxy itself failed on it (see the log); please report this".to_owned();
    let version = Some(job.recipe.wasm.short());
    Failure { file: file_name(&job.wasm), version, step: Step::Compile, why, passing: false, at: status::now() }
}

/// How a file is called in messages: without its folder.
pub(super) fn file_name(path: &std::path::Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
