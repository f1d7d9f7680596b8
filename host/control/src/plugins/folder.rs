//! The folder is the chain: looks, plans, has stages made, publishes. One thread owns all of it; whoever wants to know reads a snapshot.
//!
//! Invariant: whatever fails changes nothing but the status: the chain is published from stages that were made, configured and
//! probed, and a stage keeps its last good version until the next one is.
//! Invariant: a required stage whose file is gone stays in the chain while the gate refuses, so that no request that is on its way
//! passes without it. So does one that nobody has signed who is trusted now.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pipeline::chain::gate::Gate;
use pipeline::chain::live::Chains;
use tokio::sync::watch as phase;

use super::history::History;
use super::make::{Made, Maker, Makers};
use super::plan;
use super::scan::Scan;
use super::settle::QUIET;
use super::shelf::{Record, Shelf};
use super::signature::Keys;
use super::slots::Slots;
use super::status::{Shared, Status};
use super::version::Phase;
use crate::config::plugins::Defaults;
use crate::config::plugins::oci::Oci;
use crate::watch::Watch;

mod act;
pub mod command;
mod drain;
mod publish;
mod records;
mod trials;
mod trust;

use command::{Command, Commands};
use drain::Drain;

/// How many events wait: hints are dropped beyond it, because one is as good as many.
const EVENTS: usize = 256;

/// What the configuration says about the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub folder: PathBuf,
    /// Stages without which nothing is received.
    pub required: Vec<String>,
    /// For plugins that do not say otherwise.
    pub defaults: Defaults,
    /// Who may have signed plugins.
    pub keys: Keys,
    /// How plugins are pulled that are not here.
    pub oci: Arc<Oci>,
}

/// What the folder acts on.
pub struct Ground {
    /// Where chains are published.
    pub chains: Chains,
    /// What is closed while a required stage is missing.
    pub gate: Gate,
    /// Called after each publish.
    pub published: Box<dyn Fn() + Send>,
    /// Makes stages.
    pub maker: Arc<dyn Maker>,
    /// Keeps what the folder no longer holds.
    pub shelf: Arc<Shelf>,
}

/// The running folder; ends when it is dropped.
pub struct Folder {
    events: SyncSender<Event>,
    status: Shared,
    opened: phase::Receiver<bool>,
    worker: Option<JoinHandle<()>>,
}

/// What the worker waits for.
pub(super) enum Event {
    /// Something may have changed.
    Hint,
    /// A version is so far.
    Reached(u64, Phase),
    /// A stage was made, or not.
    Made(Box<Made>),
    /// Somebody wants another version.
    Command(Command),
    /// The configuration changed.
    Settings(Box<Settings>),
    /// The end.
    Stop,
}

// === impl Folder ===

impl Folder {
    /// Starts to follow the folder.
    pub fn start(settings: Settings, ground: Ground) -> io::Result<Self> {
        let (events, waiting) = sync_channel(EVENTS);
        let worker = Worker::new(settings, ground, events.clone())?;
        let (status, opened) = (worker.status.clone(), worker.open.subscribe());
        let worker = std::thread::Builder::new().name("plugins".into()).spawn(move || worker.run(&waiting))?;
        Ok(Self { events, status, opened, worker: Some(worker) })
    }

    /// Where its newest status is.
    #[must_use]
    pub fn status(&self) -> Shared {
        self.status.clone()
    }

    /// Turns true once every file is live or has failed and no required stage is missing, and then stays so.
    #[must_use]
    pub fn opened(&self) -> phase::Receiver<bool> {
        self.opened.clone()
    }

    /// Where it takes commands.
    #[must_use]
    pub fn commands(&self) -> Commands {
        Commands::new(self.events.clone())
    }

    /// Takes other settings.
    pub fn reconfigure(&self, settings: Settings) {
        // A worker that has ended has nothing left to configure.
        let _ended = self.events.send(Event::Settings(Box::new(settings)));
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ended = self.events.send(Event::Stop);
        if let Some(worker) = self.worker.take() {
            let _panicked = worker.join();
        }
    }
}

fn hint(events: &SyncSender<Event>) -> impl Fn() + Send + Sync + 'static {
    let events = events.clone();
    move || {
        // One hint that waits is as good as many.
        let _full = events.try_send(Event::Hint);
    }
}

// === impl Worker ===

/// How often what is tried is judged, and what drains is looked after.
const TICK: Duration = Duration::from_millis(250);

