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
use super::name;
use super::plan::Recipe;
use super::sidecar::Sidecar;
use super::signature::{Keys, Signed};
use super::status::{self, Failure, Step};
use super::took::{Steps, Times};
use super::version::Phase;
use crate::config::plugins::Defaults;
use crate::config::plugins::oci::Oci;

/// How many stages of a kind are made at once. One that takes long must not hold up the others.
const THREADS: usize = 2;

/// Makes a stage from its files, up to and including the probe.
pub trait Maker: Send + Sync + 'static {
    /// Makes one, and tells `reached` how far it is. May take seconds, and as long as a registry takes where `asks` says so.
    fn make(&self, job: &Job, reached: &dyn Fn(Phase)) -> Result<Ready, Failure>;

    /// Whether somebody else has to be asked for it over the network.
    fn asks(&self, job: &Job) -> bool;

    /// A version counts from now on: what its sidecar says of what all versions share holds.
    fn counts(&self, stage: &Arc<str>, sidecar: &Sidecar);

    /// The stage is gone: whatever is kept for its next version is let go.
    fn forget(&self, stage: &str);
}

/// A stage to make.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name.
    pub stage: Arc<str>,
    /// The plugin's file, or the one that says where to pull it from.
    pub plugin: PathBuf,
    /// The sidecar's file.
    pub sidecar: Option<PathBuf>,
    /// The signature's file, whether or not it is there.
    pub signature: PathBuf,
    /// What the files held when they were looked at.
    pub recipe: Recipe,
    /// For what the sidecar does not say.
    pub defaults: Defaults,
    /// Who may have signed it.
    pub keys: Keys,
    /// How it is pulled, if it is not here.
    pub oci: Arc<Oci>,
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
    /// Who has signed it, if that was asked for.
    pub signed: Option<Signed>,
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
    pub(super) number: u64,
    pub(super) counts: bool,
    pub(super) times: Times,
    pub(super) outcome: Result<Ready, Failure>,
    lane: usize,
}

/// Those who make what is here, and those who may have to wait for somebody else: a registry that is silent holds up no file of the folder.
const LANES: [&str; 2] = ["maker", "puller"];

/// The threads, and what waits for them.
pub(super) struct Makers {
    maker: Arc<dyn Maker>,
    lanes: Vec<Lane>,
}

/// The threads for one kind of job.
struct Lane {
    /// Never holds more than there are threads: the others wait where they can be overtaken.
    jobs: SyncSender<Job>,
    waiting: VecDeque<Job>,
    busy: usize,
}

impl Makers {
    pub(super) fn start(maker: &Arc<dyn Maker>, events: &SyncSender<Event>) -> io::Result<Self> {
        let lanes = LANES.iter().enumerate().map(|(lane, name)| Lane::start(lane, name, maker, events));
        Ok(Self { maker: maker.clone(), lanes: lanes.collect::<io::Result<_>>()? })
    }

    /// The stage is gone: what waits for it is not made. One that is being made still comes back.
    pub(super) fn forget(&mut self, stage: &str) {
        for lane in &mut self.lanes {
            lane.waiting.retain(|waiting| *waiting.stage != *stage);
        }
    }

    /// Has a stage made, instead of any other version of it that still waits.
    pub(super) fn make(&mut self, job: Job) {
        self.forget(&job.stage);
        let lane = &mut self.lanes[usize::from(self.maker.asks(&job))];
        lane.waiting.push_back(job);
        lane.hand_out();
    }

    /// A job is done.
    pub(super) fn done(&mut self, made: &Made) {
        let lane = &mut self.lanes[made.lane];
        lane.busy -= 1;
        lane.hand_out();
    }
}

impl Lane {
    fn start(lane: usize, name: &str, maker: &Arc<dyn Maker>, events: &SyncSender<Event>) -> io::Result<Self> {
        let (jobs, taken) = sync_channel(THREADS);
        let taken = Arc::new(Mutex::new(taken));
        for number in 0..THREADS {
            let (maker, taken, events) = (maker.clone(), taken.clone(), events.clone());
            std::thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(move || work(lane, &*maker, &taken, &events))?;
        }
        Ok(Self { jobs, waiting: VecDeque::new(), busy: 0 })
    }

    fn hand_out(&mut self) {
        while self.busy < THREADS {
            let Some(job) = self.waiting.pop_front() else { return };
            self.jobs.send(job).expect("the threads live as long as their sender");
            self.busy += 1;
        }
    }
}

fn work(lane: usize, maker: &dyn Maker, jobs: &Mutex<Receiver<Job>>, events: &SyncSender<Event>) {
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
        let Job { stage, recipe, number, counts, .. } = job;
        let made = Made { stage, recipe, number, counts, times, outcome, lane };
        if events.send(Event::Made(Box::new(made))).is_err() {
            return;
        }
    }
}

fn bug(job: &Job) -> Failure {
    let why = "the proxy itself failed on it (see the log); please report this".to_owned();
    let (file, version) = (file_name(&job.plugin), job.version());
    Failure { file, version, step: Step::Compile, why, passing: false, at: status::now() }
}

impl Job {
    /// Whether the file only says where the plugin is.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        name::is_remote(&file_name(&self.plugin))
    }

    /// What people see as the version, if the file tells.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        (!self.is_remote()).then(|| self.recipe.plugin.short())
    }
}

/// How a file is called in messages: without its folder.
pub(super) fn file_name(path: &std::path::Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