struct Worker {
    settings: Settings,
    /// Counts the changes of the defaults, as recipes do.
    revision: u64,
    ground: Ground,
    scan: Scan,
    watch: Watch,
    makers: Makers,
    slots: Slots,
    order: Vec<Arc<str>>,
    twice: Vec<(String, String)>,
    notes: Vec<String>,
    /// Whether files are changing, or the folder was not looked at yet.
    moving: bool,
    /// Whether the folder was ever read.
    looked: bool,
    /// Whether another folder is followed since a moment ago, and its files have not stood still yet.
    arriving: bool,
    /// When the next look is due, if files are changing.
    due: Option<Instant>,
    /// What was noted before the start, or is to count by a command, and has not been followed yet.
    records: BTreeMap<Arc<str>, Record>,
    /// What is noted.
    noted: BTreeMap<Arc<str>, Record>,
    /// Whether files may be kept that nobody needs.
    untidy: bool,
    history: History,
    drain: Drain,
    state: Status,
    status: Shared,
    open: phase::Sender<bool>,
    events: SyncSender<Event>,
}

impl Worker {
    fn new(settings: Settings, ground: Ground, events: SyncSender<Event>) -> io::Result<Self> {
        let noted = Self::noted(&ground.shelf);
        Ok(Self {
            records: noted.clone(),
            noted,
            history: History::default(),
            drain: Drain::default(),
            scan: Scan::new(&settings.folder),
            watch: Watch::new(&settings.folder, hint(&events)),
            settings,
            revision: 0,
            makers: Makers::start(&ground.maker, &events)?,
            ground,
            slots: Slots::default(),
            order: Vec::new(),
            twice: Vec::new(),
            notes: Vec::new(),
            moving: true,
            looked: false,
            arriving: false,
            due: None,
            untidy: true,
            state: Status::default(),
            status: Shared::default(),
            open: phase::channel(false).0,
            events,
        })
    }

    fn run(mut self, waiting: &Receiver<Event>) {
        loop {
            self.round();
            let now = Instant::now();
            let left = |due: Instant| due.saturating_duration_since(now);
            // What is due to be tried again may have to wait until its file stands still.
            let again = self.slots.due().map(|due| left(due).max(QUIET));
            let tick = (self.is_trying() || !self.drain.is_empty()).then_some(TICK);
            let due = self.due.map(left).into_iter().chain(again).chain(tick).min();
            let patience = self.watch.patience();
            if !self.wait(waiting, due.map_or(patience, |due| due.min(patience))) {
                return;
            }
        }
    }

    /// Does all that can be done now.
    fn round(&mut self) {
        self.watch.renew();
        self.look();
        self.distrust();
        self.judge();
        self.publish();
        self.note();
        self.retire_drained();
        self.tidy();
        self.snapshot();
    }

    /// Takes the next event and all that wait behind it. Answers whether to go on.
    fn wait(&mut self, waiting: &Receiver<Event>, patience: Duration) -> bool {
        let mut next = match waiting.recv_timeout(patience) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        while let Some(event) = next {
            match event {
                Event::Hint => {}
                Event::Reached(number, phase) => self.reached(number, phase),
                Event::Made(made) => self.made(*made),
                Event::Command(command) => self.obey(command),
                Event::Settings(settings) => self.configure(*settings),
                Event::Stop => return false,
            }
            next = waiting.try_recv().ok();
        }
        true
    }

    fn configure(&mut self, settings: Settings) {
        if settings.defaults != self.settings.defaults || settings.keys != self.settings.keys {
            self.revision += 1;
        }
        if settings.oci != self.settings.oci {
            self.slots.hasten(Instant::now());
        }
        if settings.folder != self.settings.folder {
            self.scan = Scan::new(&settings.folder);
            self.watch = Watch::new(&settings.folder, hint(&self.events));
            self.take_shelf(&settings.folder);
            self.arriving = true;
        }
        if settings != self.settings {
            self.state.remember("the configuration of the plugins was changed");
        }
        self.settings = settings;
    }

    fn look(&mut self) {
        let whole = self.watch.take_whole();
        let mut found = match self.scan.look(self.revision, self.settings.keys.are_asked_for(), &whole) {
            Ok(found) => found,
            Err(error) => {
                let note = format!("the folder cannot be read: {error}");
                if self.notes.first() != Some(&note) {
                    tracing::warn!(folder = %self.settings.folder.display(), %error, "the plugin folder cannot be read, nothing changes");
                }
                // A folder that is not there holds nothing; of another that was never read nobody knows without what spans would pass.
                let is_unknown = self.moving && !self.looked && error.kind() != io::ErrorKind::NotFound;
                (self.notes, self.moving, self.due) = (vec![note], is_unknown, None);
                return;
            }
        };
        self.looked = true;
        self.recall(&mut found.wanted, found.moving);
        let plan = plan::plan(&self.slots.known(Instant::now()), &found.wanted);
        self.execute(plan, found);
    }
}

#[cfg(test)]
mod tests;
